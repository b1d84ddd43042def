"""Fused parts against their modules' operators in float64: values and gradients, odd sizes too."""

import pytest
import torch
from torch.func import functional_call

import sparx_nas
from sparx_nas import kernels
from sparx_nas.ground.errors import DeviceError
from sparx_nas.kernels import fusing
from sparx_nas.kernels.fused import feed_forward, part, plainly, scan, single
from sparx_nas.kernels.tasks import ACTIVATIONS, DepthwiseTask
from support.fused import assert_same, drawn

pytestmark = pytest.mark.skipif(
    bool(kernels.missing("cpu")), reason=f"no compiled kernels: {kernels.missing('cpu')}"
)
SIZES = [(1, 1, 1), (3, 1, 7), (2, 5, 1), (5, 2, 2), (2, 3, 5), (2, 9, 8)]
WIDTHS = [(24, 48), (5, 3), (81, 20)]


def feed_forward_inputs(size, width, kernel, scaled):
    batch, high, wide = size
    C, M = width
    conv = (drawn(M, 1, kernel, kernel), drawn(M)) if kernel else (None, None)
    scale = (drawn(C, 1, 1, 1), drawn(C)) if scaled else (None, None)
    weights = [drawn(C), drawn(C), drawn(M, C, 1, 1, scale=C**-0.5), drawn(M), *conv]
    weights += [drawn(C, M, 1, 1, scale=M**-0.5), drawn(C), *scale]
    return [drawn(batch, C, high, wide), *weights]


def scan_inputs(size, width, kernel, scaled, states=1, rank=2):
    batch, high, wide = size
    C, D = width
    conv = (drawn(D, 1, kernel, kernel, scale=0.3), drawn(D)) if kernel else (None, None)
    scale = (drawn(C, 1, 1, 1), drawn(C)) if scaled else (None, None)
    own = [drawn(4 * (rank + 2 * states), D, 1, scale=D**-0.5), drawn(4, D, rank), drawn(4, D)]
    own += [drawn(4 * D, states), drawn(4 * D), drawn(D), drawn(D)]
    weights = [*conv, *own, drawn(C, D, 1, 1, scale=D**-0.5), drawn(C), *scale]
    return [drawn(batch, D, high, wide), drawn(batch, C, high, wide), *weights]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("kernel", "residual"), [(0, False), (3, True), (5, False)])
@pytest.mark.parametrize("act", plainly.ACTIVATIONS)
def test_feed_forward(instruction_set, whole, kernel, residual, act):
    how = feed_forward.How(1e-5, whole, residual, act)
    for size, width in zip(SIZES, WIDTHS * 2, strict=True):
        inputs = feed_forward_inputs(size, width, kernel, scaled=whole)
        assert_same(
            lambda x, *w: feed_forward.feed_forward(x, w, how),
            lambda x, *w: feed_forward.plain(x, *w, how=how),
            inputs,
        )


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("kernel", "states", "rank"), [(0, 1, 1), (3, 2, 5), (5, 1, 9)])
def test_scan(instruction_set, whole, kernel, states, rank):
    how = scan.How(1e-5, whole, "silu")
    for size, width in zip(SIZES, WIDTHS * 2, strict=True):
        inputs = scan_inputs(size, width, kernel, whole, states, rank)
        assert_same(
            lambda h, x, *w: scan.scan(h, x, w, how),
            lambda h, x, *w: scan.plain(h, x, *w, how=how),
            inputs,
            tolerance=2e-5,
        )


