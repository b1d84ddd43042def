"""The scan's fast versions against the specification: values, gradients, cost in L."""

import itertools
import math
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sparx_nas import kernels
from sparx_nas.ground.errors import DeviceError
from sparx_nas.kernels import linear, reference
from support.scans import map_inputs, sequence_inputs, values_and_gradients

MAP_SCAN = partial(kernels.ss2d, backend="torch")
SEQUENCE_SCAN = partial(kernels.selective_scan, backend="torch")
SIZES = [(1, 1), (1, 5), (4, 1), (2, 2), (3, 5), (9, 7)]


def assert_same(function, specification, inputs):
    """Compare values and gradients in float64."""
    pairs = zip(
        values_and_gradients(function, inputs),
        values_and_gradients(specification, inputs),
        strict=True,
    )
    for got, expected in pairs:
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("states", [1, 2, 4])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_map_scan_is_its_specification(size, states):
    for batch, (channels, rank) in itertools.product((1, 3), ((1, 1), (5, 2), (8, 3))):
        inputs = map_inputs(batch, *size, channels, rank, states)
        assert_same(MAP_SCAN, reference.ss2d, inputs)


@pytest.mark.parametrize("states", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 2, 63])
def test_the_sequence_scan_is_its_specification(length, states):
    for batch, groups, channels in ((1, 1, 1), (3, 2, 5), (2, 4, 3)):
        inputs = sequence_inputs(batch, groups, channels, states, length)
        assert_same(SEQUENCE_SCAN, reference.selective_scan, inputs)


def test_the_specification_is_its_equation():
    """h_l = exp(d A) h_{l-1} + d B u and y = C h + D u, number by number."""
    u, delta, A, B, C, D, bias = (t.detach() for t in sequence_inputs(1, 1, 1, 2, 4))
    state, expected = [0.0, 0.0], []
    for i in range(4):
        step = math.log1p(math.exp(delta[0, 0, i].item() + bias[0].item()))
        for n in range(2):
            decay = math.exp(step * A[0, n].item())
            state[n] = decay * state[n] + step * B[0, 0, n, i].item() * u[0, 0, i].item()
        read = sum(C[0, 0, n, i].item() * state[n] for n in range(2))
        expected.append(read + D[0].item() * u[0, 0, i].item())
    got = reference.selective_scan(u, delta, A, B, C, D, bias)
    assert got.flatten().tolist() == pytest.approx(expected)


def test_directions_visit_every_position_once():
    rows = torch.arange(6)
    assert reference.scan_order(0, 2, 3).tolist() == [0, 1, 2, 3, 4, 5]
    assert reference.scan_order(1, 2, 3).tolist() == [0, 3, 1, 4, 2, 5]
    assert reference.scan_order(2, 2, 3).tolist() == [5, 4, 3, 2, 1, 0]
    assert reference.scan_order(3, 2, 3).tolist() == [5, 2, 4, 1, 3, 0]
    for k in range(4):
        assert torch.equal(reference.scan_order(k, 2, 3).sort().values, rows)


def test_memory_layout_does_not_matter():
    leaves = map_inputs(3, 4, 5, 6, 2, 2)
    layouts = [
        lambda x: x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        lambda x: torch.stack([x, 2 * x], dim=4)[..., 0],
        lambda x: x.flip(1).contiguous().flip(1),
        lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    ]
    for layout in layouts:
        strided = [layout(leaves[0]).detach().requires_grad_(), *leaves[1:]]
        assert_same(MAP_SCAN, reference.ss2d, strided)
    y = MAP_SCAN(*leaves)
    gradient = torch.randn(3, 5, 4, 6, dtype=y.dtype).transpose(1, 2)
    got = torch.autograd.grad(y, leaves, gradient)
    expected = torch.autograd.grad(reference.ss2d(*leaves), leaves, gradient.contiguous())
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_a_batch_may_be_scanned_in_parts(monkeypatch):
    inputs = map_inputs(5, 3, 3, 4, 2, 2)
    for elements in (1, 2 * 4 * 36, 10**6):
        monkeypatch.setattr(linear, "CACHE_ELEMENTS", elements)
        assert_same(MAP_SCAN, reference.ss2d, inputs)


def test_an_empty_batch_has_an_empty_result():
    inputs = map_inputs(0, 3, 3, 4, 2, 1)
    assert_same(MAP_SCAN, reference.ss2d, inputs)


