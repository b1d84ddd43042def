"""Triton's interpreter against the float64 specification; run with TRITON_INTERPRET=1.

Prints a line for each case: its name, and the largest difference over the spread.
"""

import sys

import torch
from test_kernels import map_inputs, sequence_inputs, values_and_gradients

from sparx_nas import kernels
from sparx_nas.kernels import reference, triton_ss2d

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


def spoil(make):
    return lambda *args, **named: make(*args, **named).fill_(torch.nan)


def main() -> None:
    torch.manual_seed(0)

    def scan(*inputs):
        return kernels.ss2d(*inputs, backend="triton")

    def one_way(*inputs):
        return kernels.selective_scan(*inputs, backend="triton")

    triton_ss2d.torch.empty = spoil(torch.empty)
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
    print("bfloat16", float((y.double() - exact).abs().max() / exact.std()) / 1000, sep="\t")
    empty = kernels.ss2d(x[:0], *weights, backend="triton")
    assert empty.shape == (0, 3, 4, 5)


if __name__ == "__main__":
    sys.exit(main())
