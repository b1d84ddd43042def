"""Time the four-direction scan, forward and backward, against its specification; prints JSON.

Values and gradients are compared before anything is timed. The specification's backward pass is
quadratic in L, so it is compared and timed on smaller maps only.
"""

import torch
from timing import report, time_it

from sparx_nas import kernels

# batch, side, inner width D, rank R, states N
SHAPES = [
    (64, 1, 256, 8, 1),
    (64, 4, 128, 4, 1),
    (64, 8, 96, 3, 1),
    (64, 16, 48, 2, 1),
    (4, 14, 320, 10, 1),
    (2, 28, 384, 12, 1),
    (8, 8, 96, 6, 4),
]
SPECIFICATION_UP_TO = 8 * 64**2
"""Samples times L squared, by which the specification's backward pass takes its time."""
TOLERANCE = 1e-4


def inputs(batch, side, channels, rank, states):
    """Return x and the scan's five parameters, as small as trained ones."""
    shapes = [
        (batch, side, side, channels),
        (4 * (rank + 2 * states), channels, 1),
        (4, channels, rank),
        (4, channels),
        (4 * channels, states),
        (4 * channels,),
    ]
    scales = (1.0, channels**-0.5, rank**-0.5, 0.5, 0.3, 1.0)
    drawn = (torch.randn(s) * scale for s, scale in zip(shapes, scales, strict=True))
    return [t.requires_grad_() for t in drawn]


def step(backend, tensors):
    """Run forward and backward; return the result and all gradients."""
    y = kernels.ss2d(*tensors, backend=backend)
    return [y.detach(), *torch.autograd.grad(y.square().mean(), tensors)]


def forward(backend, tensors):
    """Run forward without gradients."""
    with torch.no_grad():
        return kernels.ss2d(*tensors, backend=backend)


def check(tensors) -> float:
    """Return the largest difference over the specification's standard deviation."""
    worst = 0.0
    for got, expected in zip(step("torch", tensors), step("reference", tensors), strict=True):
        worst = max(worst, ((got - expected).abs().max() / expected.std().clamp_min(1e-12)).item())
    assert worst <= TOLERANCE, f"wrong values: {worst}"
    return worst


def main() -> None:
    """Print the record."""
    torch.manual_seed(0)
    results = []
    for shape in SHAPES:
        batch, side, *rest = shape
        whole, part = inputs(*shape), inputs(min(batch, 2), min(side, 9), *rest)
        about = dict(zip(("batch", "side", "channels", "rank", "states"), shape, strict=True))
        about["difference"] = check(part)
        backends = ["torch"] + ["reference"] * (batch * side**4 <= SPECIFICATION_UP_TO)
        for backend in backends:
            repeats = 10 if backend == "torch" else 3
            for what, run in (("forward", forward), ("forward and backward", step)):
                timed = time_it(
                    lambda run=run, backend=backend, whole=whole: run(backend, whole),
                    repeats=repeats,
                    warm_up=1,
                )
                results.append(about | {"backend": backend, "what": what} | timed)
    report("scan", results)


if __name__ == "__main__":
    main()
