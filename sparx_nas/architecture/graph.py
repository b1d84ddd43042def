"""The wiring of a backbone: the one truth of which earlier layers each layer reads.

A layer is named `stage.layer`, both from 1; `3.0` is the input of stage 3 (for stage 1 the stem's
output). Every layer's own stream is the output of the layer before it; that chain is implicit. A
layer with sources is a *ganglion layer* and aggregates them besides; one without is *normal*.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from sparx_nas.ground.errors import GraphError
from sparx_nas.ground.record import content_id

if TYPE_CHECKING:
    import networkx

LayerKind = Literal["input", "normal", "ganglion"]
INPUT = 0
"""The source number that stands for the stage's input."""


def layer_name(stage: int, layer: int) -> str:
    """Return `stage.layer` of a 0-based stage and a 1-based layer (0 is the stage's input)."""
    return f"{stage + 1}.{layer}"


@dataclass(frozen=True)
class StageGraph:
    """The sources of each layer of one stage: 0 is the stage's input, then layers from 1.

    `sources[j]` belongs to layer j + 1. Order does not matter and is not kept; whether a source
    is legal is checked where stages meet, in `ConnectivityGraph`.
    """

    sources: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Sort the sources, so that equal wirings are equal values.

        Raises: GraphError if a source is no whole number.
        """
        wrong = [s for row in self.sources for s in row if type(s) is not int]
        if wrong:
            raise GraphError(f"sources are whole numbers, not {wrong[0]!r}")
        rows = tuple(tuple(sorted(row)) for row in self.sources)
        object.__setattr__(self, "sources", rows)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.sources)

    @property
    def ganglia(self) -> tuple[int, ...]:
        """Numbers of the ganglion layers, from 1."""
        return tuple(layer for layer, row in enumerate(self.sources, 1) if row)

    @property
    def mixes_input(self) -> bool:
        """Whether a ganglion reads the stage's input beside a normal layer."""
        return any(
            INPUT in row and any(self.kind(source) == "normal" for source in row)
            for row in self.sources
        )

    def kind(self, layer: int) -> LayerKind:
        """Return what layer 0 (the input) .. depth is."""
        if layer == INPUT:
            return "input"
        return "ganglion" if self.sources[layer - 1] else "normal"


@dataclass(frozen=True)
class ConnectivityGraph:
    """Who reads whom, for every stage of a backbone.

    Raises: GraphError naming every impossible source at once.
    """

    stages: tuple[StageGraph, ...]

    def __post_init__(self) -> None:
        """Refuse a wiring in which a layer reads what is not there yet."""
        stages = tuple(self.stages)
        object.__setattr__(self, "stages", stages)
        mistakes = [m for i, stage in enumerate(stages) for m in _stage_mistakes(i, stage)]
        if not any(stage.depth for stage in stages):
            mistakes = ["a wiring needs at least one layer"]
        if mistakes:
            raise GraphError.of("wiring", mistakes)

    @property
    def depths(self) -> tuple[int, ...]:
        """Layers of each stage."""
        return tuple(stage.depth for stage in self.stages)

    @cached_property
    def id(self) -> str:
        """16 hex digits; equal exactly for equal wirings, whatever made them."""
        return content_id(["wiring", 1, [stage.sources for stage in self.stages]])

    @property
    def ganglia(self) -> dict[str, tuple[str, ...]]:
        """Sources by ganglion layer, both as `stage.layer`; what a wiring is written as."""
        return {
            layer_name(i, layer): tuple(layer_name(i, s) for s in stage.sources[layer - 1])
            for i, stage in enumerate(self.stages)
            for layer in stage.ganglia
        }

    @classmethod
    def from_ganglia(
        cls, depths: Sequence[int], ganglia: Mapping[str, Sequence[str]]
    ) -> "ConnectivityGraph":
        """Build a wiring from its written form, `{"2.2": ["2.0", "2.1"]}`; other layers are normal.

        Raises: GraphError listing every name that is no layer, or a layer of another stage.
        """
        if not isinstance(ganglia, Mapping):
            raise GraphError("ganglia are written as a table of layers and the layers they read")
        wrong = [depth for depth in depths if type(depth) is not int or depth < 0]
        if wrong:
            raise GraphError(f"depths are whole numbers, 0 or more, not {wrong[0]!r}")
        rows: list[list[tuple[int, ...]]] = [[() for _ in range(depth)] for depth in depths]
        mistakes: list[str] = []
        for name, sources in ganglia.items():
            place = _parse_name(name)
            if place is None or not (place[0] < len(depths) and 1 <= place[1] <= depths[place[0]]):
                mistakes.append(f"there is no layer {name}; depths are {list(depths)}")
                continue
            numbers, unread = _parse_sources(name, place[0], sources)
            mistakes += unread
            rows[place[0]][place[1] - 1] = numbers
        stages = tuple(StageGraph(tuple(row)) for row in rows)
        mistakes += [m for i, stage in enumerate(stages) for m in _stage_mistakes(i, stage)]
        if mistakes:
            raise GraphError.of("wiring", mistakes)
        return cls(stages)

    def to_networkx(
        self, attributes: Mapping[str, Mapping[str, Any]] | None = None
    ) -> "networkx.MultiDiGraph[str]":
        """Return the wiring as a graph of `stage.layer` nodes.

        Edges are of kind `chain` (the stream), `aggregate` (a ganglion's source) and `downsample`;
        one pair of layers may have two. `attributes` are merged into the nodes by name, which is
        how `Architecture.to_networkx` adds shapes and cost.
        """
        import networkx

        out: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(id=self.id)
        for i, stage in enumerate(self.stages):
            for layer in range(stage.depth + 1):
                name = layer_name(i, layer)
                extra = (attributes or {}).get(name, {})
                out.add_node(name, stage=i + 1, layer=layer, kind=stage.kind(layer), **extra)
            for before, after in pairwise(range(stage.depth + 1)):
                out.add_edge(layer_name(i, before), layer_name(i, after), kind="chain", span=1)
            for layer in stage.ganglia:
                for source in stage.sources[layer - 1]:
                    edge = {"kind": "aggregate", "span": layer - source}
                    out.add_edge(layer_name(i, source), layer_name(i, layer), **edge)
        for i, stage in enumerate(self.stages[:-1]):
            last = layer_name(i, stage.depth)
            out.add_edge(last, layer_name(i + 1, INPUT), kind="downsample", span=1)
        return out


