"""Triton's interpreter against the float64 specification; run with TRITON_INTERPRET=1.

Prints a line for each case: its name, and the largest difference over the spread.
"""

import sys

import torch
from torch.utils.flop_counter import FlopCounterMode

import sparx_nas
from sparx_nas import kernels, patterns
from sparx_nas.kernels import reference
from sparx_nas.kernels.channel_attention import channel_attention, operator
from support.scans import map_inputs, sequence_inputs, values_and_gradients

MAPS = {
    "one place": (2, 1, 1, 5, 1, 1),
    "one row": (1, 1, 7, 3, 2, 1),
    "rectangle, odd": (2, 3, 7, 19, 2, 1),
    "over a tile": (1, 5, 7, 67, 3, 1),
    "rank of two tiles": (1, 2, 3, 8, 40, 1),
    "two states": (1, 3, 4, 5, 2, 2),
    "sixteen states": (1, 2, 3, 5, 2, 16),
}
SEQUENCES = {
    "one step": (1, 1, 1, 1, 1),
    "sets": (2, 3, 5, 1, 33),
    "states": (1, 2, 7, 4, 18),
}

ATTENTIONS = {
    "attention: as large": (2, 8, 2, (3, 5), (3, 5)),
    "attention: smaller queries": (1, 12, 3, (2, 2), (5, 7)),
    "attention: one place": (1, 4, 1, (1, 1), (1, 1)),
    "attention: over a tile": (1, 70, 35, (9, 9), (3, 3)),
    "attention: a group a tile": (1, 32, 32, (2, 3), (8, 9)),
}


def off(function, specification, inputs) -> float:
    exact = values_and_gradients(
        specification, [t.detach().double().requires_grad_() for t in inputs]
    )
    got = values_and_gradients(function, [t.detach().requires_grad_() for t in inputs])
    worst = 0.0
    for a, b in zip(got, exact, strict=True):
        a, b = a.detach(), b.detach()
        assert a.shape == b.shape
        if b.numel():
            scale = max(float(b.std(correction=0)), float(b.abs().mean()), 1e-12)
            worst = max(worst, float((a.double() - b).abs().max()) / scale)
            assert not a.isnan().any()
    return worst


def attention_inputs(batch, channels, small, large, scale=1.0):
    shapes = [(batch, channels, *small)] * 2 + [(batch, channels, *large)]
    factors = (scale, 1.0, 1.0)
    return [(torch.randn(s) * f).requires_grad_() for s, f in zip(shapes, factors, strict=True)]


def attentions() -> None:
    """Compare the channel attention, and its shape, type and gradient rules."""
    for name, (batch, channels, group, small, large) in ATTENTIONS.items():
        for scale in (1.0, 30.0) if "smaller" in name else (1.0,):
            inputs = attention_inputs(batch, channels, small, large, scale)

            def fused(q, k, v, group=group):
                return channel_attention(q, k, v, group, backend="triton")

            def exact(q, k, v, group=group):
                return channel_attention(q, k, v, group)

            print(f"{name}, {scale:g}", off(fused, exact, inputs) / scale, sep="\t")
    q, k, v = attention_inputs(1, 8, (2, 3), (4, 5))
    factor = torch.full((1,), 0.3).requires_grad_()

    def factored(backend):
        return lambda q, k, v, f: channel_attention(q, k, v, 4, scale=f, backend=backend)

    own = off(factored("triton"), factored("torch"), [q, k, v, factor])
    print("attention: a factor", own, sep="\t")
    wide = [t.detach().transpose(2, 3).contiguous().transpose(2, 3) for t in (q, k, v)]
    assert not wide[2].is_contiguous()
    strided = channel_attention(*wide, 4, backend="triton") - channel_attention(q, k, v, 4)
    print("attention: strided", float(strided.detach().abs().max()), sep="\t")
    halves = channel_attention(*(t.bfloat16() for t in (q, k, v)), 4, backend="triton")
    assert halves.dtype == torch.bfloat16
    difference = float((halves - channel_attention(q, k, v, 4)).detach().abs().max())
    print("attention: bfloat16", difference / 3000, sep="\t")
    assert channel_attention(q[:0], k[:0], v[:0], 4, backend="triton").shape == (0, 8, 4, 5)
    torch.library.opcheck(operator, (q, k, v, 4))
    count = FlopCounterMode(display=False)
    with count:
        channel_attention(q, k, v, 4, backend="triton").sum().backward()
    fused_count = count.get_total_flops()
    with count:
        channel_attention(q, k, v, 4).sum().backward()
    assert fused_count == count.get_total_flops()


def network() -> None:
    """Compare a whole design, ganglia and all, that is told to compute with Triton."""
    graph = patterns.dense((1, 2))
    design = sparx_nas.Architecture(graph=graph, widths=(8, 12), reductions=(2, 1))
    # Small: the interpreter takes its time for every channel of every position.
    x = torch.randn(2, 3, 8, 8)
    found = []
    for backend in ("triton", "reference"):
        torch.manual_seed(0)
        net = sparx_nas.build(design, 3, stem_stride=2, backend=backend).eval()
        logits = net(x)
        logits.square().sum().backward()
        found.append([logits.detach(), *(p.grad for p in net.parameters())])
    worst = max(
        float((a - b).abs().max() / b.abs().max().clamp_min(1e-3))
        for a, b in zip(*found, strict=True)
    )
    print("a network", worst / 10, sep="\t")


def spoil(make):
    return lambda *args, **named: make(*args, **named).fill_(torch.nan)


def main() -> None:
    torch.manual_seed(0)

    def scan(*inputs):
        return kernels.ss2d(*inputs, backend="triton")

    def one_way(*inputs):
        return kernels.selective_scan(*inputs, backend="triton")

    for name in ("empty", "empty_like"):
        setattr(torch, name, spoil(getattr(torch, name)))
    attentions()
    network()
    for name, sizes in MAPS.items():
        print(name, off(scan, reference.ss2d, map_inputs(*sizes, torch.float32)), sep="\t")
    for name, sizes in SEQUENCES.items():
        inputs = sequence_inputs(*sizes, torch.float32)
        print(name, off(one_way, reference.selective_scan, inputs), sep="\t")
    for bias in (-90.0, 90.0):
        inputs = map_inputs(1, 3, 4, 5, 2, 1, torch.float32)
        inputs[3] = torch.full_like(inputs[3], bias).requires_grad_()
        inputs[4] = torch.full_like(inputs[4], 6.0).requires_grad_()
        print(f"bias {bias:g}", off(scan, reference.ss2d, inputs) / 10, sep="\t")
    x, *weights = (t.detach() for t in map_inputs(1, 3, 4, 5, 2, 1, torch.float32))
    exact = reference.ss2d(x.bfloat16().double(), *(t.double() for t in weights))
    y = scan(x.bfloat16(), *weights)
    assert y.dtype == torch.bfloat16
    # What each direction adds is rounded to the map's type, and so is the sum.
    print("bfloat16", float((y.double() - exact).abs().max() / exact.std()) / 2000, sep="\t")
    empty = kernels.ss2d(x[:0], *weights, backend="triton")
    assert empty.shape == (0, 3, 4, 5)


if __name__ == "__main__":
    sys.exit(main())
