"""The halves of a block as one operator each, where a fused part may stand in for their modules.

Each function takes a `Block` and answers None where its modules have to do the work.
"""

from collections.abc import Sequence
from typing import Any

from timm.layers import DropPath
from torch import Tensor, nn

from sparx_nas.kernels.convolution import DepthwiseConv2d, PointwiseConv2d
from sparx_nas.kernels.fused import feed_forward, scan, single
from sparx_nas.kernels.fusing import keeps_size, stands_in
from sparx_nas.models.feed_forward import FeedForward, LayerScale
from sparx_nas.models.mamba import MambaMixer
from sparx_nas.models.norms import PositionNorm, SampleNorm

ACTIVATIONS = {nn.SiLU: "silu", nn.GELU: "gelu", nn.ReLU: "relu"}
COMPILED = ("auto", "cpu")
"""The backends of a scan that the compiled kernels stand for."""

Typed = tuple[nn.Module, type[nn.Module]]


def first_half(block: Any, x: Tensor, context: Sequence[Tensor]) -> Tensor | None:
    """Return the stream after a scanning mixer; None for other mixers."""
    op: Any = block.op
    if type(op) is not MambaMixer or op.backend not in COMPILED or _drops(block):
        return None
    conv: Any = getattr(op, "conv2d", None)
    if conv is not None and conv.add_input:
        return None
    modules = [(op, MambaMixer), (op.out_proj, PointwiseConv2d), *_scale(block.layerscale_1)]
    modules += [_norm(op.out_norm), _act(op.act)]
    modules += [] if conv is None else [(conv, DepthwiseConv2d)]
    if not stands_in("scan", x, *modules) or not _as_made(conv, op.out_proj):
        return None
    norm: Any = op.out_norm
    how = scan.How(norm.eps, type(norm) is SampleNorm, ACTIVATIONS[type(op.act)])
    weights = (
        *(None if conv is None else conv.weight, None if conv is None else conv.bias),
        *(op.x_proj_weight, op.dt_projs_weight, op.dt_projs_bias, op.A_logs, op.Ds),
        *(op.out_norm.weight, op.out_norm.bias, op.out_proj.weight, op.out_proj.bias),
        *_scale_weights(block.layerscale_1),
    )
    return scan.scan(_entered(block, x, context), x, weights, how)


def second_half(block: Any, x: Tensor) -> Tensor | None:
    """Return the stream after the feed-forward network."""
    mlp, norm = block.mlp, block.norm2
    if type(mlp) is not FeedForward or _drops(block):
        return None
    conv: Any = None if type(mlp.dwconv) is nn.Identity else mlp.dwconv
    modules = [(mlp, FeedForward), (mlp.fc1, PointwiseConv2d), (mlp.fc2, PointwiseConv2d)]
    modules += [_norm(norm), _act(mlp.act), *_scale(block.layerscale_2)]
    modules += [(mlp.dwconv, nn.Identity if conv is None else DepthwiseConv2d)]
    if not stands_in("feed_forward", x, *modules) or not _as_made(conv, mlp.fc1, mlp.fc2):
        return None
    how = feed_forward.How(
        norm.eps,
        type(norm) is SampleNorm,
        conv is not None and conv.add_input,
        ACTIVATIONS[type(mlp.act)],
    )
    weights = (
        *(norm.weight, norm.bias, mlp.fc1.weight, mlp.fc1.bias),
        *(None if conv is None else conv.weight, None if conv is None else conv.bias),
        *(mlp.fc2.weight, mlp.fc2.bias, *_scale_weights(block.layerscale_2)),
    )
    return feed_forward.feed_forward(x, weights, how)


def _entered(block: Any, x: Tensor, context: Sequence[Tensor]) -> Tensor:
    """Return the mixer's inner map."""
    op, norm = block.op, block.norm
    typed = () if context else (_norm(norm), (op.in_proj, PointwiseConv2d))
    if context or not stands_in("projection", x, *typed) or not _as_made(None, op.in_proj):
        inner: Tensor = op.enter(norm(x), context)
        return inner
    weights = (norm.weight, norm.bias, op.in_proj.weight, op.in_proj.bias)
    return single.projection(x, weights, eps=norm.eps, whole=type(norm) is SampleNorm)


def _as_made(conv: Any, *maps: Any) -> bool:
    """Tell whether the depthwise convolution, if any, and 1x1 maps are as they were made."""
    return (conv is None or keeps_size(conv, groups=len(conv.weight))) and all(
        one.kernel_size == (1, 1) and keeps_size(one, groups=1) for one in maps
    )


def _drops(block: Any) -> bool:
    """Tell whether a branch may be dropped in this pass."""
    drop = block.drop_path
    if type(drop) is DropPath:
        return bool(drop.training and drop.drop_prob)
    return type(drop) is not nn.Identity


def _norm(module: nn.Module) -> Typed:
    """Return a norm and the type that it has to have."""
    return module, SampleNorm if type(module) is SampleNorm else PositionNorm


def _act(module: nn.Module) -> Typed:
    """Return an activation and the type that it has to have; GELU has to be the exact one."""
    known = type(module) in ACTIVATIONS and getattr(module, "approximate", "none") == "none"
    return module, type(module) if known else nn.Identity


def _scale(module: nn.Module) -> list[Typed]:
    """Return what scales the stream and the type that it has to have."""
    return [(module, LayerScale if type(module) is LayerScale else nn.Identity)]


def _scale_weights(module: nn.Module) -> tuple[Tensor | None, Tensor | None]:
    """Return scale and shift of the stream."""
    return (module.weight, module.bias) if type(module) is LayerScale else (None, None)
