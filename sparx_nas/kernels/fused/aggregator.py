"""A ganglion's aggregator as one operator; see `sparx_nas.models.aggregator`.

Letters: B batch, C width, H x W map, S sources, E = S * C, D inner width, K = reduction + 1.
Source: arXiv 2409.09649, sec. 3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, gelu

from sparx_nas.kernels import channel_attention
from sparx_nas.kernels.fused import plainly
from sparx_nas.kernels.fused.part import Part
from sparx_nas.kernels.tasks import AggregatorTask


@dataclass(frozen=True)
class How:
    """Settings: `whole` norms samples, else places; `reduction` shrinks queries and keys."""

    eps: float
    whole: bool
    reduction: int
    inner: int


def aggregate(
    x: Tensor, maps: Tensor, weights: Sequence[Any], norms: Sequence[nn.Module | None], how: How
) -> Tensor:
    """Return (B, D, H, W) for a stream x (B, C, H, W) and the maps of a context (B, E, H, W).

    `weights` are, each with its bias: the norm of the maps (E,), their convolution (E, 1, 3, 3)
    without one, batch norm and map to keys and values (2C, E, 1, 1); of queries and of keys the
    convolution (C, 1, K, K) without one and batch norm, None where nothing is reduced, and of both
    and of values map (C, C, 1, 1) without one and batch norm; at last the convolution
    (3C, 1, 3, 3) and the grouped map to what three groups can make of D channels.
    `norms` are the six batch norms in this order, whose running statistics move as in torch.
    """
    batch, C, height, width = x.shape
    E, r = maps.shape[1], how.reduction
    settings = (
        *(batch, height, width, C, E // C, how.inner, r, int(how.whole)),
        *(torch.get_num_threads(), how.eps),
    )
    made, reduced = how.inner // 3 * 3, r > 1
    path = ((r + 1) ** 2 * C * reduced, C * reduced, C * reduced, C * C, C, C)
    counts = (
        *(E, E, 9 * E, E, E, 2 * C * E, 2 * C, *path, *path, *path[3:]),
        *(27 * C, 3 * C, made * C, made),
    )
    options = torch.tensor([_options(norm) for norm in norms], dtype=torch.float32)
    means, variances = (
        [None if norm is None else getattr(norm, name) for norm in norms]
        for name in ("running_mean", "running_var")
    )
    trains = [norm is not None and norm.training for norm in norms]
    plainly_too = partial(plain, trains=trains, means=means, variances=variances, how=how)
    buffers = (options, *means, *variances)
    part = Part(AggregatorTask, settings, counts, how.inner, plainly_too, buffers)
    return part(x, maps, *weights)


def plain(
    x: Tensor,
    maps: Tensor,
    *weights: Any,
    trains: Sequence[bool],
    means: Sequence[Tensor | None],
    variances: Sequence[Tensor | None],
    how: How,
) -> Tensor:
    """Compute `aggregate` in operators of torch, running statistics as they are."""

    def normed(t: Tensor, which: int, weight: Tensor, bias: Tensor) -> Tensor:
        running = (None, None) if trains[which] else (means[which], variances[which])
        return batch_norm(t, *running, weight, bias, trains[which])

    def path(t: Tensor, which: int, conv: Any, bn: Any, bn_b: Any, *rest: Any) -> Tensor:
        if conv is not None:
            r = how.reduction
            t = conv2d(t, conv, stride=r, padding=(r + 1) // 2, groups=len(conv))
            t = gelu(normed(t, which, bn, bn_b))
        return normed(conv2d(t, rest[0]), which + 1, *rest[1:])

    norm, norm_b, conv, bn, bn_b, proj, proj_b = weights[:7]
    mix, mix_b, grouped, grouped_b = weights[-4:]
    seen = plainly.norm(maps, norm, norm_b, how.eps, how.whole)
    seen = gelu(normed(plainly.depthwise(seen, conv, None, add_input=False), 0, bn, bn_b))
    key_in, value_in = gelu(conv2d(seen, proj, proj_b)).chunk(2, dim=1)
    query, key = path(x, 1, *weights[7:13]), path(key_in, 3, *weights[13:19])
    value = path(value_in, 4, None, None, None, *weights[19:22])
    read = channel_attention.plain(query, key, value, x.shape[1] // 4)
    stream = query if query.shape[2:] == x.shape[2:] else x
    joined = torch.cat([stream, read, value], dim=1)
    shuffled = joined.unflatten(1, (-1, 3)).transpose(1, 2).flatten(1, 2)
    mixed = gelu(plainly.depthwise(shuffled, mix, mix_b, add_input=False))
    return plainly.padded(conv2d(mixed, grouped, grouped_b, groups=3), how.inner)


def _options(norm: Any) -> tuple[float, float, float]:
    """Say whether a batch norm trains, how far its statistics move in this pass, and its eps.

    It counts the pass, as torch does.
    """
    if norm is None or not norm.training:
        return 0.0, 0.0, 0.0 if norm is None else norm.eps
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if norm.momentum is None:
            return 1.0, 1 / float(norm.num_batches_tracked), norm.eps
    return 1.0, norm.momentum or 0.0, norm.eps
