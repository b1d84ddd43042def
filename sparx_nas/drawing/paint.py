"""How the edges of a wiring are painted, what the paint means, and the sheet it is drawn on."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from sparx_nas.architecture.graph import layer_name
from sparx_nas.drawing.markup import Attribute, Markup, style, tag, text
from sparx_nas.drawing.theme import THEME_CSS, WIRING_CSS
from sparx_nas.ground.quantities import percent, si
from sparx_nas.space.fields import USUAL_TARGET

if TYPE_CHECKING:
    import networkx

Color = Literal["class", "age", "importance"]
Width = Literal["plain", "channels", "macs"]
Sample = Callable[[float, float], Markup]
"""Draws what a key explains around a point, 16 px wide."""

LEGEND_ROW = 22.0
MARGIN = 12.0
CHARACTER = 6.3
"""Mean width of a character at the legend's size."""
LEGEND = {
    "input": "stage input",
    "normal": "normal layer",
    "ganglion": "ganglion layer",
    "aggregate": "read by the ganglion at its right end",
    "chain": "stream",
}
LAYERS = ("input", "normal", "ganglion")
AGES = (
    "read, no ganglion in between",
    "1 ganglion in between",
    "2 ganglia in between",
    "3 or more ganglia in between",
)
IMPORTANCE_BINS = 5
NEUTRAL = "sx-neutral"
THICKEST = 6
"""Width in px of the widest edges; the square root of the measure scales the others."""
MEASURED = {"channels": "channels", "macs": "MACs of the reader"}


@dataclass(frozen=True, kw_only=True)
class Paint:
    """What the colour and the width of an aggregated edge say.

    `class` colours by the source's kind, `age` by the ganglia between source and reader,
    `importance` by the share given for (source, reader), at least 0, against the largest share.
    `shared` says of what these are shares. Edges that are no more than noise are neutral: `neutral`
    names them, and `neutral_words` says so. Widths go by the square root of the source's channels
    or the reader's MACs. Maps and MACs are those of an image of `image_size` px a side: the
    target's, wherever there is a run or a space.
    """

    color: Color = "class"
    width: Width = "plain"
    importance: Mapping[tuple[str, str], float] = field(default_factory=dict)
    image_size: int = USUAL_TARGET["image_size"]
    shared: str = ""
    neutral: Collection[tuple[str, str]] = ()
    neutral_words: str = ""


def edge_look(
    paint: Paint, network: "networkx.MultiDiGraph[str]", source: str, target: str
) -> tuple[str, str]:
    """Return the classes of an aggregated edge, and what its tooltip adds, perhaps nothing."""
    looks, said = [], []
    if paint.color == "class":
        looks.append(f"sx-from-{network.nodes[source]['kind']}")
    elif paint.color == "age":
        age = _age(network, source, target)
        looks.append(f"sx-age-{min(age, len(AGES) - 1)}")
        said.append("1 ganglion in between" if age == 1 else f"{age} ganglia in between")
    elif (source, target) in paint.neutral:
        looks.append(NEUTRAL)
        said.append(paint.neutral_words)
    else:
        share = paint.importance.get((source, target))
        looks.append("sx-unmeasured" if share is None else f"sx-share-{_bin(paint, share)}")
        of = f" of {paint.shared}" if paint.shared else ""
        known = "importance not measured" if share is None else f"importance {percent(share)}{of}"
        said.append(known)
    if paint.width != "plain":
        measure = network.nodes[source if paint.width == "channels" else target][paint.width]
        most = max(node[paint.width] for _, node in network.nodes(data=True))
        looks.append(width_look(measure / most))
        said.append(f"{si(measure)} {MEASURED[paint.width]}")
    return " ".join(looks), "\n".join(said)


def width_look(fraction: float) -> str:
    """Return the class of a width whose square is a fraction in [0, 1] of the largest one's."""
    return f"sx-w{max(1, round(THICKEST * math.sqrt(fraction)))}"


def _age(network: "networkx.MultiDiGraph[str]", source: str, target: str) -> int:
    """Count the ganglia strictly between a source and its reader."""
    first, last = network.nodes[source], network.nodes[target]
    names = (layer_name(first["stage"] - 1, k) for k in range(first["layer"] + 1, last["layer"]))
    return sum(network.nodes[name]["kind"] == "ganglion" for name in names)


def _bin(paint: Paint, share: float) -> int:
    """Return which fifth of the largest share a share is in, from 0."""
    most = max(paint.importance.values())
    return min(IMPORTANCE_BINS - 1, int(IMPORTANCE_BINS * share / most)) if most > 0 else 0


