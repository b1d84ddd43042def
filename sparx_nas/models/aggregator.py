"""DMCA, the dynamic multi-layer channel aggregator: how a ganglion layer reads earlier layers.

The modules live directly on the mixer (`op.d_norm`, `op.q` …), where the official checkpoints have
them; hence functions over a mixer rather than a module of its own. Letters: B batch, C width,
H x W map, E = C * sources, L = H*W, D inner width of the mixer. Source: arXiv 2409.09649, sec. 3.3.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparx_nas.architecture.plan import BackbonePlan, StagePlan
from sparx_nas.kernels.channel_attention import channel_attention
from sparx_nas.kernels.convolution import DepthwiseConv2d, PointwiseConv2d
from sparx_nas.kernels.fused.plainly import padded
from sparx_nas.models.fused_aggregator import aggregated
from sparx_nas.models.norms import make_norm

GROUPS = 4
"""Channels attend to one another within contiguous groups of C // GROUPS."""


def add_aggregator(op: nn.Module, plan: BackbonePlan, stage: StagePlan, sources: int) -> None:
    """Give a mixer the modules of an aggregator of `sources` maps; none for 0.

    `scale` is the learnable factor (1,) of a ganglion's scores, for plans that have one.
    """
    scale = None
    if sources and plan.attention_scale is not None:
        scale = nn.Parameter(torch.full((1,), plan.attention_scale))
    op.register_parameter("scale", scale)
    for name, module in _modules(plan, stage, sources).items() if sources else ():
        op.add_module(name, module)


def _modules(plan: BackbonePlan, stage: StagePlan, sources: int) -> dict[str, nn.Module]:
    """Return the modules of an aggregator, in the official order."""
    C, E, inner = stage.width, stage.width * sources, 3 * (stage.inner // 3)
    return {
        "d_norm": make_norm(plan.norm, E, plan.family.norm_eps),
        "d_proj": nn.Sequential(
            DepthwiseConv2d(E, 3, bias=False),
            nn.BatchNorm2d(E),
            nn.GELU(),
            PointwiseConv2d(E, 2 * C),
            nn.GELU(),
        ),
        "q": nn.Sequential(_reduction(C, stage.reduction), *_projection(C)),
        "k": nn.Sequential(_reduction(C, stage.reduction), *_projection(C)),
        "v": nn.Sequential(*_projection(C)),
        "in_proj": nn.Sequential(
            DepthwiseConv2d(3 * C, 3),
            nn.GELU(),
            nn.Conv2d(3 * C, inner, 1, groups=3),
        ),
    }


def aggregate(op: Any, x: Tensor, context: Sequence[Tensor], inner: int) -> Tensor:
    """Return (B, D, H, W) for a stream x (B, C, H, W) and the maps of its context, in order.

    The stream asks for channels of the context: attention among channels, in groups.
    Where queries are as large as the map they replace the stream in what follows, as upstream.
    """
    if (fused := aggregated(op, x, context, inner)) is not None:
        return fused
    maps = context[0] if len(context) == 1 else torch.cat(tuple(context), dim=1)
    key_source, value_source = op.d_proj(op.d_norm(maps)).chunk(2, dim=1)
    query, value = op.q(x), op.v(value_source)
    key, group = op.k(key_source), value.shape[1] // GROUPS
    read = channel_attention(query, key, value, group, scale=op.scale, backend=op.backend)
    stream = query if query.shape[2:] == x.shape[2:] else x
    mixed = op.in_proj(_shuffle(torch.cat([stream, read, value], dim=1)))
    return padded(mixed, inner)


def _reduction(channels: int, ratio: int) -> nn.Module:
    """Return what shrinks queries and keys by `ratio`."""
    if ratio <= 1:
        return nn.Identity()
    conv = nn.Conv2d(
        channels,
        channels,
        ratio + 1,
        stride=ratio,
        padding=(ratio + 1) // 2,
        groups=channels,
        bias=False,
    )
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.GELU())


def _projection(channels: int) -> tuple[nn.Module, nn.Module]:
    """Return a 1x1 map and its BatchNorm."""
    return PointwiseConv2d(channels, channels, bias=False), nn.BatchNorm2d(channels)


def _shuffle(x: Tensor) -> Tensor:
    """Move channel c*3 + m to m*C + c."""
    moved: Tensor = x.unflatten(1, (-1, 3)).transpose(1, 2).flatten(1, 2)
    return moved
