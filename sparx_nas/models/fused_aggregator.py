"""An aggregator as one operator, where a fused part may stand in for its modules."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparx_nas.kernels.convolution import DepthwiseConv2d, PointwiseConv2d
from sparx_nas.kernels.fused import aggregator
from sparx_nas.kernels.fusing import stands_in
from sparx_nas.models.norms import PositionNorm, SampleNorm

COMPILED = ("auto", "cpu")
"""The backends of a mixer that the compiled part stands for."""


def aggregated(op: Any, x: Tensor, context: Sequence[Tensor], inner: int) -> Tensor | None:
    """Return what a mixer's aggregator makes; None where its modules have to do the work."""
    C = x.shape[1]
    if op.scale is not None or op.backend not in COMPILED or C < 4 or C % (C // 4):
        return None
    if not stands_in("aggregator", x, *_typed(op)):
        return None
    query, key = _path(op.q), _path(op.k)
    norms = [op.d_proj[1], *query[1], *key[1], op.v[1]]
    if not _fit(norms, x):
        return None
    weights = (
        *(op.d_norm.weight, op.d_norm.bias, op.d_proj[0].weight),
        *(op.d_proj[1].weight, op.d_proj[1].bias, op.d_proj[3].weight, op.d_proj[3].bias),
        *(*query[0], *key[0], op.v[0].weight, op.v[1].weight, op.v[1].bias),
        *(op.in_proj[0].weight, op.in_proj[0].bias, op.in_proj[2].weight, op.in_proj[2].bias),
    )
    conv = weights[7]
    reduction = 1 if conv is None else conv.shape[2] - 1
    how = aggregator.How(op.d_norm.eps, type(op.d_norm) is SampleNorm, reduction, inner)
    maps = context[0] if len(context) == 1 else torch.cat(tuple(context), dim=1)
    return aggregator.aggregate(x, maps, weights, norms, how)


def _path(modules: Any) -> tuple[list[Any], list[Any]]:
    """Return weights and batch norms of queries or keys; None for what is not reduced."""
    first, mapped, last = modules
    reduced = None if type(first) is nn.Identity else first
    norm: Any = None if reduced is None else reduced[1]
    weights = [None] * 3 if reduced is None else [reduced[0].weight, norm.weight, norm.bias]
    return [*weights, mapped.weight, last.weight, last.bias], [norm, last]


def _typed(op: Any) -> list[tuple[nn.Module, type[nn.Module]]]:
    """Return an aggregator's modules and the types that they have to have."""
    norm = SampleNorm if type(op.d_norm) is SampleNorm else PositionNorm
    typed = [(op, type(op)), (op.d_norm, norm)]
    sequences = [op.d_proj, op.q, op.k, op.v, op.in_proj]
    kinds = (
        (DepthwiseConv2d, nn.BatchNorm2d, nn.GELU, PointwiseConv2d, nn.GELU),
        *((None, PointwiseConv2d, nn.BatchNorm2d),) * 2,
        *((PointwiseConv2d, nn.BatchNorm2d), (DepthwiseConv2d, nn.GELU, nn.Conv2d)),
    )
    for sequence, row in zip(sequences, kinds, strict=True):
        typed.append((sequence, nn.Sequential))
        if len(sequence) != len(row):
            return [(op, nn.Identity)]
        for module, kind in zip(sequence, row, strict=True):
            if kind is not None:
                typed.append((module, kind))
            elif type(module) is not nn.Identity:
                typed.append((module, nn.Sequential))
                typed += zip(module, (nn.Conv2d, nn.BatchNorm2d, nn.GELU), strict=True)
    return typed


def _fit(norms: Sequence[Any], x: Tensor) -> bool:
    """Tell whether batch norms keep statistics, and have more than one value a channel."""
    return all(
        norm is None
        or (
            norm.running_mean is not None
            and norm.weight is not None
            and norm.running_mean.dtype == torch.float32
            and (not norm.training or len(x) > 1)
        )
        for norm in norms
    )
