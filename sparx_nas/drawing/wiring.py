"""Draw a wiring: one lane a stage, the stream as a straight line, aggregation as arcs above it.

Lanes share one layer pitch and end at the same x, because the published rule counts from a
stage's last layer. Every arc of a drawing has the same proportions, so height shows span.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph, measures
from sparx_nas.cost import to_networkx
from sparx_nas.drawing.markup import TIMES, Markup, join, tag, text
from sparx_nas.drawing.paint import LEGEND, Paint, edge_look, key, legend_symbol, sheet, symbol
from sparx_nas.ground.quantities import si

if TYPE_CHECKING:
    import networkx

__all__ = ["LEGEND", "Layout", "arc_path", "layer_words", "layout", "legend_symbol", "wiring_svg"]

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
Edge = tuple[int, int, int]
"""Stage from 0, then reader and source, both counted back from the stage's last layer."""
MANY_EDGES = 60
"""A drawing of more is drawn with thinner arcs."""
PLAIN = Paint()


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


def longest_spans(graph: ConnectivityGraph) -> list[int]:
    """Return the longest span of each stage, 0 where nothing aggregates."""
    return [
        max((layer - min(row) for layer, row in enumerate(stage.sources, 1) if row), default=0)
        for stage in graph.stages
    ]


def proportions(*graphs: ConnectivityGraph) -> tuple[float, float]:
    """Return the pitch of layers in px and the flatness of arcs that suit all of the wirings."""
    pitch = min(PITCH[1], max(PITCH[0], LANE_WIDTH / max(max(graph.depths) for graph in graphs)))
    longest = max(max(longest_spans(graph)) for graph in graphs)
    return pitch, min(1.0, MAX_ARC / (longest * pitch / 2)) if longest else 1.0


def layout(graph: ConnectivityGraph, *, top: float = 0.0) -> Layout:
    """Place the lanes of a wiring one below the other, each as tall as its longest span needs."""
    pitch, flatness = proportions(graph)
    baselines, y = [], top
    for span in longest_spans(graph):
        y += ABOVE + span * pitch / 2 * flatness
        baselines.append(y)
        y += BELOW
    return Layout(
        depths=graph.depths,
        baselines=tuple(baselines),
        pitch=pitch,
        flatness=flatness,
        right=HEAD + max(graph.depths) * pitch,
        bottom=y,
    )


def wiring_svg(
    architecture: Architecture,
    *,
    title: str = "",
    width: int | None = None,
    ids: str = "",
    standalone: bool = True,
    paint: Paint = PLAIN,
) -> Markup:
    """Draw an architecture as SVG.

    `width` scales the drawing to that many px (None: its natural size). `ids` becomes the `id`
    of the drawing and the prefix of its layers' ids. A standalone drawing carries its style, its
    title and a legend; any other needs `THEME_CSS` and `WIRING_CSS` in the page around it.
    Layers carry `data-layer`, edges `data-kind`, `data-source` and `data-target`.
    """
    place = layout(architecture.graph, top=TITLE if standalone and title else 0.0)
    return sheet(
        _lanes(to_networkx(architecture, paint.image_size), place, ids, paint),
        (place.right + RIGHT, place.bottom),
        key(paint) if standalone else None,
        title=title,
        scaled_to=width,
        id=ids or None,
        class_="sx sx-wiring",
        aria_label=_summary(architecture, title),
        data_wiring=architecture.graph.id,
    )


def _lanes(
    network: "networkx.MultiDiGraph[str]", place: Layout, ids: str, paint: Paint
) -> list[Markup]:
    """Draw every lane: edges first, layers over them, then the heads."""
    heads = [_head(network, place, stage) for stage in range(1, len(place.depths) + 1)]
    return [_edges(network, place, paint), _stubs(place), _nodes(network, place, ids), *heads]


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


def _edges(network: "networkx.MultiDiGraph[str]", place: Layout, paint: Paint) -> Markup:
    """Draw every edge of the graph, the longest arcs first so that short ones stay on top.

    Where colour is importance, the most important ones stay on top.
    """
    rank = paint.importance if paint.color == "importance" else {}
    edges = sorted(
        network.edges(data=True), key=lambda edge: (rank.get(edge[:2], 0.0), -edge[2]["span"])
    )
    drawn: dict[str, list[Markup]] = {"chain": [], "downsample": [], "aggregate": []}
    for source, target, edge in edges:
        start, end = _place(network, place, source), _place(network, place, target)
        path, said = _edge(edge["kind"], start, end, place, (source, target, edge["span"]))
        look, more = edge_look(
            PLAIN if edge["kind"] != "aggregate" else paint, network, source, target
        )
        drawn[edge["kind"]].append(
            tag(
                "path",
                tag("title", text(f"{said}\n{more}".rstrip())),
                d=path,
                class_=f"sx-{edge['kind']} {look}",
                data_kind=edge["kind"],
                data_source=source,
                data_target=target,
            )
        )
    thin = " sx-many" if len(drawn["aggregate"]) > MANY_EDGES else ""
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
        return arc_path(x1, x2, y1, place.flatness), f"{target} reads {source}, span {span}"
    if kind == "chain":
        return f"M{x1:.1f} {y1:.1f}H{x2:.1f}", f"{target} continues {source}"
    turn, level, back = x1 + 16, y1 + BELOW - 8, x2 - 17
    path = (
        f"M{x1:.1f} {y1:.1f}H{turn - 6:.1f}q6 0 6 6V{level - 6:.1f}q0 6 -6 6H{back + 6:.1f}"
        f"q-6 0 -6 6V{y2 - 6:.1f}q0 6 6 6H{x2:.1f}"
    )
    return path, f"{source} is downsampled to {target}: half the side, new channels"


def edges_from_end(graph: ConnectivityGraph) -> set[Edge]:
    """Return the aggregated edges so that those of wirings of other depths can be compared."""
    return {
        (i, stage.depth - layer, stage.depth - source)
        for i, stage in enumerate(graph.stages)
        for layer in stage.ganglia
        for source in stage.sources[layer - 1]
    }


def arc_path(x1: float, x2: float, y: float, flatness: float, *, above: bool = True) -> str:
    """Return half an ellipse from x1 to x2 over the baseline at y, or below it."""
    rx = (x2 - x1) / 2
    return f"M{x1:.1f} {y:.1f}A{rx:.1f} {rx * flatness:.1f} 0 0 {int(above)} {x2:.1f} {y:.1f}"


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
                tag("title", text(layer_words(network, name))),
                symbol(node["kind"], x, y, scale),
                label,
                id=f"{ids}-{name}" if ids else None,
                class_="sx-layer",
                data_layer=name,
            )
        )
    return tag("g", *parts)


def layer_words(network: "networkx.MultiDiGraph[str]", name: str) -> str:
    """Describe a layer: kind, shape, cost, sources."""
    node: Mapping[str, Any] = network.nodes[name]
    sides = network.graph["image_height"], network.graph["image_width"]
    size = f" {TIMES} ".join(map(str, dict.fromkeys(sides)))
    shape = f"{node['channels']} channels, {node['height']} {TIMES} {node['width']} at {size} px"
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
