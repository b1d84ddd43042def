"""What the cost of one layer depends on, as one value: equal layers are counted once.

Letters: C width, D inner width of the mixer, R rank of a scan's step sizes, H x W map.
"""

from typing import NamedTuple

from sparx_nas.architecture.families import FeedForwardConv, Mixer, Norm
from sparx_nas.architecture.plan import BackbonePlan, MixerPlan, StagePlan


class FamilyShape(NamedTuple):
    """Settings that all layers of a network share."""

    kind: Mixer
    mixer: MixerPlan
    norm: Norm
    mlp_act: str
    position: bool
    feed_forward_conv: FeedForwardConv
    bias: bool


class LayerShape(NamedTuple):
    """Shapes of one layer.

    `sources` is the number of maps it aggregates, 0 for a normal layer; `reduction` that of the
    aggregator; `shifts` whether it is one that shifts its windows.
    """

    family: FamilyShape
    C: int
    D: int
    R: int
    hidden: int
    heads: int
    spatial_reduction: int
    reduction: int
    layer_scale: bool
    sources: int
    shifts: bool
    H: int
    W: int

    @property
    def per_position(self) -> bool:
        """Whether norms are over a position's channels and not over the whole map."""
        return self.family.norm == "layer"


def family_shape(plan: BackbonePlan) -> FamilyShape:
    """Take from a plan what is the same in every layer."""
    family = plan.family
    return FamilyShape(
        kind=family.mixer,
        mixer=plan.mixer,
        norm=plan.norm,
        mlp_act=plan.mlp_act,
        position=family.position,
        feed_forward_conv=family.feed_forward_conv,
        bias=family.bias,
    )


def layer_shape(
    family: FamilyShape, stage: StagePlan, index: int, size: tuple[int, int]
) -> LayerShape:
    """Take the shapes of the layer `index` (from 0) of a stage whose maps are of `size`."""
    sources = len(stage.contexts[index])
    return LayerShape(
        family,
        stage.width,
        stage.inner,
        stage.rank,
        stage.hidden,
        stage.heads,
        stage.spatial_reduction,
        stage.reduction if sources else 1,
        stage.layer_scale is not None,
        sources,
        family.kind == "window" and index % 2 == 1,
        *size,
    )