def key(paint: Paint) -> dict[str, Sample]:
    """Return the samples that explain a drawing, by their words."""
    return known(*LAYERS) | _colors(paint) | known("chain") | _widths(paint)


def known(*kinds: str) -> dict[str, Sample]:
    """Return the samples of layers and edges that look the same in every drawing."""
    return {LEGEND[kind]: partial(legend_symbol, kind) for kind in kinds}


def legend_items(paint: Paint) -> dict[str, Markup]:
    """Return the key's samples for a page: each fills an SVG of 22 by 22 px."""
    return {said: sample(11, 11) for said, sample in key(paint).items()}


def _colors(paint: Paint) -> dict[str, Sample]:
    """Explain the colours of the arcs."""
    if paint.color == "class":
        return known("aggregate")
    if paint.color == "age":
        return {said: arc(f"sx-age-{age}") for age, said in enumerate(AGES)}
    found: dict[str, Sample] = {}
    most = max(paint.importance.values(), default=0.0)
    for step in range(IMPORTANCE_BINS if most > 0 else 0):
        low, high = (most * k / IMPORTANCE_BINS for k in (step, step + 1))
        lead = f"{100 * low:.1f} to " if step else "importance up to "
        of = f" of {paint.shared}" if paint.shared and not step else ""
        found[lead + percent(high) + of] = arc(f"sx-share-{step}")
    if not found and not paint.neutral:
        found["importance 0"] = arc("sx-share-0")
    noise = {paint.neutral_words: arc(NEUTRAL)} if paint.neutral else {}
    return found | noise | {"not measured": arc("sx-unmeasured")}


def _widths(paint: Paint) -> dict[str, Sample]:
    """Explain the widths of the arcs."""
    if paint.width == "plain":
        return {}
    measure = MEASURED[paint.width]
    return {f"a quarter of the most {measure}": line(0.25), f"the most {measure}": line(1.0)}


def arc(look: str) -> Sample:
    """Return the sample of an aggregated edge with these classes."""
    return partial(_arc, f"sx-aggregate {look}")


def _arc(classes: str, x: float, y: float) -> Markup:
    """Draw a small arc."""
    return tag("path", d=f"M{x - 8:.1f} {y + 4:.1f}a8 9 0 0 1 16 0", class_=classes)


def line(fraction: float) -> Sample:
    """Return the sample of the width of an edge whose measure is a fraction of the largest."""
    return partial(_line, f"sx-aggregate sx-unpainted {width_look(fraction)}")


def _line(classes: str, x: float, y: float) -> Markup:
    """Draw a short straight piece of an edge."""
    return tag("path", d=f"M{x - 8:.1f} {y:.1f}h16", class_=classes)


def legend_symbol(kind: str, x: float, y: float) -> Markup:
    """Draw the legend's sample of a layer or an edge, 16 px wide."""
    if kind in LAYERS:
        return symbol(kind, x, y)
    classes = f"sx-{kind} sx-from-normal"
    if kind == "aggregate":
        return _arc(classes, x, y)
    return _line(classes, x, y)


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


def legend(samples: Mapping[str, Sample], width: float, top: float) -> tuple[Markup, int]:
    """Draw samples with their words, wrapped to the width; return that with its number of rows."""
    parts, x, row = [], 9.0, 0
    for said, sample in samples.items():
        length = 18 + CHARACTER * len(said) + 16
        if x > 9 and x + length > width + 16:
            x, row = 9.0, row + 1
        y = top + row * LEGEND_ROW
        parts += [sample(x, y), tag("text", text(said), x=x + 15, y=y + 4)]
        x += length
    return tag("g", *parts, class_="sx-legend"), row + 1


def sheet(
    parts: list[Markup],
    size: tuple[float, float],
    samples: Mapping[str, Sample] | None,
    *,
    title: str = "",
    scaled_to: int | None = None,
    **attributes: Attribute,
) -> Markup:
    """Put a drawing of `size` (width, height) on a sheet, with style, title and a legend below.

    Without samples the drawing is for a page that brings all three. `scaled_to` is a width in px.
    """
    (full, height), margin = size, 0.0
    if samples is not None:
        drawn, rows = legend(samples, full, height + 14)
        parts = [style(THEME_CSS + WIRING_CSS), *parts, drawn]
        parts.append(tag("text", text(title), x=0, y=16, class_="sx-title"))
        height, margin = height + rows * LEGEND_ROW + 8, MARGIN
    full, height = full + 2 * margin, height + 2 * margin
    scale = scaled_to / full if scaled_to else 1.0
    return tag(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"{-margin:.0f} {-margin:.0f} {full:.0f} {height:.0f}",
        width=round(full * scale),
        height=round(height * scale),
        role="img",
        **attributes,
    )
