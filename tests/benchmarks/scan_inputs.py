"""Inputs of the scans that benchmarks time, as large as those of a freshly drawn network."""

import torch
from torch import Tensor


def map_inputs(
    batch: int, height: int, width: int, channels: int, rank: int, states: int
) -> list[Tensor]:
    """Return a map and the five parameters of its scan, all asking for gradients."""
    shapes = [
        (batch, height, width, channels),
        (4 * (rank + 2 * states), channels, 1),
        (4, channels, rank),
        (4, channels),
        (4 * channels, states),
        (4 * channels,),
    ]
    scales = (1.0, channels**-0.5, rank**-0.5, 0.5, 0.3, 1.0)
    drawn = [torch.randn(s) * scale for s, scale in zip(shapes, scales, strict=True)]
    return [t.requires_grad_() for t in drawn]


def sequence_inputs(
    batch: int, groups: int, channels: int, states: int, length: int
) -> list[Tensor]:
    """Return u, delta, A, B, C, D and bias of a scan in one direction, asking for gradients."""
    wide, rows = (batch, groups * channels, length), (batch, groups, states, length)
    shapes = [wide, wide, (wide[1], states), rows, rows, (wide[1],), (wide[1],)]
    drawn = [torch.randn(shape) for shape in shapes]
    drawn[2] = -drawn[2].mul(0.3).exp()
    # Steps of 0.001 to 0.1, as the official initialisation draws them.
    drawn[1], drawn[6] = drawn[1] * 0.3, drawn[6] * 0.7 - 4
    return [t.requires_grad_() for t in drawn]
