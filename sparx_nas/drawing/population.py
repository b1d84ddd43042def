"""Draw what the wirings of a front have in common: each edge as wide as it is frequent there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

from sparx_nas.architecture.graph import ConnectivityGraph, layer_name
from sparx_nas.drawing.markup import Markup, tag, text
from sparx_nas.drawing.paint import Sample, arc, known, line, sheet, symbol, width_look
from sparx_nas.drawing.wiring import MANY_EDGES, RIGHT, TITLE, Layout, arc_path, layout
from sparx_nas.ground.quantities import percent

Pair = tuple[str, str]
TELLING = 0.1
"""Shares on the front and elsewhere that differ by less are drawn as equal."""
LOOKS = {
    "sx-added": "10 points more often on the front",
    "sx-removed": "10 points more often elsewhere",
    "sx-same": "about as often",
}
EMPTY_WIDTH = 420.0


@dataclass(frozen=True, kw_only=True)
class _Tally:
    """How many of some wirings have each edge, and how many have each layer as a ganglion."""

    wirings: int
    edges: Counter[Pair]
    ganglia: Counter[str]

    def share(self, count: int) -> float:
        """Return a count over the wirings, 0 where there are none."""
        return count / self.wirings if self.wirings else 0.0


Tallies = tuple[_Tally, _Tally]
"""Of the front, and of the others."""


def edge_shares(graphs: Sequence[ConnectivityGraph]) -> dict[Pair, float]:
    """Return the share of the wirings that have each (source, reader), by name, in (0, 1]."""
    tally = _tally(graphs)
    return {pair: tally.share(count) for pair, count in tally.edges.items()}


def _tally(graphs: Sequence[ConnectivityGraph]) -> _Tally:
    """Count edges and ganglia; linear in the distinct stages, far fewer than the wirings."""
    stages = Counter((i, stage.sources) for g in graphs for i, stage in enumerate(g.stages))
    edges: Counter[Pair] = Counter()
    ganglia: Counter[str] = Counter()
    for (i, rows), number in stages.items():
        for layer, row in enumerate(rows, 1):
            reader = layer_name(i, layer)
            if row:
                ganglia[reader] += number
            for source in row:
                edges[layer_name(i, source), reader] += number
    return _Tally(wirings=len(graphs), edges=edges, ganglia=ganglia)


def population_svg(
    front: Sequence[ConnectivityGraph],
    rest: Sequence[ConnectivityGraph],
    *,
    ids: str = "",
    title: str = "",
    standalone: bool = True,
) -> Markup:
    """Draw the union of the edges of all wirings, layers matched by name.

    Width says on how many of the front an edge is (of the others, if there is no front), colour
    and dash whether it is rarer elsewhere. Edges carry `data-kind`, `data-source`, `data-target`,
    `data-front` and `data-rest`, the shares; layers `data-layer`.
    """
    tallies = _tally(front), _tally(rest)
    top = TITLE if standalone and title else 0.0
    if not front and not rest:
        words, size = "There are no wirings to draw.", (EMPTY_WIDTH, top + 30)
        parts = [tag("text", text(words), x=0, y=top + 18, class_="sx-said")]
    else:
        union = _union([*front, *rest], tallies)
        place = layout(union, top=top)
        words, size = _summary(tallies), (place.right + RIGHT, place.bottom)
        parts = [_arcs(union, place, tallies), _layers(union, place, tallies, ids), _heads(place)]
    return sheet(
        parts,
        size,
        legend_samples(front=bool(front), rest=bool(rest)) if standalone else None,
        title=title,
        id=ids or None,
        class_="sx sx-wiring sx-population",
        aria_label=f"{title}: {words}" if title else words,
    )


def legend_samples(*, front: bool = True, rest: bool = True) -> dict[str, Sample]:
    """Return the samples that explain a population, by their words."""
    square: Sample = partial(symbol, "ganglion")
    layers = known("input", "normal") | {"mostly a ganglion": square}
    looks = {said: arc(look) for look, said in LOOKS.items() if front and rest}
    where = "of the front" if front else "of the wirings"
    return layers | looks | {f"on a quarter {where}": line(0.25), f"on all {where}": line(1.0)}


def _union(graphs: Sequence[ConnectivityGraph], tallies: Tallies) -> ConnectivityGraph:
    """Return the wiring of all edges, each stage as deep as its deepest."""
    depths = {graph.depths for graph in graphs}
    deepest = [max(stage) for stage in zip_longest(*depths, fillvalue=0)]
    rows: dict[str, list[str]] = {}
    for source, reader in tallies[0].edges.keys() | tallies[1].edges.keys():
        rows.setdefault(reader, []).append(source)
    return ConnectivityGraph.from_ganglia(deepest, rows)


def _summary(tallies: Tallies) -> str:
    """Say in words what stands out: how many edges, and the most frequent ones of the front."""
    front, rest = tallies
    number = len(front.edges.keys() | rest.edges.keys())
    looks = [_look(pair, tallies) for pair in front.edges.keys() | rest.edges.keys()]
    often = ", ".join(
        f"{reader} reads {source} ({percent(front.share(count), 0)})"
        for (source, reader), count in sorted(
            front.edges.items(), key=lambda item: (-item[1], item[0])
        )[:5]
    )
    return (
        f"{front.wirings} wirings on the front and {rest.wirings} others with {number} different "
        f"edges: {looks.count('sx-added')} more often on the front, {looks.count('sx-removed')} "
        f"more often elsewhere. Most frequent on the front: {often or 'none'}."
    )


def _said(tallies: Tallies, counts: tuple[int, int]) -> str:
    """Say on how many of the front something is, and on how many others."""
    return ", ".join(
        f"{count} of {tally.wirings} {words} ({percent(tally.share(count), 0)})"
        for tally, count, words in zip(tallies, counts, ("front wirings", "others"), strict=True)
        if tally.wirings
    )


def _look(pair: Pair, tallies: Tallies) -> str:
    """Return the class of an edge by its shares; they tell nothing where a side is empty."""
    front, rest = (tally.share(tally.edges[pair]) for tally in tallies)
    # The slack: 0.3 - 0.2 is a tenth, though not for floats.
    if not all(tally.wirings for tally in tallies) or abs(front - rest) < TELLING - 1e-9:
        return "sx-same"
    return "sx-added" if front > rest else "sx-removed"


def _arcs(union: ConnectivityGraph, place: Layout, tallies: Tallies) -> Markup:
    """Draw every edge, longest first; those that tell front and others apart lie on top."""
    found = [
        (i, source, layer)
        for i, stage in enumerate(union.stages)
        for layer in stage.ganglia
        for source in stage.sources[layer - 1]
    ]
    drawn = {edge: _arc(*edge, place, tallies) for edge in found}
    looks = {edge: _look(_pair(*edge), tallies) for edge in found}
    found.sort(key=lambda edge: (looks[edge] != "sx-same", edge[1] - edge[2], edge))
    thin = " sx-many" if len(found) > MANY_EDGES else ""
    return tag("g", *(drawn[edge] for edge in found), class_=f"sx-edges{thin}")


def _pair(stage: int, source: int, layer: int) -> Pair:
    """Name an edge (stage from 0)."""
    return layer_name(stage, source), layer_name(stage, layer)


def _arc(stage: int, source: int, layer: int, place: Layout, tallies: Tallies) -> Markup:
    """Draw one edge (stage from 0)."""
    pair = _pair(stage, source, layer)
    counts = tallies[0].edges[pair], tallies[1].edges[pair]
    front, rest = (tally.share(count) for tally, count in zip(tallies, counts, strict=True))
    (x1, y), (x2, _) = place.at(stage + 1, source), place.at(stage + 1, layer)
    width = width_look(front if tallies[0].wirings else rest)
    return tag(
        "path",
        tag("title", text(f"{pair[1]} reads {pair[0]}: on {_said(tallies, counts)}")),
        d=arc_path(x1, x2, y, place.flatness),
        class_=f"sx-aggregate {_look(pair, tallies)} {width}",
        data_kind="aggregate",
        data_source=pair[0],
        data_target=pair[1],
        data_front=front,
        data_rest=rest,
    )


def _layers(union: ConnectivityGraph, place: Layout, tallies: Tallies, ids: str) -> Markup:
    """Draw the stream and the layers: as ganglia where at least half of the wirings have one."""
    parts, scale = [], min(1.0, place.pitch / 28)
    telling = tallies[0] if tallies[0].wirings else tallies[1]
    for i, stage in enumerate(union.stages):
        (first, y), (last, _) = place.at(i + 1, 0), place.at(i + 1, stage.depth)
        parts.append(tag("path", d=f"M{first:.1f} {y:.1f}H{last:.1f}", class_="sx-chain"))
        for layer in range(stage.depth + 1):
            name, x = layer_name(i, layer), place.at(i + 1, layer)[0]
            counts = tallies[0].ganglia[name], tallies[1].ganglia[name]
            often = telling.share(telling.ganglia[name]) >= 1 / 2
            said = f"{name} is a ganglion on {_said(tallies, counts)}"
            mark = symbol(("ganglion" if often else "normal") if layer else "input", x, y, scale)
            parts.append(
                tag(
                    "g",
                    tag("title", text(said if layer else f"{name} input of stage {i + 1}")),
                    mark,
                    tag("text", text(layer or "in"), x=x, y=y + 21, class_="sx-number"),
                    id=f"{ids}-{name}" if ids else None,
                    class_="sx-layer",
                    data_layer=name,
                )
            )
    return tag("g", *parts)


def _heads(place: Layout) -> Markup:
    """Write the heads of the lanes."""
    return tag(
        "g",
        *(
            tag("text", text(f"Stage {stage}"), x=0, y=y + 4, class_="sx-stage")
            for stage, y in enumerate(place.baselines, 1)
        ),
    )
