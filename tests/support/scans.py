"""Inputs of the scans, and what they come to forward and backward."""

import torch


def map_inputs(batch, height, width, channels, rank, states, dtype=torch.float64):
    """Return x and the five parameters of a scan, all asking for gradients."""
    shapes = [
        (batch, height, width, channels),
        (4 * (rank + 2 * states), channels, 1),
        (4, channels, rank),
        (4, channels),
        (4 * channels, states),
        (4 * channels,),
    ]
    scales = (1, channels**-0.5, rank**-0.5, 1, 1, 1)
    drawn = [torch.randn(shape, dtype=dtype) * s for shape, s in zip(shapes, scales, strict=True)]
    return [t.requires_grad_() for t in drawn]


def sequence_inputs(batch, groups, channels, states, length, dtype=torch.float64):
    """Return u, delta, A, B, C, D, delta_bias of a scan in one direction."""
    wide, rows = (batch, groups * channels, length), (batch, groups, states, length)
    shapes = [wide, wide, (wide[1], states), rows, rows, (wide[1],), (wide[1],)]
    inputs = [torch.randn(shape, dtype=dtype) for shape in shapes]
    inputs[2] = -inputs[2].exp()
    return [t.requires_grad_() for t in inputs]


def values_and_gradients(function, inputs):
    """Run a function and return its result and the gradients of a fixed weighted sum of it."""
    y = function(*inputs)
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)
    return [y, *torch.autograd.grad((y * weights).sum(), inputs)]
