"""Cost of what stands before, between and after the stages: stems, downsampling, norms, classifier.

Letters: C width, L = H*W. A norm without BatchNorm's statistics is told here what it keeps.
"""

from sparx_nas.architecture.plan import BackbonePlan, halved, strided
from sparx_nas.cost.tally import Tally


def stem_cost(plan: BackbonePlan, height: int, width: int) -> Tally:
    """Count the stem for an image of height x width pixels."""
    if plan.stem in ("patch", "overlap"):
        return _single_stem(plan, height, width)
    t, first = Tally(), plan.stages[0].width
    outputs = [first // 2] * (len(plan.stem_strides) - 1) + [first]
    inputs, layered = plan.in_chans, plan.stem == "layer"
    t.kept += inputs * height * width
    for i, (outs, stride) in enumerate(zip(outputs, plan.stem_strides, strict=True)):
        height, width = strided(height, stride), strided(width, stride)
        positions = height * width
        t.conv(inputs, outs, 3, positions, bias=layered)
        _surrounding_norm(t, outs, positions, layered=layered)
        if i < len(outputs) - 1:
            # GELU keeps its input, the next convolution its output.
            t.kept += 2 * outs * positions
        inputs = outs
    return t


def _single_stem(plan: BackbonePlan, height: int, width: int) -> Tally:
    """Count a stem of one convolution and a LayerNorm."""
    t, first, stride = Tally(), plan.stages[0].width, plan.stem_strides[0]
    rows, columns = strided(height, stride), strided(width, stride)
    if plan.stem == "patch":
        # The image is padded to whole patches, and kept as such.
        height, width = rows * stride, columns * stride
    t.kept += plan.in_chans * height * width
    kernel = stride if plan.stem == "patch" else 7
    t.conv(plan.in_chans, first, kernel, rows * columns, bias=True)
    _surrounding_norm(t, first, rows * columns, layered=True)
    return t


def downsample_cost(plan: BackbonePlan, index: int, size: tuple[int, int]) -> Tally:
    """Count what turns maps of `size`, results of stage `index` (from 0), into the next input."""
    t, kind = Tally(), plan.family.downsample
    inputs, outputs = plan.stages[index].width, plan.stages[index + 1].width
    after = halved(size[0]) * halved(size[1])
    if kind == "merge":
        # The norm keeps the merged map, the linear map the normed one.
        t.kept += 4 * inputs * after
        _surrounding_norm(t, 4 * inputs, after, layered=True)
        t.pointwise_conv(4 * inputs, outputs, after, bias=False)
        return t
    t.kept += inputs * size[0] * size[1]
    t.conv(inputs, outputs, 3, after, bias=kind == "layer")
    _surrounding_norm(t, outputs, after, layered=kind == "layer")
    return t


def stage_norm_cost(plan: BackbonePlan, index: int, positions: int) -> Tally:
    """Count the norm at the end of stage `index` (from 0), which keeps its input."""
    t, C = Tally(), plan.stages[index].width
    t.kept += C * positions
    t.norm(C, positions, per_position=plan.norm == "layer")
    return t


def head_cost(plan: BackbonePlan, positions: int) -> Tally:
    """Count norm, where the last stage has none of its own, average pool and classifier."""
    last = len(plan.stages) - 1
    t = Tally() if plan.family.stage_norm else stage_norm_cost(plan, last, positions)
    C = plan.stages[last].width
    t.kept += C
    t.params += C * plan.num_classes + plan.num_classes
    t.linear += C * plan.num_classes
    return t


def _surrounding_norm(t: Tally, channels: int, positions: int, *, layered: bool) -> None:
    """Count a LayerNorm at each position, or a BatchNorm; either keeps its input."""
    if layered:
        t.kept += channels * positions
        t.norm(channels, positions, per_position=True)
    else:
        t.batch_norm(channels, positions)
