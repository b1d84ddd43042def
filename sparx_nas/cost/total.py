"""Sum the parts of a backbone into a `CostEstimate`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sparx_nas.architecture.plan import BackbonePlan
from sparx_nas.cost.block import layer_cost
from sparx_nas.cost.layer_shape import family_shape, layer_shape
from sparx_nas.cost.surroundings import downsample_cost, head_cost, stage_norm_cost, stem_cost
from sparx_nas.cost.tally import Tally


@dataclass(frozen=True)
class CostEstimate:
    """What a network costs for one image.

    `macs`: multiply-adds of convolutions, linear maps and attention products, those on padding
    included, plus 4N+1 for each element and direction of a scan; `macs_by_operator` splits them.
    `published_flops`: the rule behind the READMEs of SparX-Mamba and VMamba (fvcore's: one
    multiply-add is 1; norms 5, BatchNorm 2, average pool and LayerScale 1 an element; attention 0;
    scan 9N+1 an element and direction), for all families alike.
    `activation_bytes`: what autograd keeps for the backward pass of one image in float32, with the
    whole four-direction scan as one operator that keeps its input, and no map copied for its
    layout. `weight_bytes`: the parameters in float32.
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
    total, family = stem_cost(plan, *image), family_shape(plan)
    for i, (stage, size) in enumerate(zip(plan.stages, sizes, strict=True)):
        if i:
            total.add(downsample_cost(plan, i - 1, sizes[i - 1]))
        for layer in range(len(stage.contexts)):
            total.add(layer_cost(layer_shape(family, stage, layer, size)))
        if plan.family.stage_norm:
            total.add(stage_norm_cost(plan, i, size[0] * size[1]))
    last = sizes[-1][0] * sizes[-1][1]
    total.add(head_cost(plan, last))
    return CostEstimate(
        params=total.params,
        macs=total.macs,
        published_flops=total.convolutions
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
    """Count every layer by itself, stage by stage; what surrounds them is left out."""
    family = family_shape(plan)
    return [
        [
            _layer(layer_cost(layer_shape(family, stage, layer, size)))
            for layer in range(len(stage.contexts))
        ]
        for stage, size in zip(plan.stages, sizes, strict=True)
    ]


def _layer(t: Tally) -> LayerCost:
    """Reduce a tally to what a drawing says."""
    return LayerCost(params=t.params, macs=t.macs)
