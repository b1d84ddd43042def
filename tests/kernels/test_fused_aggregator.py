"""The aggregator as one operator against its modules' operators in float64."""

from functools import partial

import pytest
import torch
from torch import nn

import sparx_nas
from sparx_nas import kernels
from sparx_nas.kernels import fusing
from sparx_nas.kernels.fused import aggregator, part
from sparx_nas.models.aggregator import aggregate
from support.fused import assert_same, drawn

pytestmark = pytest.mark.skipif(
    bool(kernels.missing("cpu")), reason=f"no compiled kernels: {kernels.missing('cpu')}"
)
SIZES = [(16, 1, 1), (16, 2, 2), (9, 5, 3), (16, 4, 4), (1, 9, 7)]
"""Samples, height, width: statistics of two or three values have no gradient but rounding."""
TOLERANCE, FLOOR = 5e-5, 2e-5
"""The way back of three batch norms in a row takes sums of gradients from gradients each time: what
is left may be tiny beside them."""


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same inputs every time."""
    torch.manual_seed(0)


def inputs_of(size, C, sources, reduction, inner):
    """Return a stream, maps and weights."""
    batch, high, wide = size
    E, made = C * sources, inner // 3 * 3

    def mapping(rows, columns):
        return drawn(rows, columns, 1, 1, scale=columns**-0.5)

    def path():
        side = reduction + 1
        conv = (drawn(C, 1, side, side), drawn(C), drawn(C)) if reduction > 1 else (None,) * 3
        return (*conv, mapping(C, C), drawn(C), drawn(C))

    return [
        *(drawn(batch, C, high, wide), drawn(batch, E, high, wide)),
        *(drawn(E), drawn(E), drawn(E, 1, 3, 3, scale=0.3), drawn(E), drawn(E)),
        *(mapping(2 * C, E), drawn(2 * C), *path(), *path(), mapping(C, C), drawn(C), drawn(C)),
        *(drawn(3 * C, 1, 3, 3, scale=0.3), drawn(3 * C), mapping(made, C), drawn(made)),
    ]


def norms_of(C, sources, reduction, training):
    """Return the six batch norms, with statistics of a life before."""
    shapes = [C * sources, *(C if reduction > 1 else None, C) * 2, C]
    norms = [None if n is None else nn.BatchNorm2d(n).train(training) for n in shapes]
    for norm in norms:
        if norm is not None:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return norms


def plain_of(norms, how):
    """Return the specification with the norms as they are."""
    there = [norm is not None and norm.training for norm in norms]

    def run(x, maps, *weights):
        means = [None if n is None else n.running_mean.to(x.dtype) for n in norms]
        variances = [None if n is None else n.running_var.to(x.dtype) for n in norms]
        return aggregator.plain(
            x, maps, *weights, trains=there, means=means, variances=variances, how=how
        )

    return run


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("C", "sources", "reduction", "inner"),
    [(24, 1, 2, 48), (24, 3, 1, 47), (20, 2, 4, 40), (8, 8, 3, 16), (81 // 3 * 4, 1, 2, 12)],
)
def test_aggregator(instruction_set, C, sources, reduction, inner, training):
    for number, size in enumerate(SIZES):
        how = aggregator.How(1e-5, number % 2 == 0, reduction, inner)
        norms = norms_of(C, sources, reduction, training and size[0] > 1)
        assert_same(
            lambda x, maps, *w, norms=norms, how=how: aggregator.aggregate(x, maps, w, norms, how),
            plain_of(norms, how),
            inputs_of(size, C, sources, reduction, inner),
            tolerance=TOLERANCE,
            floor=FLOOR,
        )


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads(threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        how, norms = aggregator.How(1e-5, True, 2, 48), norms_of(24, 2, 2, True)
        assert_same(
            lambda x, maps, *w: aggregator.aggregate(x, maps, w, norms, how),
            plain_of(norms, how),
            inputs_of((5, 3, 4), 24, 2, 2, 48),
            tolerance=TOLERANCE,
            floor=FLOOR,
        )
    finally:
        torch.set_num_threads(before)


def test_without_torchs_matrix_product(monkeypatch):
    monkeypatch.setattr(part, "_blas", lambda: None)
    how, norms = aggregator.How(1e-5, True, 2, 48), norms_of(24, 2, 2, True)
    assert_same(
        lambda x, maps, *w: aggregator.aggregate(x, maps, w, norms, how),
        plain_of(norms, how),
        inputs_of((3, 3, 4), 24, 2, 2, 48),
        tolerance=TOLERANCE,
        floor=FLOOR,
    )


def ganglia():
    """Return the mixers of a network's ganglia."""
    torch.manual_seed(3)
    space = sparx_nas.load_space("mamba_t")
    net = sparx_nas.build(space.baselines["sparx"], 10, in_chans=1, width=0.25, stem_stride=2)
    return net, [b.op for stage in net.layers for b in stage.blocks if hasattr(b.op, "d_norm")]


