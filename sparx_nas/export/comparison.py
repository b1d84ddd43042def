"""How far a form is from the network it was made of, on random and on extreme inputs."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sparx_nas.ground.errors import ExportError

BATCHES = (1, 2, 3, 17)
"""The last is there for what changes with large batches only; it has random input alone."""
SEED = 0
EXTREME = 20.0
"""An input of so many standard deviations, which no image has."""
TOLERANCE = 1e-4
"""Of the largest logit of a batch: what other orders of summation and other kernels may come to."""

Forward = Callable[[Tensor], Tensor]


def probes(image: tuple[int, int, int], batches: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
    """Yield named inputs (B, C, H, W) for an image (C, H, W), of every batch size."""
    draw = torch.Generator().manual_seed(SEED)
    for batch in batches:
        shape = (batch, *image)
        yield "random", torch.randn(shape, generator=draw)
        if batch == BATCHES[-1]:
            continue
        yield "far out", torch.randn(shape, generator=draw) * EXTREME
        yield "zero", torch.zeros(shape)
        yield "one value", torch.full(shape, EXTREME)


@torch.no_grad()
def compare(
    form: str,
    forward: Forward,
    model: nn.Module,
    image: tuple[int, int, int],
    *,
    batches: tuple[int, ...] = BATCHES,
) -> dict[str, Any]:
    """Return the largest difference of logits, as a share of the largest logit of its batch.

    Raises: ExportError naming the input if it is above `TOLERANCE`.
    """
    largest = 0.0
    for name, x in probes(image, batches):
        expected = model(x)
        difference = relative_difference(expected, forward(x))
        if not difference <= TOLERANCE:
            raise ExportError(
                f"{form}: logits are not the network's: off by {difference:.2g} of the largest "
                f"on {name} input in a batch of {len(x)}; at most {TOLERANCE:g} is accepted"
            )
        largest = max(largest, difference)
    return {
        "image_size": list(image[1:]),
        "batches": list(batches),
        "inputs": list(dict.fromkeys(name for name, _ in probes(image, batches))),
        "largest_difference": largest,
        "tolerance": TOLERANCE,
    }


def relative_difference(expected: Tensor, found: Tensor) -> float:
    """Return the largest difference over the largest expected value; NaN where shapes differ."""
    if expected.shape != found.shape:
        return float("nan")
    scale = float(expected.abs().max())
    off = float((expected.double() - found.double()).abs().max())
    return off / scale if scale else off
