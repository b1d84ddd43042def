"""Draw two architectures on one baseline, matched as `difference` matches them."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.cost import to_networkx
from sparx_nas.drawing.difference import difference_words, name_from_end
from sparx_nas.drawing.markup import TIMES, Markup, tag, text
from sparx_nas.drawing.paint import LAYERS, Sample, arc, known, sheet, symbol
from sparx_nas.drawing.wiring import (
    ABOVE,
    HEAD,
    RIGHT,
    arc_path,
    edges_from_end,
    layer_words,
    longest_spans,
    proportions,
)
from sparx_nas.space.fields import USUAL_TARGET

GAP = {True: 30.0, False: 44.0}
"""Between the rows of A and B in px: one number stands there where depths are equal, else two."""
LINE = 18.0
WIDE_CHARACTER = 7.0
"""Width of a character that no text passes on average."""
SIDES = ("A above", "B below")
LOOKS = ("sx-removed", "sx-added")
"""Of edges that only A has, and only B."""


@dataclass(frozen=True, kw_only=True)
class _Mirror:
    """Where both wirings stand, in px.

    `rows` holds the baselines (A's, B's) of each stage, `equal` whether one number a layer will do.
    """

    equal: tuple[bool, ...]
    rows: tuple[tuple[float, float], ...]
    pitch: float
    flatness: float
    right: float
    bottom: float

    def at(self, side: int, stage: int, back: int) -> tuple[float, float]:
        """Return the centre of a layer of A (side 0) or B (1), counted back from the last."""
        return self.right - back * self.pitch, self.rows[stage][side]


def _mirror(a: ConnectivityGraph, b: ConnectivityGraph, top: float) -> _Mirror:
    """Place the lanes; each is as tall as the longest spans above and below it need."""
    pitch, flatness = proportions(a, b)
    rows, y = [], top
    equal = tuple(before == after for before, after in zip_longest(a.depths, b.depths))
    spans = zip_longest(longest_spans(a), longest_spans(b), fillvalue=0)
    for (up, down), shared in zip(spans, equal, strict=True):
        first = y + ABOVE + up * pitch / 2 * flatness
        last = first + GAP[shared]
        rows.append((first, last))
        y = last + down * pitch / 2 * flatness + ABOVE
    return _Mirror(
        equal=equal,
        rows=tuple(rows),
        pitch=pitch,
        flatness=flatness,
        right=HEAD + max(a.depths + b.depths) * pitch,
        bottom=y,
    )


def compare_svg(
    a: Architecture,
    b: Architecture,
    *,
    titles: tuple[str, str] = ("A", "B"),
    ids: str = "",
    standalone: bool = True,
    target: Mapping[str, int] = USUAL_TARGET,
) -> Markup:
    """Draw two architectures mirrored: A's arcs above, B's below, aligned at each stage's end.

    Edges carry `data-kind`, `data-source`, `data-target` and `data-side` (a, b or both), layers
    `data-layer` and `data-side`; an edge of both is drawn in each half, under the half's names.
    """
    words, named = difference_words(a, b, target), zip(SIDES, titles, strict=True)
    place = _mirror(a.graph, b.graph, 2 * LINE + 8 if standalone else 0.0)
    parts = [_arcs(a, b, side, place) for side in (0, 1)]
    size = target["image_size"]
    parts += [_layers_svg(design, i, place, ids, size) for i, design in enumerate((a, b))]
    parts += [_head(a, b, stage, place) for stage in range(len(place.rows))]
    width, height = place.right + RIGHT + 14, place.bottom
    heads = [f"{side}: {name}" if name not in ("", side[0]) else side for side, name in named]
    if standalone:
        parts.append(tag("text", text(heads[1]), x=0, y=36, class_="sx-title"))
        for line in textwrap.wrap(words, int(width / WIDE_CHARACTER)):
            height += LINE
            parts.append(tag("text", text(line), x=0, y=height, class_="sx-said"))
        height += 6
    return sheet(
        parts,
        (width, height),
        legend_samples() if standalone else None,
        title=heads[0],
        id=ids or None,
        class_="sx sx-wiring sx-compare",
        aria_label=f"{'; '.join(heads)}; matched from each stage's end: {words}.",
    )


def legend_samples() -> dict[str, Sample]:
    """Return the samples that explain a comparison, by their words."""
    words = {"only in A": LOOKS[0], "only in B": LOOKS[1], "in both": "sx-same"}
    edges = {said: arc(look) for said, look in words.items()}
    return known(*LAYERS) | edges | known("chain")


def _arcs(a: Architecture, b: Architecture, side: int, place: _Mirror) -> Markup:
    """Draw the edges of one side, the longest first so that short ones stay on top."""
    graphs = (a.graph, b.graph)
    mine, other = (edges_from_end(graphs[i]) for i in (side, 1 - side))
    drawn = []
    for edge in sorted(mine, key=lambda edge: (edge[1] - edge[2], edge)):
        stage, reader, source = edge
        (x1, y), (x2, _) = place.at(side, stage, source), place.at(side, stage, reader)
        names = [name_from_end(graphs[side], stage, back) for back in (source, reader)]
        where = f"in both, here in {'AB'[side]}" if edge in other else f"only in {'AB'[side]}"
        drawn.append(
            tag(
                "path",
                tag("title", text(f"{names[1]} reads {names[0]}, span {source - reader}, {where}")),
                d=arc_path(x1, x2, y, place.flatness, above=not side),
                class_=f"sx-aggregate {'sx-same' if edge in other else LOOKS[side]}",
                data_kind="aggregate",
                data_source=names[0],
                data_target=names[1],
                data_side="both" if edge in other else "ab"[side],
            )
        )
    return tag("g", *drawn, class_="sx-edges", data_half="ab"[side])


def _layers_svg(
    design: Architecture, side: int, place: _Mirror, ids: str, image_size: int
) -> Markup:
    """Draw the stream of one side and the layers on it, numbered towards the other side."""
    network, parts = to_networkx(design, image_size), []
    for stage, wiring in enumerate(design.graph.stages):
        first, y = place.at(side, stage, wiring.depth)
        stream = f"M{first - 14:.1f} {y:.1f}H{place.right + 20:.1f}m-5 -4l5 4l-5 4"
        parts.append(tag("path", d=stream, class_="sx-chain"))
        letter = {"x": place.right + 26, "y": y + 4}
        parts.append(tag("text", text("AB"[side]), **letter, class_="sx-side"))
    for name, node in network.nodes(data=True):
        stage = node["stage"] - 1
        x, y = place.at(side, stage, design.graph.depths[stage] - node["layer"])
        below = -12.0 if side else 18.5
        number = tag("text", text(node["layer"] or "in"), x=x, y=y + below, class_="sx-number")
        parts.append(
            tag(
                "g",
                tag("title", text(f"{'AB'[side]}: {layer_words(network, name)}")),
                symbol(node["kind"], x, y, min(1.0, place.pitch / 28)),
                *([number] if side == 0 or not place.equal[stage] else []),
                id=f"{ids}-{'ab'[side]}-{name}" if ids else None,
                class_="sx-layer",
                data_layer=name,
                data_side="ab"[side],
            )
        )
    return tag("g", *parts)


def _head(a: Architecture, b: Architecture, stage: int, place: _Mirror) -> Markup:
    """Write the head of a lane: stage and channels, of both where they differ."""
    shapes = [
        f"{design.graph.depths[stage]} {TIMES} {design.widths[stage]} ch"
        if stage < len(design.widths)
        else "no stage"
        for design in (a, b)
    ]
    lines = shapes[:1] if shapes[0] == shapes[1] else [f"A {shapes[0]}", f"B {shapes[1]}"]
    y = sum(place.rows[stage]) / 2 - 3 - 6 * (len(lines) - 1)
    said = [
        tag("text", text(line), x=0, y=y + 15 * (i + 1), class_="sx-shape")
        for i, line in enumerate(lines)
    ]
    return tag("g", tag("text", text(f"Stage {stage + 1}"), x=0, y=y, class_="sx-stage"), *said)