@dataclass(frozen=True)
class WiringMeasures:
    """What a wiring amounts to, as a few numbers.

    `density` is aggregated edges over the edges a wiring of these depths could have; `in_degree`
    is the mean number of sources of a ganglion layer, `span` the mean distance in layers from a
    source to its reader (0 where there is no ganglion), `ganglion_share` ganglia over layers.
    """

    layers: int
    ganglia: int
    edges: int
    density: float
    in_degree: float
    span: float
    max_span: int
    ganglion_share: float


def measures(graph: ConnectivityGraph) -> WiringMeasures:
    """Measure a wiring; linear in its edges."""
    spans = [
        layer - source
        for stage in graph.stages
        for layer in stage.ganglia
        for source in stage.sources[layer - 1]
    ]
    layers = sum(graph.depths)
    ganglia = sum(len(stage.ganglia) for stage in graph.stages)
    possible = sum(depth * (depth + 1) // 2 for depth in graph.depths)
    return WiringMeasures(
        layers=layers,
        ganglia=ganglia,
        edges=len(spans),
        density=len(spans) / possible,
        in_degree=len(spans) / ganglia if ganglia else 0.0,
        span=sum(spans) / len(spans) if spans else 0.0,
        max_span=max(spans, default=0),
        ganglion_share=ganglia / layers,
    )


def _stage_mistakes(index: int, stage: StageGraph) -> list[str]:
    """List what is impossible in one stage."""
    found: list[str] = []
    for layer, row in enumerate(stage.sources, 1):
        reader = f"layer {layer_name(index, layer)}"
        for source in sorted(set(row)):
            name = layer_name(index, source)
            if source < 0:
                found.append(f"{reader} cannot read {source}: sources are 0 to {layer - 1}")
            elif source > stage.depth:
                found.append(
                    f"{reader} cannot read {name}: stage {index + 1} has {stage.depth} layers"
                )
            elif source == layer:
                found.append(f"{reader} cannot read itself")
            elif source > layer:
                found.append(f"{reader} cannot read {name}: it comes later")
            if row.count(source) > 1:
                found.append(f"{reader} reads {name} {row.count(source)} times; once is all it can")
    return found


def _parse_name(name: str) -> tuple[int, int] | None:
    """Return the 0-based stage and the layer of `stage.layer`, or None if it is no such name."""
    stage, _, layer = str(name).partition(".")
    if not re.fullmatch(r"[1-9][0-9]*", stage) or not re.fullmatch(r"0|[1-9][0-9]*", layer):
        return None
    return int(stage) - 1, int(layer)


def _parse_sources(
    reader: str, stage: int, sources: Sequence[str]
) -> tuple[tuple[int, ...], list[str]]:
    """Return the source numbers of one ganglion and what was wrong with their names."""
    numbers: list[int] = []
    mistakes: list[str] = []
    if isinstance(sources, str) or not sources:
        return (), [f"layer {reader} needs a list of the layers it reads"]
    for source in sources:
        place = _parse_name(source)
        if place is None:
            mistakes.append(f"layer {reader} cannot read {source!r}: a layer is named stage.layer")
        elif place[0] != stage:
            mistakes.append(f"layer {reader} cannot read {source}: it is in another stage")
        else:
            numbers.append(place[1])
    return tuple(numbers), mistakes
