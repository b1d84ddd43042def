"""The end of a scanning mixer and the first half of a block: convolve, scan, norm, map, add.

Letters: B batch, C width, D inner width, H x W map, K kernel; the scan's as in `kernels.ss2d`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sparx_nas.kernels import reference
from sparx_nas.kernels.cpu import GRADIENT_ELEMENTS, shares
from sparx_nas.kernels.fused import plainly
from sparx_nas.kernels.fused.part import Part
from sparx_nas.kernels.reference import DIRECTIONS
from sparx_nas.kernels.tasks import ACTIVATIONS, ScanTask


@dataclass(frozen=True)
class How:
    """Settings: `whole` norms samples, else places."""

    eps: float
    whole: bool
    activation: str


def scan(h: Tensor, x: Tensor, weights: Sequence[Any], how: How) -> Tensor:
    """Return scale * x + shift + out_proj(out_norm(ss2d(act(conv(h))))) as a map (B, C, H, W).

    h (B, D, H, W), the stream x (B, C, H, W). `weights` are weight and bias of the convolution
    (D, 1, K, K), the five parameters of `ss2d`, weight and bias of out_norm (D,), of out_proj
    (C, D, 1, 1), and the scale (C, 1, 1, 1) and shift (C,); None where there is none.
    """
    batch, D, height, width = h.shape
    C, conv, rank, states = x.shape[1], weights[0], weights[3].shape[2], weights[5].shape[1]
    kernel, threads = 0 if conv is None else conv.shape[2], torch.get_num_threads()
    chunk = max(threads, GRADIENT_ELEMENTS // (DIRECTIONS * D * height * width))
    settings = (
        *(batch, height, width, C, D, kernel, ACTIVATIONS[how.activation], int(how.whole)),
        *(rank, states, min(batch, chunk), shares(batch, D)[0], threads, how.eps),
    )
    codes = DIRECTIONS * (rank + 2 * states)
    counts = (
        *(kernel * kernel * D, D if kernel else 0, codes * D, DIRECTIONS * D * rank),
        *(DIRECTIONS * D, DIRECTIONS * D * states, DIRECTIONS * D, D, D, C * D, C, C, C),
    )
    part = Part(ScanTask, settings, counts, C, partial(plain, how=how))
    return part(h, x, *weights)


def plain(h: Tensor, x: Tensor, *weights: Any, how: How) -> Tensor:
    """Compute `scan` in operators of torch."""
    conv, conv_b, *parameters = weights[:7]
    norm, norm_b, proj, proj_b, scale, shift = weights[7:]
    if conv is not None:
        h = plainly.depthwise(h, conv, conv_b, add_input=False)
    given = plainly.ACTIVATIONS[how.activation](h).permute(0, 2, 3, 1)
    y = reference.ss2d(given, *parameters).permute(0, 3, 1, 2)
    out = conv2d(plainly.norm(y, norm, norm_b, how.eps, how.whole), proj, proj_b)
    return out + plainly.scaled(x, scale, shift)
