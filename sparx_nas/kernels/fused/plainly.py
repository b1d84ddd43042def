"""Single steps of a fused part in operators of torch: what the specifications are made of."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, group_norm, layer_norm, relu, silu

from sparx_nas.kernels.transforms import gradients_in_plain_torch

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"gelu": gelu, "silu": silu, "relu": relu}


def norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float, whole: bool) -> Tensor:
    """Normalise (B, C, H, W) over whole samples, or at each position over its channels."""
    if whole:
        return group_norm(x.contiguous(), 1, weight, bias, eps)
    return layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias, eps).permute(0, 3, 1, 2)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, *, add_input: bool) -> Tensor:
    """Convolve (B, C, H, W) by depth; the size stays."""
    y = conv2d(x, weight, bias, padding=weight.shape[2] // 2, groups=len(weight))
    return x + y if add_input else y


def scaled(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """Return scale * x + shift by channel, or x where there is no scale."""
    return x if scale is None or shift is None else x * scale[:, 0] + shift[:, None, None]


def padded(x: Tensor, channels: int) -> Tensor:
    """Append the one or two channels that three groups cannot make, as means of the others."""
    made = x.shape[1]
    missing = channels - made
    if missing == 0:
        return x
    half = (made + 1) // 2
    parts = [x] if missing == 1 else [x[:, :half], x[:, made - half :]]
    return torch.cat([x, *(part.mean(1, keepdim=True) for part in parts)], dim=1)


def differentiable(
    function: Callable[..., Tensor], inputs: Sequence[Tensor | None], gradient: Tensor
) -> list[Tensor | None]:
    """Return the gradients of a function such that they can be differentiated again."""
    there = [i for i, t in enumerate(inputs) if t is not None]

    def of_those(*tensors: Tensor) -> Tensor:
        whole = list(inputs)
        for i, tensor in zip(there, tensors, strict=True):
            whole[i] = tensor
        return function(*whole)

    given = [t for t in inputs if t is not None]
    found = gradients_in_plain_torch(of_those, given, gradient)
    out: list[Tensor | None] = [None] * len(inputs)
    for i, grad in zip(there, found, strict=True):
        out[i] = grad
    return out
