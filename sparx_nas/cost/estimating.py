"""What an architecture costs: as one total, and layer by layer on its wiring."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.buildable import image_sides
from sparx_nas.architecture.graph import layer_name
from sparx_nas.architecture.plan import map_sizes
from sparx_nas.cost.total import CostEstimate, LayerCost, count, layer_costs

if TYPE_CHECKING:
    import networkx


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
    return count(plan, sides, map_sizes(plan, *sides))


def to_networkx(
    architecture: Architecture, image_size: int | tuple[int, int] = 224
) -> "networkx.MultiDiGraph[str]":
    """Return an architecture's wiring as its `to_networkx` does, with what every layer costs.

    Nodes have `params` and `macs` besides their shape (0 for stage inputs: stem and downsampling
    are not layers).

    Raises: ArchitectureError for a side below 1.
    """
    plan, out = architecture.plan(), architecture.to_networkx(image_size)
    costs = layer_costs(plan, map_sizes(plan, *image_sides(image_size)))
    for i, of_layers in enumerate(costs):
        for layer, cost in enumerate([LayerCost(params=0, macs=0), *of_layers]):
            out.nodes[layer_name(i, layer)].update(asdict(cost))
    return out
