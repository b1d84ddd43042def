"""What stands in a single file for compiled kernels and for timm: plain PyTorch, equal results.

This text is copied into `model.py`; what it takes from `kernels` comes along.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sparx_nas.kernels.channel_attention import plain as attend
from sparx_nas.kernels.linear import ss2d as scan_map
from sparx_nas.kernels.linear import ss2d_backward as scan_map_backward


class SelectiveScan(torch.autograd.Function):
    """The scan as one step of autograd: it keeps its inputs and computes states again.

    Time and memory are linear in the positions of a map, forward and backward.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        """Scan in float32, or float64 if the map is."""
        ctx.save_for_backward(*inputs)
        return scan_map(*_wide(inputs, inputs[0])).to(inputs[0].dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of all inputs, each of its own type."""
        inputs: tuple[Tensor, ...] = ctx.saved_tensors
        grads = scan_map_backward(*_wide((gradient, *inputs), inputs[0]))
        return tuple(grad.to(t.dtype) for grad, t in zip(grads, inputs, strict=True))


def ss2d(
    x: Tensor,
    x_proj_weight: Tensor,
    dt_projs_weight: Tensor,
    dt_projs_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
) -> Tensor:
    """Scan a map in four directions and sum the results; x and the result are (B, H, W, D).

    x_proj_weight (4*(R+2N), D, 1), dt_projs_weight (4, D, R), dt_projs_bias (4, D), A_logs
    (4*D, N), Ds (4*D,). Each direction runs h_l = exp(d_l A) h_{l-1} + d_l B_l u_l and
    y_l = C_l . h_l + D u_l over the positions l of the map.
    """
    with torch.autocast(x.device.type, enabled=False):
        inputs = (x, x_proj_weight, dt_projs_weight, dt_projs_bias, A_logs, Ds)
        y: Tensor = SelectiveScan.apply(*inputs)  # type: ignore[no-untyped-call]
    return y


def _wide(tensors: Sequence[Tensor], like: Tensor) -> list[Tensor]:
    """Bring tensors to float32, or float64 if `like` is; they come out contiguous."""
    kind = torch.float64 if like.dtype == torch.float64 else torch.float32
    return [t.detach().to(kind).contiguous() for t in tensors]


def channel_attention(
    query: Tensor, key: Tensor, value: Tensor, group: int, *, scale: Tensor | None
) -> Tensor:
    """Return softmax(Q K^T / sqrt(H' W')) V within contiguous groups of `group` channels.

    query, key (B, C, H', W'); value and the result (B, C, H, W). `scale` (1,) takes the place of
    1 / sqrt(H' W').
    """
    if scale is not None:
        query = query * (scale * (query.shape[2] * query.shape[3]) ** 0.5)
    return attend(query, key, value, group)


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of stride 1 and odd kernel that keeps the map's size.

    With `add_input` the map itself is added to the result.
    """

    def __init__(
        self, channels: int, kernel: int, *, bias: bool = True, add_input: bool = False
    ) -> None:
        super().__init__(
            channels, channels, kernel, padding=kernel // 2, groups=channels, bias=bias
        )
        self.add_input = add_input

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        y = super().forward(input)
        return input + y if self.add_input else y


class DropPath(nn.Module):
    """Leave a branch out of a sample at a rate in training, and scale up what is kept."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to the same shape."""
        if not self.training:
            return x
        kept = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * kept / (1 - self.rate)
