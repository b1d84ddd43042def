"""Single layers as one operator each: norm, norm and 1x1 map, depthwise convolution."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sparx_nas.kernels.fused import plainly
from sparx_nas.kernels.fused.part import Part
from sparx_nas.kernels.tasks import ConvolutionTask, ProjectionTask


def norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float, whole: bool) -> Tensor:
    """Normalise a map (B, C, H, W) over whole samples, or at each position over its channels."""
    return projection(x, (weight, bias, None, None), eps=eps, whole=whole)


def projection(x: Tensor, weights: Sequence[Any], *, eps: float, whole: bool) -> Tensor:
    """Norm a map (B, C, H, W), and map its channels to D if there is a map.

    `weights` are weight and bias of the norm (C,) and of the map (D, C, 1, 1), or None.
    """
    batch, C, height, width = x.shape
    D = 0 if weights[2] is None else len(weights[2])
    settings = (batch, height, width, C, D, int(whole), torch.get_num_threads(), eps)
    plain = partial(plain_projection, eps=eps, whole=whole)
    return Part(ProjectionTask, settings, (C, C, D * C, D), D or C, plain)(x, *weights)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, add_input: bool) -> Tensor:
    """Convolve a map (B, C, H, W) by depth, by a weight (C, 1, K, K); the size stays."""
    batch, C, height, width = x.shape
    kernel = weight.shape[2]
    settings = (batch, height, width, C, kernel, int(add_input), torch.get_num_threads())
    plain = partial(plainly.depthwise, add_input=add_input)
    return Part(ConvolutionTask, settings, (kernel * kernel * C, C), C, plain)(x, weight, bias)


def plain_projection(x: Tensor, *weights: Any, eps: float, whole: bool) -> Tensor:
    """Compute `projection` in operators of torch."""
    norm_w, norm_b, proj, proj_b = weights
    normed = plainly.norm(x, norm_w, norm_b, eps, whole)
    return normed if proj is None else conv2d(normed, proj, proj_b)
