"""Cost of the parts of SparX-Mamba: stem, downsampling, layers, head.

Letters: C width, D inner width, R rank of the step sizes, N state size, E = C * sources of a
ganglion's context, L = H*W, r the aggregator's reduction. Source: arXiv 2409.09649; the selective
scan after arXiv 2401.10166 (VMamba), whose FLOP formula `published_flops` uses.
"""

from functools import lru_cache

from sparx_nas.cost.tally import Tally
from sparx_nas.families import Norm
from sparx_nas.plan import BackbonePlan, MixerPlan, StagePlan, halved, reduced

DIRECTIONS = 4
KEEPS_OUTPUT = ("relu",)
"""Activations of which autograd keeps the output, which the next operator keeps anyway."""


def stem_cost(plan: BackbonePlan, height: int, width: int) -> Tally:
    """Count the stem for an image of height x width pixels."""
    t, first, last = Tally(), plan.stages[0].width // 2, plan.stages[0].width
    outputs = (first, last) if plan.stem == "v1" else (first, first, last)
    inputs = plan.in_chans
    t.kept += inputs * height * width
    for i, (outs, stride) in enumerate(zip(outputs, plan.stem_strides, strict=True)):
        if stride == 2:
            height, width = halved(height), halved(width)
        positions = height * width
        t.conv3x3(inputs, outs, positions)
        t.batch_norm(outs, positions)
        if i < len(outputs) - 1:
            # GELU keeps its input, the next convolution its output.
            t.kept += 2 * outs * positions
        inputs = outs
    return t


def downsample_cost(inputs: int, outputs: int, before: int, after: int) -> Tally:
    """Count a 3x3 stride-2 convolution and BatchNorm; maps of `before` and `after` positions."""
    t = Tally()
    t.kept += inputs * before
    t.conv3x3(inputs, outputs, after)
    t.batch_norm(outputs, after)
    return t


def head_cost(plan: BackbonePlan, positions: int) -> Tally:
    """Count norm, average pool and classifier."""
    t, width = Tally(), plan.stages[-1].width
    t.kept += width * positions + width
    t.norm(width, positions, per_position=plan.norm == "layer")
    t.params += width * plan.num_classes + plan.num_classes
    t.linear += width * plan.num_classes
    return t


def layer_cost(plan: BackbonePlan, stage: StagePlan, sources: int, size: tuple[int, int]) -> Tally:
    """Count one layer; `sources` is the number of layers it aggregates, 0 for a normal layer."""
    return _layer_cost(
        (stage.width, stage.inner, stage.rank, stage.hidden),
        stage.reduction if sources else 1,
        stage.layer_scale is not None,
        sources,
        size,
        plan.norm,
        plan.mlp_act,
        plan.mixer,
    )


@lru_cache(maxsize=65536)
def _layer_cost(
    widths: tuple[int, int, int, int],
    reduction: int,
    layer_scale: bool,
    sources: int,
    size: tuple[int, int],
    norm: Norm,
    mlp_act: str,
    mixer: MixerPlan,
) -> Tally:
    """Count one layer from what its cost depends on, so that equal layers are counted once."""
    t, (C, D, R, hidden), L = Tally(), widths, size[0] * size[1]
    per_position = norm == "layer"
    t.depthwise_conv(C, 3, L, bias=True)
    # The stream is kept on entry, after the position embedding and after the mixer, and both norms'
    # outputs are; LayerScale shares what the norms keep.
    t.kept += 5 * C * L
    t.norm(C, L, per_position=per_position)
    t.norm(C, L, per_position=per_position)
    t.params += 4 * C * layer_scale
    t.layer_scale_elements += 2 * C * L * layer_scale
    if sources:
        _aggregator(t, C, D, C * sources, size, reduction, per_position)
    else:
        t.pointwise_conv(C, D, L, bias=True)
    _scan(t, D, R, C, L, mixer, per_position)
    t.pointwise_conv(C, hidden, L, bias=True)
    t.depthwise_conv(hidden, 3, L, bias=True)
    t.pointwise_conv(hidden, C, L, bias=True)
    t.kept += (2 if mlp_act in KEEPS_OUTPUT else 3) * hidden * L
    return t


def _scan(t: Tally, D: int, R: int, C: int, L: int, mixer: MixerPlan, per_position: bool) -> None:
    """Count depthwise convolution, the scan in four directions, norm and output map."""
    N = mixer.state_dim
    if mixer.conv_kernel:
        t.depthwise_conv(D, mixer.conv_kernel, L, bias=True)
        t.kept += D * L
    if mixer.act not in KEEPS_OUTPUT:
        t.kept += D * L
    t.params += DIRECTIONS * ((R + 2 * N) * D + D * R + D + D * N + D)
    t.linear += DIRECTIONS * ((R + 2 * N) * D + D * R) * L
    t.scan += DIRECTIONS * D * L * (4 * N + 1)
    t.published_scan += DIRECTIONS * D * L * (9 * N + 1)
    # The scan keeps its input, out_norm its own, out_proj the normalised map.
    t.kept += 3 * D * L
    t.norm(D, L, per_position=per_position)
    t.pointwise_conv(D, C, L, bias=True)


def _aggregator(
    t: Tally, C: int, D: int, E: int, size: tuple[int, int], r: int, per_position: bool
) -> None:
    """Count the dynamic multi-layer channel aggregator in front of the scan."""
    height, width = size
    L, Lr, group = height * width, reduced(height, r) * reduced(width, r), C // 4
    # One source is read where it lies; several are concatenated. Then norm, depthwise convolution
    # and BatchNorm, GELU, 1x1 convolution each keep the context once.
    t.kept += (E * L if E > C else 0) + 3 * E * L + 2 * 2 * C * L
    t.norm(E, L, per_position=per_position)
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
    t.attention += C * group * (Lr + L)
    t.kept += C * L + C * group
    t.depthwise_conv(3 * C, 3, L, bias=True)
    t.pointwise_conv(C, 3 * (D // 3), L, bias=True)
    t.kept += 3 * 3 * C * L
