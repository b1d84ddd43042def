"""What an architecture costs: as one `CostEstimate`, and layer by layer on its wiring."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.buildable import image_sides
from sparx_nas.architecture.graph import layer_name
from sparx_nas.architecture.plan import BackbonePlan, map_sizes
from sparx_nas.cost.block import layer_cost
from sparx_nas.cost.layer_shape import family_shape, layer_shape
from sparx_nas.cost.surroundings import downsample_cost, head_cost, stage_norm_cost, stem_cost
from sparx_nas.cost.tally import Tally

if TYPE_CHECKING:
    import networkx


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


def estimate(
    architecture: Architecture,
    image_size: int | tuple[int, int] = 224,
    in_chans: int = 3,
    num_classes: int = 1000,
    width: float = 1.0,
    stem_stride: int = 4,
) -> CostEstimate:
    """Count parameters, MACs and bytes of an architecture without building it.

    `image_size` is a side or (height, width) in pixels. See `CostEstimate` for the rules.

    Raises: ArchitectureError for a setting out of range.
    """
    plan = architecture.plan(
        in_chans=in_chans, num_classes=num_classes, width=width, stem_stride=stem_stride
    )
    sides = image_sides(image_size)
    sizes = map_sizes(plan, *sides)
    last = sizes[-1][0] * sizes[-1][1]
    total = stem_cost(plan, *sides)
    for i, (size, layers) in enumerate(zip(sizes, _layers(plan, sizes), strict=True)):
        if i:
            total.add(downsample_cost(plan, i - 1, sizes[i - 1]))
        for layer in layers:
            total.add(layer)
        if plan.family.stage_norm:
            total.add(stage_norm_cost(plan, i, size[0] * size[1]))
    total.add(head_cost(plan, last))
    return _estimate(total, pooled=plan.stages[-1].width * last)


def to_networkx(
    architecture: Architecture, image_size: int | tuple[int, int] = 224
) -> "networkx.MultiDiGraph[str]":
    """Return an architecture's wiring as its `to_networkx` does, with what every layer costs.

    Nodes have `params` and `macs` besides their shape (0 for stage inputs: stem and downsampling
    are not layers); the graph has the `image_height` and `image_width` that they are counted for.

    Raises: ArchitectureError for a side below 1.
    """
    plan, out = architecture.plan(), architecture.to_networkx(image_size)
    high, wide = image_sides(image_size)
    out.graph.update(image_height=high, image_width=wide)
    for i, layers in enumerate(_layers(plan, map_sizes(plan, high, wide))):
        for layer, cost in enumerate([Tally(), *layers]):
            out.nodes[layer_name(i, layer)].update(params=cost.params, macs=cost.macs)
    return out


def _layers(plan: BackbonePlan, sizes: list[tuple[int, int]]) -> Iterator[list[Tally]]:
    """Count every layer by itself, stage by stage; what surrounds them is left out."""
    family = family_shape(plan)
    for stage, size in zip(plan.stages, sizes, strict=True):
        shapes = (layer_shape(family, stage, i, size) for i in range(len(stage.contexts)))
        yield [layer_cost(shape) for shape in shapes]


def _estimate(total: Tally, pooled: int) -> CostEstimate:
    """Add up a network's operators; `pooled` is how many elements its head averages."""
    return CostEstimate(
        params=total.params,
        macs=total.macs,
        published_flops=total.convolutions
        + total.linear
        + total.published_scan
        + total.layer_scale_elements
        + 2 * total.batch_norm_elements
        + 5 * total.norm_elements
        + pooled,
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
