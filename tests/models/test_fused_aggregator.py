"""The fused aggregator against its modules in float64: values, gradients, statistics, refusals."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sparx_nas import kernels
from sparx_nas.kernels import fusing, library
from sparx_nas.kernels.fused import part
from sparx_nas.models.aggregator import add_aggregator, aggregate
from sparx_nas.models.fused_aggregator import aggregated

pytestmark = pytest.mark.skipif(
    bool(kernels.missing("cpu")), reason=f"no compiled kernels: {kernels.missing('cpu')}"
)
SETS = library.library().sets if not kernels.missing("cpu") else ()
CASES = [
    ((2, 1, 1), 24, 1, 1, 48),
    ((3, 1, 7), 20, 2, 4, 41),
    ((2, 5, 2), 48, 3, 2, 80),
    ((5, 9, 8), 24, 8, 4, 49),
    ((2, 3, 5), 80, 1, 2, 159),
    ((2, 2, 3), 128, 2, 1, 64),
]
"""Size, width, sources, reduction, inner width: one, two or no channels are made of others."""


@pytest.fixture(params=range(len(SETS)), ids=SETS)
def instruction_set(request, monkeypatch):
    """Let the part use one of the library's instruction sets, which are in the library's order."""
    chosen = replace(library.library(), chosen=request.param)
    monkeypatch.setattr(part, "library", lambda: chosen)


def mixer(width, sources, reduction, inner, norm="group"):
    plan = SimpleNamespace(norm=norm, family=SimpleNamespace(norm_eps=1e-5), attention_scale=None)
    stage = SimpleNamespace(width=width, inner=inner, reduction=reduction)
    op = nn.Module()
    add_aggregator(op, plan, stage, sources)
    op.backend, op.inner = "auto", inner
    for module in op.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return op


def maps(size, width, sources):
    batch, high, wide = size
    return [torch.randn(batch, width, high, wide) for _ in range(sources + 1)]


def results(op, tensors, dtype, *, fused):
    """Return the result, gradients of maps and weights, and the buffers after the pass."""
    op = copy.deepcopy(op).to(dtype)
    own = [t.to(dtype).requires_grad_() for t in tensors]
    with fusing.only(*(["aggregator"] if fused else [])):
        y = aggregate(op, own[0], own[1:], op.inner)
    assert ("_Node" in type(y.grad_fn).__name__) == fused
    weights = torch.linspace(-1, 2, y.numel(), dtype=dtype).view(y.shape)
    grads = torch.autograd.grad((y * weights).sum(), [*own, *op.parameters()])
    return [y.detach(), *grads, *(b.to(dtype) for b in op.buffers())]


def assert_same(op, tensors, tolerance=3e-6):
    exact, near, got = (
        results(op, tensors, dtype, fused=fused)
        for dtype, fused in (
            (torch.float64, False),
            (torch.float32, False),
            (torch.float32, True),
        )
    )
    for a, b, c in zip(exact, near, got, strict=True):
        rounding = float((b.double() - a).abs().max())
        allowed = max(tolerance * float(a.abs().max()), 4 * rounding, 1e-6)
        off = float((c.double() - a).abs().max())
        assert off <= allowed, (a.shape, off, rounding, float(a.abs().max()))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_gradients_and_statistics_are_those_of_the_modules(instruction_set, case, training):
    size, width, sources, reduction, inner = case
    few = training and size[1:] == (1, 1)
    if few:
        size = (6, 1, 1)  # two values a channel are a step, whose slope is rounding alone
    op = mixer(width, sources, reduction, inner, "layer" if reduction == 2 else "group")
    # Batch norms over six values magnify rounding: 6.7e-6 was measured, 1.4e-6 of the modules.
    assert_same(op.train(training), maps(size, width, sources), 1e-5 if few else 3e-6)


def test_a_single_image_and_norms_that_do_not_train_alike():
    op = mixer(24, 2, 2, 48).eval()
    assert_same(op, maps((1, 5, 3), 24, 2))
    op.q[1].train()
    op.q[2].train()
    op.q[2].momentum = None
    assert_same(op, maps((3, 5, 3), 24, 2))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads(threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert_same(mixer(24, 2, 2, 49), maps((5, 4, 3), 24, 2))
    finally:
        torch.set_num_threads(before)


def test_derivatives_of_derivatives_and_inputs_that_take_no_gradient():
    op, tensors = mixer(8, 1, 2, 16), maps((3, 3, 2), 8, 1)

    def penalty(dtype, part):
        own = copy.deepcopy(op).to(dtype)
        x, seen = (t.to(dtype) for t in tensors)
        x.requires_grad_()
        with fusing.only(*part):
            y = aggregate(own, x, [seen], 16)
        first = torch.autograd.grad(y.pow(2).sum(), x, create_graph=True)[0]
        return torch.autograd.grad(first.pow(2).sum(), x)[0]

    exact, got = penalty(torch.float64, []), penalty(torch.float32, ["aggregator"])
    near = penalty(torch.float32, [])
    rounding = float((near.double() - exact).abs().max())
    off = float((got.double() - exact).abs().max())
    assert off <= max(1e-4 * float(exact.abs().max()), 4 * rounding)


def _tanh(op):
    op.in_proj[1] = nn.GELU(approximate="tanh")


def _biased(op):
    op.v[0].bias = nn.Parameter(torch.ones(8))


def _residual(op):
    op.d_proj[0].add_input = True


def _dilated(op):
    op.q[0][0].dilation = (2, 2)


def _hooked(op):
    op.k[2].register_forward_hook(lambda *_: None)


@pytest.mark.parametrize("change", [None, _tanh, _biased, _residual, _dilated, _hooked])
def test_modules_that_are_not_what_the_part_computes_do_the_work(change):
    op, (x, seen) = mixer(8, 1, 2, 16), maps((3, 4, 4), 8, 1)
    if change:
        change(op)
    assert (aggregated(op, x, [seen], 16) is None) == bool(change)


def test_maps_that_do_not_fit_are_left_to_the_modules():
    op, (x, seen) = mixer(8, 1, 2, 16), maps((3, 4, 4), 8, 1)
    for other in (seen.double(), seen[:2], seen[:, :4], seen[..., :3]):
        assert aggregated(op, x, [other], 16) is None
        with pytest.raises((RuntimeError, ValueError)):
            aggregate(op, x, [other], 16)


def test_the_default_type_of_numbers_does_not_matter():
    op, tensors = mixer(8, 1, 2, 16), maps((3, 4, 4), 8, 1)
    expected = aggregate(copy.deepcopy(op), tensors[0], tensors[1:], 16)
    try:
        torch.set_default_dtype(torch.float64)
        got = aggregate(op, tensors[0], tensors[1:], 16)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(got, expected)
