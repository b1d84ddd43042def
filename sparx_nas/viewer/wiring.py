"""Draw a wiring: one lane a stage, the stream as a straight line, aggregation as arcs above it.

Lanes share one layer pitch and end at the same x, because the published rule counts from a
stage's last layer. Every arc of a drawing has the same proportions, so height shows span.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparx_nas.architecture import Architecture
from sparx_nas.graph import ConnectivityGraph, measures
from sparx_nas.quantities import si
from sparx_nas.viewer.markup import TIMES, Markup, join, style, tag, text
from sparx_nas.viewer.theme import THEME_CSS, WIRING_CSS

if TYPE_CHECKING:
    import networkx

HEAD = 120.0
"""Room for the lane heads, left of the first column."""
RIGHT = 26.0
LANE_WIDTH = 620.0
PITCH = (20.0, 36.0)
MAX_ARC = 240.0
"""Tallest arc; a wiring with longer spans is drawn with flatter arcs throughout."""
ABOVE, BELOW = 16.0, 40.0
"""Room of a lane above its tallest arc and below its baseline."""
TITLE = 30.0
MARGIN = 12.0
LEGEND_ROW = 22.0
LEGEND = {
    "input": "stage input",
    "normal": "normal layer",
    "ganglion": "ganglion layer",
    "aggregate": "read by the ganglion at its right end",
    "chain": "stream",
}
CHARACTER = 6.3
"""Mean width of a character at the legend's size."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything stands, in px; `flatness` is an arc's height over half its width."""

    depths: tuple[int, ...]
    baselines: tuple[float, ...]
    pitch: float
    flatness: float
    right: float
    bottom: float

    def at(self, stage: int, layer: int) -> tuple[float, float]:
        """Return the centre of a layer (stage from 1; layer 0 is the stage's input)."""
        x = self.right - (self.depths[stage - 1] - layer) * self.pitch
        return x, self.baselines[stage - 1]


def layout(graph: ConnectivityGraph, *, top: float = 0.0) -> Layout:
    """Place the lanes of a wiring one below the other, each as tall as its longest span needs."""
    columns = max(graph.depths)
    pitch = min(PITCH[1], max(PITCH[0], LANE_WIDTH / columns))
    spans = [
        max((layer - min(row) for layer, row in enumerate(stage.sources, 1) if row), default=0)
        for stage in graph.stages
    ]
    flatness = min(1.0, MAX_ARC / (max(spans) * pitch / 2)) if any(spans) else 1.0
    baselines, y = [], top
    for span in spans:
        y += ABOVE + span * pitch / 2 * flatness
        baselines.append(y)
        y += BELOW
    return Layout(
        depths=graph.depths,
        baselines=tuple(baselines),
        pitch=pitch,
        flatness=flatness,
        right=HEAD + columns * pitch,
        bottom=y,
    )


def wiring_svg(
    architecture: Architecture,
    *,
    title: str = "",
    width: int | None = None,
    ids: str = "",
    standalone: bool = True,
) -> Markup:
    """Draw an architecture as SVG.

    `width` scales the drawing to that many px (None: its natural size). `ids` becomes the `id`
    of the drawing and the prefix of its layers' ids. A standalone drawing carries its style, its
    title and a legend; any other needs `THEME_CSS` and `WIRING_CSS` in the page around it.
    Layers carry `data-layer`, edges `data-kind`, `data-source` and `data-target`.
    """
    place = layout(architecture.graph, top=TITLE if standalone and title else 0.0)
    parts = _lanes(architecture.to_networkx(), place, ids)
    full, height = place.right + RIGHT, place.bottom
    margin = MARGIN if standalone else 0.0
    if standalone:
        legend, rows = _legend(full, height + 14)
        parts = [style(THEME_CSS + WIRING_CSS), *parts, legend]
        parts.append(tag("text", text(title), x=0, y=16, class_="sx-title"))
        height += rows * LEGEND_ROW + 8
    full, height = full + 2 * margin, height + 2 * margin
    scale = width / full if width else 1.0
    return tag(
        "svg",
        *parts,
        id=ids or None,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"{-margin:.0f} {-margin:.0f} {full:.0f} {height:.0f}",
        width=round(full * scale),
        height=round(height * scale),
        class_="sx sx-wiring",
        role="img",
        aria_label=_summary(architecture, title),
        data_wiring=architecture.graph.id,
    )


def _lanes(network: "networkx.MultiDiGraph[str]", place: Layout, ids: str) -> list[Markup]:
    """Draw every lane: edges first, layers over them, then the heads."""
    heads = [_head(network, place, stage) for stage in range(1, len(place.depths) + 1)]
    return [_edges(network, place), _stubs(place), _nodes(network, place, ids), *heads]


def _summary(architecture: Architecture, title: str) -> str:
    """Say in words what the drawing shows."""
    graph, m = architecture.graph, measures(architecture.graph)
    depths = ", ".join(map(str, graph.depths))
    lead = f"{title}: wiring" if title else "Wiring"
    ganglia = "; ".join(f"{name} reads {', '.join(row)}" for name, row in graph.ganglia.items())
    return (
        f"{lead} of {len(graph.depths)} stages of {depths} layers, {m.ganglia} of {m.layers} "
        f"ganglia, {m.edges} aggregated edges. {ganglia or 'No layer aggregates'}."
    )


def _place(network: "networkx.MultiDiGraph[str]", place: Layout, name: str) -> tuple[float, float]:
    """Return the centre of a layer by name."""
    node = network.nodes[name]
    return place.at(node["stage"], node["layer"])


def _edges(network: "networkx.MultiDiGraph[str]", place: Layout) -> Markup:
    """Draw every edge of the graph, the longest arcs first so that short ones stay on top."""
    edges = sorted(network.edges(data=True), key=lambda edge: -edge[2]["span"])
    drawn: dict[str, list[Markup]] = {"chain": [], "downsample": [], "aggregate": []}
    for source, target, edge in edges:
        start, end = _place(network, place, source), _place(network, place, target)
        path, said = _edge(edge["kind"], start, end, place, (source, target, edge["span"]))
        drawn[edge["kind"]].append(
            tag(
                "path",
                tag("title", text(said)),
                d=path,
                class_=f"sx-{edge['kind']} sx-from-{network.nodes[source]['kind']}",
                data_kind=edge["kind"],
                data_source=source,
                data_target=target,
            )
        )
    thin = " sx-many" if len(drawn["aggregate"]) > 60 else ""
    layers = [tag("g", *parts, class_=f"sx-edges{thin}") for parts in drawn.values()]
    return join(layers)


def _edge(
    kind: str,
    start: tuple[float, float],
    end: tuple[float, float],
    place: Layout,
    names: tuple[str, str, int],
) -> tuple[str, str]:
    """Return the path of an edge and the sentence that explains it."""
    source, target, span = names
    (x1, y1), (x2, y2) = start, end
    if kind == "aggregate":
        rx = (x2 - x1) / 2
        arc = f"M{x1:.1f} {y1:.1f}A{rx:.1f} {rx * place.flatness:.1f} 0 0 1 {x2:.1f} {y2:.1f}"
        return arc, f"{target} reads {source}, span {span}"
    if kind == "chain":
        return f"M{x1:.1f} {y1:.1f}H{x2:.1f}", f"{target} continues {source}"
    turn, level, back = x1 + 16, y1 + BELOW - 8, x2 - 17
    path = (
        f"M{x1:.1f} {y1:.1f}H{turn - 6:.1f}q6 0 6 6V{level - 6:.1f}q0 6 -6 6H{back + 6:.1f}"
        f"q-6 0 -6 6V{y2 - 6:.1f}q0 6 6 6H{x2:.1f}"
    )
    return path, f"{source} is downsampled to {target}: half the side, new channels"


def _stubs(place: Layout) -> Markup:
    """Draw the way in from the stem, the way out to the head, and a chevron where maps shrink."""
    first, last = place.at(1, 0), place.at(len(place.depths), place.depths[-1])
    parts = [
        tag("path", d=f"M{first[0] - 17:.1f} {first[1]:.1f}h17", class_="sx-chain"),
        tag("path", d=f"M{last[0]:.1f} {last[1]:.1f}h20m-5 -4l5 4l-5 4", class_="sx-chain"),
    ]
    for stage in range(1, len(place.depths)):
        x, y = place.at(stage, place.depths[stage - 1])
        chevron = f"M{x + 12:.1f} {y + 11:.1f}l4 4l4 -4m-8 5l4 4l4 -4"
        parts.append(tag("path", d=chevron, class_="sx-chevron"))
    return tag("g", *parts)


def _nodes(network: "networkx.MultiDiGraph[str]", place: Layout, ids: str) -> Markup:
    """Draw the layers, and their numbers below the baseline."""
    parts, scale = [], min(1.0, place.pitch / 28)
    for name, node in network.nodes(data=True):
        x, y = place.at(node["stage"], node["layer"])
        number = text(node["layer"] or "in")
        label = tag("text", number, x=x, y=y + 21, class_="sx-number")
        parts.append(
            tag(
                "g",
                tag("title", text(_layer_words(network, name))),
                symbol(node["kind"], x, y, scale),
                label,
                id=f"{ids}-{name}" if ids else None,
                class_="sx-layer",
                data_layer=name,
            )
        )
    return tag("g", *parts)


def symbol(kind: str, x: float, y: float, scale: float = 1.0) -> Markup:
    """Draw what stands for a layer: input diamond, normal circle, ganglion square."""
    if kind == "normal":
        return tag("circle", cx=x, cy=y, r=5 * scale, class_="sx-normal")
    if kind == "ganglion":
        half = 7 * scale
        box = {"x": x - half, "y": y - half, "width": 2 * half, "height": 2 * half, "rx": 2}
        return tag("rect", **box, class_="sx-ganglion")
    r = 6.5 * scale
    outline = f"M{x - r:.1f} {y:.1f}L{x:.1f} {y - r:.1f}L{x + r:.1f} {y:.1f}L{x:.1f} {y + r:.1f}z"
    return tag("path", d=outline, class_="sx-input")


def _layer_words(network: "networkx.MultiDiGraph[str]", name: str) -> str:
    """Describe a layer: kind, shape, cost, sources."""
    node: Mapping[str, Any] = network.nodes[name]
    shape = f"{node['channels']} channels, {node['height']} {TIMES} {node['width']} at 224 px"
    if node["kind"] == "input":
        came = "output of the stem" if node["stage"] == 1 else "downsampled"
        return f"{name} input of stage {node['stage']} ({came})\n{shape}"
    cost = f"{si(node['params'])} parameters, {si(node['macs'])} MACs"
    edges = network.in_edges(name, data=True)
    spans = {source: e["span"] for source, _, e in edges if e["kind"] == "aggregate"}
    reads = sorted(spans, key=lambda source: -spans[source])
    said = f"reads {', '.join(reads)}" if reads else "reads the layer before it only"
    return f"{name} {node['kind']} layer\n{shape}\n{cost}\n{said}"


def _head(network: "networkx.MultiDiGraph[str]", place: Layout, stage: int) -> Markup:
    """Write the head of a lane: stage, channels, map."""
    node = network.nodes[f"{stage}.0"]
    y = place.baselines[stage - 1]
    shape = f"{node['channels']} ch, {node['height']}{TIMES}{node['width']}"
    return tag(
        "g",
        tag("text", text(f"Stage {stage}"), x=0, y=y, class_="sx-stage"),
        tag("text", text(shape), x=0, y=y + 15, class_="sx-shape"),
    )


def _legend(width: float, top: float) -> tuple[Markup, int]:
    """Draw what the shapes mean, wrapped to the width; return it with its number of rows."""
    parts, x, row = [], 9.0, 0
    for kind, said in LEGEND.items():
        length = 18 + CHARACTER * len(said) + 16
        if x > 9 and x + length > width + 16:
            x, row = 9.0, row + 1
        y = top + row * LEGEND_ROW
        parts += [legend_symbol(kind, x, y), tag("text", text(said), x=x + 15, y=y + 4)]
        x += length
    return tag("g", *parts, class_="sx-legend"), row + 1


def legend_symbol(kind: str, x: float, y: float) -> Markup:
    """Draw the legend's sample of a layer or an edge, 16 px wide."""
    if kind in ("input", "normal", "ganglion"):
        return symbol(kind, x, y)
    path = (
        f"M{x - 8:.1f} {y + 4:.1f}a8 9 0 0 1 16 0"
        if kind == "aggregate"
        else f"M{x - 8:.1f} {y:.1f}h16"
    )
    return tag("path", d=path, class_=f"sx-{kind} sx-from-normal")