@pytest.mark.parametrize("states", [1, 2])
def test_gradients_are_those_of_the_function(states):
    assert torch.autograd.gradcheck(MAP_SCAN, map_inputs(2, 2, 3, 2, 1, states))
    assert torch.autograd.gradcheck(SEQUENCE_SCAN, sequence_inputs(2, 2, 2, states, 4))


def test_steps_near_nothing_and_very_large_ones_stay_finite():
    inputs = map_inputs(2, 4, 4, 3, 2, 1, torch.float32)
    for bias in (-60.0, 60.0):
        inputs[3] = torch.full_like(inputs[3], bias).requires_grad_()
        for t in values_and_gradients(MAP_SCAN, inputs):
            assert torch.isfinite(t).all()


class Elements(TorchDispatchMode):
    """Count the elements that operators return, which their time goes by."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, list | tuple) else (out,):
            self.total += t.numel() if isinstance(t, torch.Tensor) else 0
        return out


def elements(function, inputs) -> int:
    with Elements() as counted:
        values_and_gradients(function, inputs)
    return counted.total


def test_work_grows_linearly_with_the_map_forward_and_backward():
    short, long = map_inputs(2, 8, 8, 4, 2, 2), map_inputs(2, 32, 8, 4, 2, 2)
    assert elements(MAP_SCAN, long) < 4.1 * elements(MAP_SCAN, short)
    assert elements(reference.ss2d, long) > 8 * elements(reference.ss2d, short)


def test_work_grows_linearly_with_a_sequence_forward_and_backward():
    short, long = sequence_inputs(2, 2, 4, 2, 64), sequence_inputs(2, 2, 4, 2, 256)
    scan = SEQUENCE_SCAN
    assert elements(scan, long) < 4.1 * elements(scan, short)


def test_only_the_input_is_kept_for_backward():
    inputs = [t.float().detach().requires_grad_() for t in map_inputs(2, 6, 6, 8, 2, 1)]
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t
    ):
        MAP_SCAN(*inputs)
    assert set(kept) == {t.untyped_storage().data_ptr() for t in inputs}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_half_precision_is_scanned_in_float32(dtype):
    exact = map_inputs(2, 5, 4, 6, 2, 1)
    x = exact[0].to(dtype).detach().requires_grad_()
    weights = [t.float().detach().requires_grad_() for t in exact[1:]]
    y = kernels.ss2d(x, *weights)
    assert y.dtype == dtype
    wide = [x.double(), *(w.double() for w in weights)]
    tolerance = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}[dtype]
    torch.testing.assert_close(y.double(), reference.ss2d(*wide), rtol=tolerance, atol=tolerance)
    y.sum().backward()
    assert x.grad.dtype == dtype
    assert all(w.grad.dtype == torch.float32 for w in weights)


def test_autocast_leaves_the_scan_in_float32():
    inputs = [t.float().detach().requires_grad_() for t in map_inputs(2, 4, 4, 6, 2, 1)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = kernels.ss2d(*inputs)
    torch.testing.assert_close(y, kernels.ss2d(*inputs))
    assert y.dtype == torch.float32


def test_shapes_are_known_without_memory():
    inputs = [t.detach().to("meta").requires_grad_() for t in map_inputs(2, 5, 7, 6, 2, 2)]
    y = kernels.ss2d(*inputs)
    y.sum().backward()
    assert (y.shape, y.device.type) == ((2, 5, 7, 6), "meta")
    assert [t.grad.shape for t in inputs] == [t.shape for t in inputs]


def test_backends_are_asked_for_by_name():
    inputs = map_inputs(1, 3, 4, 2, 1, 1)
    results = [kernels.ss2d(*inputs, backend=name) for name in ("auto", "torch", "reference")]
    for y in results[1:]:
        torch.testing.assert_close(y, results[0])
    assert kernels.resolve("auto") in kernels.BACKENDS
    for name, reason in (("cpu", "float64"), ("triton", "triton|CUDA"), ("mamba_ssm", "mamba")):
        with pytest.raises(DeviceError, match=reason):
            kernels.ss2d(*inputs, backend=name)
    with pytest.raises(DeviceError, match="Did you mean 'torch'"):
        kernels.ss2d(*inputs, backend="torhc")