@pytest.mark.parametrize("size", [(1, 3, 4), (7, 2, 3)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_and_of_samples_at_once(monkeypatch, threads, size):
    """Samples that are walked back a few at a time, and more threads than samples."""
    before = torch.get_num_threads()
    monkeypatch.setattr(scan, "GRADIENT_ELEMENTS", 0)
    how, half = scan.How(1e-5, True, "gelu"), feed_forward.How(1e-5, False, False, "silu")
    try:
        torch.set_num_threads(threads)
        assert_same(
            lambda h, x, *w: scan.scan(h, x, w, how),
            lambda h, x, *w: scan.plain(h, x, *w, how=how),
            scan_inputs(size, (24, 40), 3, True),
            tolerance=2e-5,
        )
        assert_same(
            lambda x, *w: feed_forward.feed_forward(x, w, half),
            lambda x, *w: feed_forward.plain(x, *w, how=half),
            feed_forward_inputs(size, (24, 40), 3, True),
        )
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("whole", [True, False])
def test_single_layers(instruction_set, whole):
    for (batch, high, wide), (C, D) in zip(SIZES, WIDTHS * 2, strict=True):
        x = drawn(batch, C, high, wide)
        norm = (x, drawn(C), drawn(C))
        assert_same(
            lambda x, w, b: single.norm(x, w, b, 1e-5, whole),
            lambda x, w, b: plainly.norm(x, w, b, 1e-5, whole),
            norm,
        )
        assert_same(
            lambda x, *w: single.projection(x, w, eps=1e-5, whole=whole),
            lambda x, *w: single.plain_projection(x, *w, eps=1e-5, whole=whole),
            (*norm, drawn(D, C, 1, 1), drawn(D)),
        )
        assert_same(
            lambda x, w, b: single.depthwise(x, w, b, whole),
            lambda x, w, b: plainly.depthwise(x, w, b, add_input=whole),
            (x, drawn(C, 1, 3, 3), drawn(C)),
        )


def test_a_large_mean_costs_no_digits():
    x = torch.randn(2, 24, 5, 5) * 1e-2 + 300
    for whole in (True, False):
        inputs = (x, torch.ones(24), torch.zeros(24))
        exact = plainly.norm(*(t.double() for t in inputs), 1e-5, whole)
        off = (single.norm(*inputs, 1e-5, whole) - exact).abs().max()
        # The mean is a float32 number like any other: half of its last digit, in deviations.
        assert float(off) < 300 * 2**-23 / 1e-2


def test_not_a_number_stays_one():
    inputs = feed_forward_inputs((2, 2, 2), (24, 48), 3, scaled=True)
    with torch.no_grad():
        inputs[0][1, 3, 0, 0] = float("nan")
    y = feed_forward.feed_forward(inputs[0], inputs[1:], feed_forward.How(1e-5, True, True, "gelu"))
    assert y[1].isnan().all()
    assert not y[0].isnan().any()


def test_without_torchs_matrix_product(instruction_set, monkeypatch):
    monkeypatch.setattr(part, "_blas", lambda: None)
    how = scan.How(1e-5, True, "silu")
    for size, width in zip(SIZES, WIDTHS * 2, strict=True):
        assert_same(
            lambda h, x, *w: scan.scan(h, x, w, how),
            lambda h, x, *w: scan.plain(h, x, *w, how=how),
            scan_inputs(size, width, 3, True),
            tolerance=2e-5,
        )


def test_derivatives_of_derivatives():
    inputs = [t.detach() for t in feed_forward_inputs((2, 2, 3), (5, 4), 3, scaled=True)]
    how = feed_forward.How(1e-5, True, True, "gelu")

    def penalty(function, dtype):
        own = [t.to(dtype).requires_grad_() for t in inputs]
        first = torch.autograd.grad(function(*own).pow(2).sum(), own, create_graph=True)
        return torch.autograd.grad(sum(g.pow(2).sum() for g in first), own)

    got = penalty(lambda x, *w: feed_forward.feed_forward(x, w, how), torch.float32)
    exact = penalty(lambda x, *w: feed_forward.plain(x, *w, how=how), torch.float64)
    for a, b in zip(got, exact, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))


def network(**settings):
    torch.manual_seed(0)
    space = sparx_nas.load_space("mamba_t")
    return sparx_nas.build(
        space.baselines["sparx"], 10, in_chans=1, width=0.25, stem_stride=2, **settings
    )


def parts_used(function, monkeypatch):
    """Return the names of the parts that a call runs forward."""
    used, run = [], part._run
    monkeypatch.setattr(
        part, "_run", lambda p, way, at: (used.append(p.kind.NAME), run(p, way, at))
    )
    function()
    return set(used)


def test_a_network_uses_its_parts_and_each_can_be_turned_off(monkeypatch):
    net, x = network(), torch.randn(2, 1, 16, 16)
    every = parts_used(lambda: net(x), monkeypatch)
    assert {"feed_forward", "scan", "projection", "convolution"} <= every
    for name in ("feed_forward", "scan"):
        monkeypatch.setenv(fusing.VARIABLE, f"all,-{name}")
        assert parts_used(lambda: net(x), monkeypatch) == every - {name}
    monkeypatch.setenv(fusing.VARIABLE, "none")
    assert not parts_used(lambda: net(x), monkeypatch)
    monkeypatch.setenv(fusing.VARIABLE, "scna")
    with pytest.raises(DeviceError, match="no part 'scna'"):
        net(x)


def test_nobody_is_left_without_a_view(monkeypatch):
    """Hooks, other modules, other types, modes and transformations are the modules' own."""
    x = torch.randn(2, 1, 16, 16)
    seen = []

    def hooked():
        net = network()
        for block in net.layers[2].blocks:
            for module in (block.mlp.act, block.op.out_norm):
                module.register_forward_hook(lambda *_: seen.append(1))
        return net

    assert {"feed_forward", "scan"} <= parts_used(lambda: hooked()(x), monkeypatch)
    assert len(seen) == 14
    net = network()
    for block in (b for stage in net.layers for b in stage.blocks):
        block.mlp.act = torch.nn.GELU(approximate="tanh")
    assert "feed_forward" not in parts_used(lambda: net(x), monkeypatch)
    net = network()
    dropping = network(drop_path=0.5)
    assert parts_used(lambda: net.double()(x.double()), monkeypatch) == set()
    net.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert parts_used(lambda: net(x), monkeypatch) == set()
    own = {name: p.detach().clone() for name, p in net.named_parameters()}
    assert parts_used(lambda: functional_call(net, own, (x,)), monkeypatch) == set()
    assert "scan" in parts_used(lambda: dropping.eval()(x), monkeypatch)
    torch.manual_seed(0)
    dropped = dropping.train()(x)
    torch.manual_seed(0)
    with fusing.only():
        torch.testing.assert_close(dropping(x), dropped, rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_an_error_and_no_crash():
    x, weights = drawn(2, 24, 4, 4), feed_forward_inputs((2, 4, 4), (24, 48), 3, True)[1:]
    how = feed_forward.How(1e-5, True, True, "gelu")
    with pytest.raises(ValueError, match=r"feed_forward: norm is \(24,\), where 12"):
        feed_forward.feed_forward(x[:, :12], weights, how)
    h, stream, *own = scan_inputs((2, 4, 4), (24, 48), 3, True)
    with pytest.raises(ValueError, match="maps of other sizes"):
        scan.scan(h, stream[:, :, :3], own, scan.How(1e-5, True, "silu"))


def test_a_convolution_with_other_settings_is_its_own(monkeypatch):
    net, x = network(), torch.randn(2, 1, 16, 16)
    plainly_used = parts_used(lambda: net(x), monkeypatch)
    with torch.no_grad():
        for block in (b for stage in net.layers for b in stage.blocks):
            for conv in (block.mlp.dwconv, block.op.conv2d):
                conv.dilation, conv.padding = (2, 2), tuple(2 * p for p in conv.padding)
        used, got = parts_used(lambda: net(x), monkeypatch), net.eval()(x)
        assert plainly_used - used == {"feed_forward", "scan"}
        with fusing.only():
            torch.testing.assert_close(got, net(x), rtol=1e-4, atol=1e-5)


def test_gelu_is_near_everywhere(instruction_set):
    """Relative to itself, also far below nought; a convolution by one leaves x as it is."""
    x = torch.linspace(-9, 9, 20_001)
    y, activated, one = torch.empty_like(x), torch.empty_like(x), torch.ones(1)
    places = (x.data_ptr(), one.data_ptr(), None, y.data_ptr(), activated.data_ptr())
    task = DepthwiseTask(1, len(x), 1, 1, 1, 0, ACTIVATIONS["gelu"], 1, *places)
    part.library().call("sparx_depthwise_forward", task)
    assert torch.equal(y, x)
    # The tail by itself: 1 + erf has no digits there.
    exact = x.double() * torch.special.erfc(-x.double() / 2**0.5) / 2
    # The bell's exponent is rounded: half of a last digit of x^2 / 2.
    allowed = 1e-6 + x.double().square() * 2**-24
    assert bool(((activated - exact).abs() <= allowed * exact.abs()).all())
