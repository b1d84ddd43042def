"""The keys of the report's drawings: lists of samples that wrap on a narrow screen."""

from collections.abc import Mapping, Sequence

from sparx_nas.drawing.charts import Mark, point_shape
from sparx_nas.drawing.markup import Markup, tag, text
from sparx_nas.drawing.wiring import LEGEND, legend_symbol


def wiring_key() -> Markup:
    """Explain layers and edges."""
    return _key({said: legend_symbol(kind, 11, 11) for kind, said in LEGEND.items()}, "sx-wiring")


def front_key(points: Sequence[Mark]) -> Markup:
    """Explain the kinds of points that a front chart has."""
    words = {
        "front": "on the front",
        "dominated": "dominated",
        "infeasible": "over a limit; on the axis: not trained",
    }
    here = {point.kind for point in points if not point.name}
    samples = {said: _sample(kind, "") for kind, said in words.items() if kind in here}
    if any(p.y is not None and p.kind != "infeasible" for p in points):
        line = tag("path", d="M2 16H11V6H20", class_="sx-step")
        samples["border of what was reached"] = line
    for point in points:
        if point.name:
            over = ", over a limit" if point.kind == "infeasible" else ""
            front = ", on the front" if point.kind == "front" else ""
            samples[f"{point.name} baseline{front}{over}"] = _sample(point.kind, point.name)
    return _key(samples, "sx-chart")


def curves_key() -> Markup:
    """Explain the lines of the training curves."""
    words = {"front": "on the front", "baseline": "baseline", "dominated": "any other trial"}
    lines = {
        said: tag("path", d="M2 11H20", class_=f"sx-curve sx-{kind}")
        for kind, said in words.items()
    }
    return _key(lines, "sx-chart")


def _sample(kind: str, name: str) -> Markup:
    """Draw one point of a kind."""
    mark = Mark(number=0, x=0.0, y=0.0, kind=kind, name=name, words=name or kind)
    return point_shape(mark, 11, 11, sample=True)


def _key(samples: Mapping[str, Markup], drawing: str) -> Markup:
    """List samples with their words."""
    items = (
        tag(
            "li",
            tag(
                "svg",
                sample,
                viewBox="0 0 22 22",
                width=22,
                height=22,
                class_=f"sx {drawing}",
                aria_hidden="true",
            ),
            text(said),
        )
        for said, sample in samples.items()
    )
    return tag("ul", *items, class_="key")
