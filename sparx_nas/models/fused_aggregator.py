"""An aggregator as one operator, where a fused part may stand in for its modules."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparx_nas.kernels.convolution import DepthwiseConv2d, PointwiseConv2d
from sparx_nas.kernels.fused import aggregator
from sparx_nas.kernels.fusing import keeps_size, stands_in
from sparx_nas.kernels.transforms import transformed
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
    if not _fit(norms, x) or not _as_made(op) or not _alike(x, context, op):
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


def _as_made(op: Any) -> bool:
    """Tell whether convolutions and activations have the settings that the part knows."""
    E, C = len(op.d_norm.weight), len(op.v[0].weight)
    acts = [op.d_proj[2], op.d_proj[4], op.in_proj[1]]
    strides = []
    for first in (op.q[0], op.k[0]):
        if type(first) is nn.Sequential:
            conv: Any = first[0]
            strides.append(conv.kernel_size[0] - 1)
            acts.append(first[2])
            if conv.bias is not None or not keeps_size(conv, groups=C, stride=strides[-1]):
                return False
    ones = (op.d_proj[3], op.q[1], op.k[1], op.v[0])
    mix, grouped = op.in_proj[0], op.in_proj[2]
    return (
        len(strides) != 1
        and len(set(strides)) < 2
        and all(act.approximate == "none" for act in acts)
        and all(one.kernel_size == (1, 1) and keeps_size(one, groups=1) for one in ones)
        and all(one.bias is None for one in (op.d_proj[0], *ones[1:]))
        and all(conv.kernel_size == (3, 3) and not conv.add_input for conv in (op.d_proj[0], mix))
        and keeps_size(op.d_proj[0], groups=E)
        and keeps_size(mix, groups=3 * C)
        and keeps_size(grouped, groups=3)
        and grouped.kernel_size == (1, 1)
        and None not in (op.d_proj[3].bias, mix.bias, grouped.bias)
    )


def _alike(x: Tensor, context: Sequence[Tensor], op: Any) -> bool:
    """Tell whether all maps are of one size and type, with the channels of the weights."""
    size = (len(x), *x.shape[2:])
    return (
        all(
            type(seen) is Tensor
            and (seen.dtype, seen.device) == (x.dtype, x.device)
            and (len(seen), *seen.shape[2:]) == size
            for seen in context
        )
        and sum(seen.shape[1] for seen in context) == len(op.d_norm.weight)
        and x.shape[1] == len(op.v[0].weight)
        and not transformed(*context)
    )


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
