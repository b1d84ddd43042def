"""Depthwise convolution with a weight gradient that stays fast on maps smaller than the kernel.

There oneDNN's weight gradient falls back to a slow path; summing the taps that meet the map is
quicker for most shapes (runs/benchmarks/depthwise.json, with those where it gains nothing).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of stride 1 and odd kernel that keeps the map's size."""

    def __init__(self, channels: int, kernel: int, *, bias: bool = True) -> None:
        """Make one filter of kernel x kernel a channel."""
        super().__init__(
            channels, channels, kernel, padding=kernel // 2, groups=channels, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        small = min(input.shape[2:]) < self.kernel_size[0]
        plain = input.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        if small and plain and torch.is_grad_enabled():
            out: Tensor = _SmallMapConv.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return out
        return super().forward(input)


class _SmallMapConv(torch.autograd.Function):
    """conv2d with a weight gradient summed tap by tap."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve, keeping x and the weight."""
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return conv2d(x, weight, bias, padding=weight.shape[2] // 2, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weight and bias."""
        x, weight = ctx.saved_tensors
        padding, groups = weight.shape[2] // 2, len(weight)
        grad_x = conv2d(gradient, weight.flip(2, 3), padding=padding, groups=groups)
        grad_bias = gradient.sum((0, 2, 3)) if ctx.has_bias else None
        return grad_x, _weight_gradient(x, gradient, weight), grad_bias


def _weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor) -> Tensor:
    """Sum gradient * shifted x over batch and positions, for every tap that meets the map."""
    channels, kernel, (height, width) = len(weight), weight.shape[2], x.shape[2:]
    rows, grads = (t.permute(0, 2, 3, 1) for t in (x, gradient))
    taps = x.new_zeros(kernel, kernel, channels)
    for i in range(kernel):
        for j in range(kernel):
            down, right = i - kernel // 2, j - kernel // 2
            if abs(down) < height and abs(right) < width:
                seen = rows[:, _part(height, down), _part(width, right)]
                asked = grads[:, _part(height, -down), _part(width, -right)]
                torch.sum((seen * asked).flatten(0, 2), 0, out=taps[i, j])
    return taps.permute(2, 0, 1).unsqueeze(1)


def _part(side: int, shift: int) -> slice:
    """Return the rows of a side that a shift by so many reads within the map."""
    return slice(max(0, shift), side + min(0, shift))
