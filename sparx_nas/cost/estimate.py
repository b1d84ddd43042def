"""Sum the parts of a backbone into a `CostEstimate`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sparx_nas.cost.layers import downsample_cost, head_cost, layer_cost, stem_cost
from sparx_nas.cost.tally import Tally
from sparx_nas.plan import BackbonePlan


@dataclass(frozen=True)
class CostEstimate:
    """What a network costs for one image.

    `macs`: multiply-adds of convolutions, linear maps and attention products, plus 4N+1 for each
    element and direction of the scan; `macs_by_operator` splits them. `published_flops`: the rule
    behind the official README (fvcore's: one multiply-add is 1; norms 5, BatchNorm 2, average pool
    and LayerScale 1 an element; attention 0; scan 9N+1 an element and direction).
    `activation_bytes`: what autograd keeps for the backward pass of one image in float32, with the
    whole four-direction scan as one operator that keeps its input. `weight_bytes`: the parameters
    in float32.
    """

    params: int
    macs: int
    published_flops: int
    activation_bytes: int
    weight_bytes: int
    macs_by_operator: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LayerCost:
    """Parameters and MACs of one layer, for drawings and tables."""

    params: int
    macs: int


def count(
    plan: BackbonePlan, image: tuple[int, int], sizes: Sequence[tuple[int, int]]
) -> CostEstimate:
    """Count a backbone for an image of `image` (height, width) pixels and stage maps of `sizes`."""
    total = stem_cost(plan, *image)
    for i, (stage, size) in enumerate(zip(plan.stages, sizes, strict=True)):
        if i:
            before, after = (sizes[j][0] * sizes[j][1] for j in (i - 1, i))
            total.add(downsample_cost(plan.stages[i - 1].width, stage.width, before, after))
        for context in stage.contexts:
            total.add(layer_cost(plan, stage, len(context), size))
    last = sizes[-1][0] * sizes[-1][1]
    total.add(head_cost(plan, last))
    convolutions = total.spatial + total.depthwise + total.pointwise
    return CostEstimate(
        params=total.params,
        macs=convolutions + total.linear + total.attention + total.scan,
        published_flops=convolutions
        + total.linear
        + total.published_scan
        + total.layer_scale_elements
        + 2 * total.batch_norm_elements
        + 5 * total.norm_elements
        + plan.stages[-1].width * last,
        activation_bytes=4 * total.kept,
        weight_bytes=4 * total.params,
        macs_by_operator={
            "convolution": total.spatial,
            "depthwise": total.depthwise,
            "pointwise": total.pointwise,
            "linear": total.linear,
            "attention": total.attention,
            "scan": total.scan,
        },
    )


def layer_costs(plan: BackbonePlan, sizes: Sequence[tuple[int, int]]) -> list[list[LayerCost]]:
    """Count every layer by itself, stage by stage; stem, downsampling and head are left out."""
    return [
        [_layer(layer_cost(plan, stage, len(context), size)) for context in stage.contexts]
        for stage, size in zip(plan.stages, sizes, strict=True)
    ]


def _layer(t: Tally) -> LayerCost:
    """Reduce a tally to what a drawing says."""
    macs = t.depthwise + t.pointwise + t.linear + t.attention + t.scan
    return LayerCost(params=t.params, macs=macs)