@pytest.mark.parametrize("momentum", [0.1, None, 0.0])
def test_running_statistics_move_as_in_torch(momentum):
    """Of passes in training, one of them in evaluation, with some norms that do not train."""
    x, found = torch.randn(4, 1, 16, 16), []
    for parts in ((), ("aggregator",)):
        net, ops = ganglia()
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = momentum
        ops[0].q[2].eval()
        with fusing.only(*parts), torch.no_grad():
            net(x), net(x * 2), net.eval()(x)
        found.append({name: t.clone() for name, t in net.named_buffers()})
    assert any("num_batches_tracked" in name for name in found[0])
    for name, expected in found[0].items():
        torch.testing.assert_close(found[1][name], expected, rtol=2e-4, atol=2e-5)


def test_the_modules_are_used_where_something_else_is_there(monkeypatch):
    runs = []
    monkeypatch.setattr(part, "_run", lambda p, way, at: runs.append(p.kind.NAME))
    x = torch.randn(2, 24, 4, 4)

    def used(change):
        op = ganglia()[1][1]
        change(op)
        C = op.q[1].weight.shape[0]
        maps = [x.new_zeros(2, C, 2, 2)] * (op.d_norm.weight.numel() // C)
        runs.clear()
        aggregate(op, x.new_zeros(2, C, 2, 2), maps, 160)
        return "aggregator" in runs

    assert used(lambda op: None)
    for change in (
        lambda op: setattr(op, "backend", "torch"),
        lambda op: op.register_parameter("scale", nn.Parameter(torch.ones(1))),
        lambda op: op.d_proj[2].register_forward_hook(lambda *_: None),
        lambda op: op.q.__setitem__(2, nn.SyncBatchNorm(80).eval()),
        lambda op: op.v.__setitem__(1, nn.Identity()),
        lambda op: op.k.append(nn.Identity()),
    ):
        with fusing.only("aggregator"):
            assert not used(change)


def test_derivatives_of_derivatives():
    how, norms = aggregator.How(1e-5, True, 2, 12), norms_of(8, 2, 2, True)
    inputs = [None if t is None else t.detach() for t in inputs_of((2, 2, 3), 8, 2, 2, 12)]

    def penalty(function, dtype):
        own = [None if t is None else t.to(dtype).requires_grad_() for t in inputs]
        there = [t for t in own if t is not None]
        first = torch.autograd.grad(function(*own).pow(2).sum(), there, create_graph=True)
        return torch.autograd.grad(sum(g.pow(2).sum() for g in first), there)

    got = penalty(lambda x, m, *w: aggregator.aggregate(x, m, w, norms, how), torch.float32)
    exact = penalty(partial(plain_of(norms, how)), torch.float64)
    for a, b in zip(got, exact, strict=True):
        assert float((a - b).abs().max()) <= 1e-3 * float(b.abs().max()) + 1e-2
