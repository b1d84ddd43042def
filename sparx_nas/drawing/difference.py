"""Tell two architectures apart in words: what changed in the wiring, and what it costs.

Layers are matched by their distance from the end of their stage, because the published rule counts
from there; between stages of equal depth that is the same as by name.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph, StageGraph, layer_name
from sparx_nas.cost import estimate
from sparx_nas.drawing.wiring import Edge, edges_from_end
from sparx_nas.ground.quantities import si
from sparx_nas.space.fields import USUAL_TARGET

MANY = 8
"""So many changed ganglia are counted, not named."""


@dataclass(frozen=True)
class Difference:
    """What turns A into B.

    Edges are (source, reader); what is added is named as in B, what is removed as in A. `depths`
    holds (A's, B's) of every stage, 0 for a stage that one of them lacks; `params` and `macs` are
    B's minus A's, at full width and the target.
    """

    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    ganglia_added: tuple[str, ...]
    ganglia_removed: tuple[str, ...]
    depths: tuple[tuple[int, int], ...]
    params: int
    macs: int


def name_from_end(graph: ConnectivityGraph, stage: int, back: int) -> str:
    """Return the name of a layer counted back from the last of its stage (stage from 0)."""
    return layer_name(stage, graph.stages[stage].depth - back)


def difference(
    a: Architecture, b: Architecture, target: Mapping[str, int] = USUAL_TARGET
) -> Difference:
    """Return b minus a, costs counted at `target` (the arguments of `estimate`)."""
    edges = edges_from_end(a.graph), edges_from_end(b.graph)
    ganglia = _ganglia(a.graph), _ganglia(b.graph)
    costs = estimate(a, **target), estimate(b, **target)
    return Difference(
        added=_named(b.graph, edges[1] - edges[0]),
        removed=_named(a.graph, edges[0] - edges[1]),
        ganglia_added=_layers(b.graph, ganglia[1] - ganglia[0]),
        ganglia_removed=_layers(a.graph, ganglia[0] - ganglia[1]),
        depths=tuple(zip_longest(a.graph.depths, b.graph.depths, fillvalue=0)),
        params=costs[1].params - costs[0].params,
        macs=costs[1].macs - costs[0].macs,
    )


def _ganglia(graph: ConnectivityGraph) -> set[tuple[int, int]]:
    """Return the ganglia as stage and distance from its end."""
    return {(i, s.depth - layer) for i, s in enumerate(graph.stages) for layer in s.ganglia}


def _named(graph: ConnectivityGraph, edges: Iterable[Edge]) -> tuple[tuple[str, str], ...]:
    """Name edges, in reading order."""
    ordered = sorted(edges, key=lambda edge: (edge[0], -edge[1], -edge[2]))
    return tuple((name_from_end(graph, i, s), name_from_end(graph, i, t)) for i, t, s in ordered)


def _layers(graph: ConnectivityGraph, layers: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    """Name layers, in reading order."""
    ordered = sorted(layers, key=lambda layer: (layer[0], -layer[1]))
    return tuple(name_from_end(graph, i, back) for i, back in ordered)


def difference_words(
    a: Architecture, b: Architecture, target: Mapping[str, int] = USUAL_TARGET
) -> str:
    """Say what turns a into b in one line, costs at `target`."""
    if a.id == b.id:
        return "no difference"
    found = difference(a, b, target)
    return "; ".join([*_wiring_words(a, b, found), *_cost_words(a, b, found)])


def _wiring_words(a: Architecture, b: Architecture, found: Difference) -> Iterator[str]:
    """Yield what changed in the wiring."""
    signs = (("+", found.added), ("-", found.removed))
    if edges := " ".join(f"{sign}{len(names)}" for sign, names in signs if names):
        yield f"{edges} {'edge' if len(found.added) + len(found.removed) == 1 else 'edges'}"
    if len(a.graph.stages) != len(b.graph.stages):
        yield f"{len(a.graph.stages)} -> {len(b.graph.stages)} stages"
    pairs = zip(a.graph.depths, b.graph.depths, strict=False)
    yield from (f"stage {i}: depth {m} -> {n}" for i, (m, n) in enumerate(pairs, 1) if m != n)
    marked = [f"+{n}" for n in found.ganglia_added] + [f"-{n}" for n in found.ganglia_removed]
    if len(marked) > MANY:
        counts = ((len(found.ganglia_added), "new"), (len(found.ganglia_removed), "gone"))
        yield "ganglia: " + ", ".join(f"{number} {said}" for number, said in counts if number)
    elif marked:
        yield f"ganglia {' '.join(marked)}"
    for stage, pair in enumerate(zip(a.graph.stages, b.graph.stages, strict=False), 1):
        was, now = map(_spacing, pair)
        if was and now and was != now:
            yield f"stage {stage} reads like stride {now}, was {was}"


def _spacing(stage: StageGraph) -> int:
    """Return the distance between ganglia where all are equally far apart, else 0."""
    gaps = {after - before for before, after in pairwise(stage.ganglia)}
    return gaps.pop() if len(gaps) == 1 else 0


def _cost_words(a: Architecture, b: Architecture, found: Difference) -> Iterator[str]:
    """Yield what changed besides the wiring."""
    pairs = zip(a.widths, b.widths, strict=False)
    yield from (f"stage {i}: {m} -> {n} channels" for i, (m, n) in enumerate(pairs, 1) if m != n)
    costs = ((found.params, "parameters"), (found.macs, "MACs"))
    changed = [f"{'+' if n > 0 else ''}{si(n)} {unit}" for n, unit in costs if n]
    if changed:
        yield ", ".join(changed)
    elif a.graph == b.graph and a.widths == b.widths:
        yield "the same wiring at the same cost; other settings differ"
