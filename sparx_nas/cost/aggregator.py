"""Cost of DMCA, the dynamic multi-layer channel aggregator in front of a ganglion's mixer.

Letters: C width, D inner width of the mixer, E = C * sources, L = H*W, r the reduction.
Source: arXiv 2409.09649, section 3.3.
"""

from sparx_nas.architecture.plan import reduced
from sparx_nas.cost.layer_shape import LayerShape
from sparx_nas.cost.tally import Tally

GROUPS = 4
"""Channels attend to one another within groups of C // GROUPS."""


def count_aggregator(t: Tally, layer: LayerShape) -> None:
    """Count what maps the stream and its context, (C, H, W) each, to (D, H, W)."""
    C, E, r = layer.C, layer.C * layer.sources, layer.reduction
    L, Lr = layer.H * layer.W, reduced(layer.H, r) * reduced(layer.W, r)
    # The queries keep the normed stream. One source is read where it lies; several are
    # concatenated. Then norm, depthwise convolution and BatchNorm, GELU, 1x1 convolution each keep
    # the context once.
    t.kept += C * L + (E * L if E > C else 0) + 3 * E * L + 2 * 2 * C * L
    t.norm(E, L, per_position=layer.per_position)
    t.depthwise_conv(E, 3, L, bias=False)
    t.batch_norm(E, L)
    t.pointwise_conv(E, 2 * C, L, bias=True)
    for _ in ("q", "k"):
        if r > 1:
            t.depthwise_conv(C, r + 1, Lr, bias=False)
            t.batch_norm(C, Lr)
            t.kept += 2 * C * Lr
        t.pointwise_conv(C, C, Lr, bias=False)
        t.batch_norm(C, Lr)
        t.kept += C * Lr
    t.pointwise_conv(C, C, L, bias=False)
    t.batch_norm(C, L)
    group = C // GROUPS
    t.attention += C * group * (Lr + L)
    t.kept += C * L + C * group
    t.depthwise_conv(3 * C, 3, L, bias=True)
    t.pointwise_conv(C, 3 * (layer.D // 3), L, bias=True)
    t.kept += 3 * 3 * C * L
