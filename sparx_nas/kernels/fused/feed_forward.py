"""The second half of a block: norm, widen, convolve by depth, activate, narrow, add the stream.

Letters: B batch, C width, M hidden width, H x W map, K kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sparx_nas.kernels.fused import plainly
from sparx_nas.kernels.fused.part import Part
from sparx_nas.kernels.tasks import ACTIVATIONS, FeedForwardTask


@dataclass(frozen=True)
class How:
    """Settings: `whole` norms samples, else places; `residual` is for the convolution."""

    eps: float
    whole: bool
    residual: bool
    activation: str


def feed_forward(x: Tensor, weights: Sequence[Any], how: How) -> Tensor:
    """Return scale * x + shift + fc2(act(conv(fc1(norm(x))))) for a map (B, C, H, W).

    `weights` are weight and bias of norm (C,), fc1 (M, C, 1, 1), the convolution (M, 1, K, K), fc2
    (C, M, 1, 1), and the scale (C, 1, 1, 1) and shift (C,); None where there is none.
    """
    batch, C, height, width = x.shape
    M, conv = len(weights[2]), weights[4]
    kernel = 0 if conv is None else conv.shape[2]
    settings = (
        *(batch, height, width, C, M, kernel, int(how.residual), ACTIVATIONS[how.activation]),
        *(int(how.whole), torch.get_num_threads(), how.eps),
    )
    conv_bias = M if kernel else 0
    counts = (C, C, M * C, M, kernel * kernel * M, conv_bias, C * M, C, C, C)
    part = Part(FeedForwardTask, settings, counts, C, partial(plain, how=how))
    return part(x, *weights)


def plain(x: Tensor, *weights: Any, how: How) -> Tensor:
    """Compute `feed_forward` in operators of torch."""
    norm, norm_b, fc1, fc1_b, conv, conv_b, fc2, fc2_b, scale, shift = weights
    h = conv2d(plainly.norm(x, norm, norm_b, how.eps, how.whole), fc1, fc1_b)
    if conv is not None:
        h = plainly.depthwise(h, conv, conv_b, add_input=how.residual)
    out = conv2d(plainly.ACTIVATIONS[how.activation](h), fc2, fc2_b)
    return out + plainly.scaled(x, scale, shift)
