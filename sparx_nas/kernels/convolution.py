"""Depthwise and 1x1 convolutions that are quick on a CPU, where maps are channels-last.

A 1x1 convolution of a channels-last map is one matrix product. The depthwise one is compiled
(csrc/depthwise_kernel.h); elsewhere both are torch's own.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear
from torch.utils.flop_counter import register_flop_formula

from sparx_nas.kernels.backends import missing
from sparx_nas.kernels.fused import single
from sparx_nas.kernels.fusing import keeps_size, stands_in
from sparx_nas.kernels.library import library
from sparx_nas.kernels.tasks import DepthwiseTask, fill
from sparx_nas.kernels.transforms import (
    differentiated_again,
    gradients_in_plain_torch,
    transformed,
)


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of stride 1 and odd kernel that keeps the map's size.

    With `add_input` the map itself is added to the result.
    """

    def __init__(
        self, channels: int, kernel: int, *, bias: bool = True, add_input: bool = False
    ) -> None:
        """Make one filter of kernel x kernel a channel."""
        super().__init__(
            channels, channels, kernel, padding=kernel // 2, groups=channels, bias=bias
        )
        self.add_input = add_input

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        own = (self, DepthwiseConv2d)
        if stands_in("depthwise", input, own) and keeps_size(self, groups=input.shape[1]):
            return single.depthwise(input, self.weight, self.bias, self.add_input)
        if _compiled_here(input, self.weight):
            y: Tensor = depthwise(input, self.weight, self.bias, self.add_input)
            return y
        y = super().forward(input)
        return input + y if self.add_input else y


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        """Map `inputs` channels to `outputs`."""
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W)."""
        rows = input.permute(0, 2, 3, 1)
        if input.device.type == "cpu" and rows.is_contiguous():
            return linear(rows, self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)
        return super().forward(input)


def _compiled_here(x: Tensor, weight: Tensor) -> bool:
    """Tell whether the compiled depthwise convolution takes these."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and not missing("cpu")
        and not transformed(x, weight)
    )


@torch.library.custom_op("sparx_nas::depthwise", mutates_args=(), device_types="cpu")
def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, add_input: bool) -> Tensor:
    """Convolve x (B, C, H, W) with weight (C, 1, K, K); the result is channels-last."""
    rows = x.detach().permute(0, 2, 3, 1).contiguous()
    y = torch.empty_like(rows)
    if rows.numel():
        given = {} if bias is None else {"bias": bias}
        task = _task(rows, weight, add_input, y=y, **given)
        library().call("sparx_depthwise_forward", task[0])
    return y.permute(0, 3, 1, 2)


@torch.library.custom_op("sparx_nas::depthwise_backward", mutates_args=(), device_types="cpu")
def depthwise_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, add_input: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias."""
    rows, given = (t.detach().permute(0, 2, 3, 1).contiguous() for t in (x, gradient))
    channels, taps = weight.shape[0], weight[0].numel()
    grad_x = torch.empty_like(rows)
    params = rows.new_zeros(torch.get_num_threads(), taps + 1, channels)
    if rows.numel():
        task = _task(rows, weight, add_input, gradient=given, grad_x=grad_x, grad_params=params)
        library().call("sparx_depthwise_backward", task[0])
    total = params.sum(0)
    of_weight = total[:taps].t().reshape(weight.shape)
    return grad_x.permute(0, 3, 1, 2), of_weight, total[taps].clone()


def _task(rows: Tensor, weight: Tensor, add_input: bool, **more: Tensor) -> tuple[Any, Any]:
    """Return a task and the tensors that have to live as long."""
    batch, height, width, channels = rows.shape
    threads = torch.get_num_threads()
    sizes = (batch, height, width, channels, weight.shape[2], int(add_input), 0, threads)
    tensors = {"x": rows, "weight": weight.detach().permute(2, 3, 1, 0)}
    return fill(DepthwiseTask, sizes, tensors | more)


@depthwise.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None, add_input: bool) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)


@depthwise_backward.register_fake
def _(
    gradient: Tensor, x: Tensor, weight: Tensor, add_input: bool
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x = torch.empty_like(x, memory_format=torch.channels_last)
    return grad_x, weight.new_empty(weight.shape), weight.new_empty(weight.shape[:1])


def _plain(x: Tensor, weight: Tensor, *, add_input: bool) -> Tensor:
    """Convolve without a bias, in torch's own operators."""
    y = conv2d(x, weight, padding=weight.shape[2] // 2, groups=weight.shape[0])
    return x + y if add_input else y


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, ctx.add_input = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(x, weight)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    if differentiated_again():
        x, weight = ctx.saved_tensors
        plain = partial(_plain, add_input=ctx.add_input)
        grads = gradients_in_plain_torch(plain, (x, weight), gradient)
        return *grads, gradient.sum((0, 2, 3)) if ctx.has_bias else None, None
    grad_x, of_weight, of_bias = depthwise_backward(gradient, *ctx.saved_tensors, ctx.add_input)
    return grad_x, of_weight, of_bias if ctx.has_bias else None, None


depthwise.register_autograd(_gradients, setup_context=_keep)


@register_flop_formula(torch.ops.sparx_nas.depthwise)
def depthwise_flop(x: tuple[int, ...], weight: tuple[int, ...], *a: object, **k: object) -> int:
    """Return two a multiply-add, as for torch's own convolution: padding counts as map."""
    batch, channels, height, width = x
    return 2 * batch * channels * height * width * weight[2] * weight[3]


@register_flop_formula(torch.ops.sparx_nas.depthwise_backward)
def depthwise_backward_flop(
    gradient: object, x: tuple[int, ...], weight: tuple[int, ...], *a: object, **k: object
) -> int:
    """Count twice the forward pass."""
    return 2 * depthwise_flop(x, weight)
