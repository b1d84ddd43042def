"""Changes to a wiring, one at a time: what a click or a slider of the explorer means.

All take and return values; a change that cannot be raises a GraphError that names layer and fix.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from sparx_nas.architecture.graph import INPUT, ConnectivityGraph, StageGraph, layer_name
from sparx_nas.architecture.patterns import plain_stage, sparx_stage, thin_stage
from sparx_nas.ground.errors import GraphError

Rows = list[tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The published rule for one stage, in which layers count from 1.

    Ganglia stand at every `stride`-th layer counted from the last, from layer `start` on; each
    reads the normal layers since the ganglion before it and the `window` newest ganglia (None:
    all), of which a share `density` is kept, the nearest ones. A `start` beyond the depth means no
    ganglia.
    """

    start: int
    stride: int
    window: int | None
    density: float = 1.0

    def words(self, depth: int) -> str:
        """Say the rule in a few words."""
        if self.start > depth:
            return "no ganglia"
        window = "all" if self.window is None else self.window
        thin = "" if self.density >= 1 else f", density {self.density:g}"
        return f"start {self.start}, stride {self.stride}, window {window}{thin}"

    def stage(self, depth: int) -> StageGraph:
        """Wire a stage of so many layers.

        Raises: GraphError for a stride or window below 1, or a start below 1.
        """
        if self.start < 1:
            raise GraphError(f"start is {self.start}; layers count from 1")
        if not 0 < self.density <= 1:
            raise GraphError(f"density is {self.density:g}; it is above 0 and at most 1")
        made = sparx_stage(depth, stride=self.stride, start=self.start - 1, window=self.window)
        return made if self.density == 1 else thin_stage(made, self.density)


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The rule whose stage is nearest to one: `changes` edges differ."""

    rule: Rule
    changes: int


def toggle_layer(graph: ConnectivityGraph, stage: int, layer: int) -> ConnectivityGraph:
    """Make a normal layer a ganglion, or the other way round; stage and layer from 1.

    A new ganglion reads what the published rule would give it: the normal layers since the ganglion
    before it, the stage's input if there is none, and all earlier ganglia. Layers that read it go
    on doing so.

    Raises: GraphError if there is no such layer.
    """
    rows = _rows(graph, stage, layer)
    if rows[layer - 1]:
        rows[layer - 1] = ()
    else:
        ganglia = [other for other in range(1, layer) if rows[other - 1]]
        since = ganglia[-1] + 1 if ganglia else INPUT
        rows[layer - 1] = (*ganglia, *range(since, layer)) or (layer - 1,)
    return _with_rows(graph, stage, rows)


def toggle_edge(
    graph: ConnectivityGraph, stage: int, source: int, target: int
) -> ConnectivityGraph:
    """Cut the edge if it is there, otherwise add it; stage and layers from 1, the input is 0.

    A ganglion without its last edge is a normal layer, and a normal layer with one is a ganglion.

    Raises: GraphError if there is no such layer, or it would read itself or a later one.
    """
    rows = _rows(graph, stage, target)
    row = rows[target - 1]
    rows[target - 1] = tuple(s for s in row if s != source) if source in row else (*row, source)
    return _with_rows(graph, stage, rows)


def apply_rule(graph: ConnectivityGraph, stage: int, rule: Rule) -> ConnectivityGraph:
    """Wire one stage (from 1) by a rule.

    Raises: GraphError if there is no such stage, or the rule is out of range.
    """
    _check_stage(graph, stage)
    return _with_stage(graph, stage, rule.stage(graph.depths[stage - 1]))


def nearest_rule(stage: StageGraph) -> Nearest:
    """Return the rule, at full density, that differs from a stage in the fewest edges.

    Of equals the one with the latest start, then the largest stride, then the smallest window.
    """
    edges = _edges(stage)
    found = min(
        (((edges ^ other).bit_count(), rule) for other, rule in _all_rules(stage.depth)),
        key=lambda pair: pair[0],
    )
    return Nearest(rule=found[1], changes=found[0])


@lru_cache(maxsize=64)
def _all_rules(depth: int) -> tuple[tuple[int, Rule], ...]:
    """Return the edges of the distinct stages that rules make, each with its simplest rule."""
    none = Rule(start=depth + 1, stride=1, window=1)
    found = {_edges(plain_stage(depth)): none}
    windows: list[int | None] = [*range(1, depth), None]
    for start in range(depth, 0, -1):
        for stride in range(depth, 0, -1):
            if (depth - start) % stride or (start == depth and stride < depth):
                # The same ganglia come of a later start, or of a larger stride.
                continue
            ganglia = (depth - start) // stride + 1
            for window in [*windows[: max(ganglia - 1, 0)], None]:
                rule = Rule(start=start, stride=stride, window=window)
                found.setdefault(_edges(rule.stage(depth)), rule)
    return tuple(found.items())


def _edges(stage: StageGraph) -> int:
    """Return the aggregated edges as one bit each: a comparison is one XOR."""
    found = 0
    for target, row in enumerate(stage.sources):
        bits = sum(1 << source for source in row)
        found |= bits << target * (stage.depth + 1)
    return found


def _check_stage(graph: ConnectivityGraph, stage: int) -> None:
    """Raise a GraphError if there is no such stage."""
    if not 1 <= stage <= len(graph.stages):
        raise GraphError(f"there is no stage {stage}; stages are 1 to {len(graph.stages)}")


def _rows(graph: ConnectivityGraph, stage: int, layer: int) -> Rows:
    """Return the sources of a stage's layers.

    Raises: GraphError if there is no such layer; the input of a stage is none that can change.
    """
    _check_stage(graph, stage)
    depth = graph.depths[stage - 1]
    if layer == INPUT:
        name = layer_name(stage - 1, INPUT)
        raise GraphError(f"{name} is the input of stage {stage}; only layers can be ganglia")
    if not 1 <= layer <= depth:
        raise GraphError(f"there is no layer {stage}.{layer}; stage {stage} has {depth} layers")
    return list(graph.stages[stage - 1].sources)


def _with_rows(
    graph: ConnectivityGraph, stage: int, rows: Iterable[tuple[int, ...]]
) -> ConnectivityGraph:
    """Return the graph with other sources in one stage."""
    return _with_stage(graph, stage, StageGraph(tuple(rows)))


def _with_stage(graph: ConnectivityGraph, stage: int, made: StageGraph) -> ConnectivityGraph:
    """Return the graph with another stage (from 1) in place of one."""
    stages = list(graph.stages)
    stages[stage - 1] = made
    return ConnectivityGraph(tuple(stages))
