import re
import xml.etree.ElementTree as ET

import pytest

from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.cost import to_networkx
from sparx_nas.drawing.paint import AGES, IMPORTANCE_BINS, Paint, legend_items
from sparx_nas.drawing.theme import WIRING_CSS
from sparx_nas.drawing.wiring import wiring_svg
from support import runs

SVG = "{http://www.w3.org/2000/svg}"
WHITE, BLACK = "#ffffff", "#111418"
PAINTS = [
    Paint(color=color, width=width, importance={("3.1", "3.3"): 0.4, ("3.2", "3.3"): 0.0})
    for color in ("class", "age", "importance")
    for width in ("plain", "channels", "macs")
]


def architecture(graph: ConnectivityGraph) -> Architecture:
    return Architecture(graph=graph, widths=runs.WIDTHS[: len(graph.depths)])


def edges(svg: str) -> dict[tuple[str, str], ET.Element]:
    paths = (p for p in ET.fromstring(svg).iter(f"{SVG}path") if p.get("data-kind") == "aggregate")
    return {(path.get("data-source"), path.get("data-target")): path for path in paths}


def looks(svg: str, prefix: str) -> dict[tuple[str, str], str]:
    return {
        pair: next((c for c in path.get("class").split() if c.startswith(prefix)), "")
        for pair, path in edges(svg).items()
    }


def luminance(color: str) -> float:
    parts = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("paint", PAINTS, ids=lambda paint: f"{paint.color}-{paint.width}")
def test_paint_changes_how_edges_look_and_not_which_there_are(paint: Paint):
    for graph in (runs.PUBLISHED, patterns.dense((2, 2, 12, 2)), *runs.wirings(4)):
        painted = edges(wiring_svg(architecture(graph), paint=paint))
        expected = {(source, name) for name, row in graph.ganglia.items() for source in row}
        assert set(painted) == expected


def test_the_default_paint_is_the_drawing_without_one():
    value = architecture(runs.PUBLISHED)
    assert wiring_svg(value, paint=Paint()) == wiring_svg(value)


def test_age_counts_the_ganglia_between_source_and_reader():
    graph = patterns.sparx((2, 2, 12, 2), stride=(1, 1, 2, 1), start=(9, 9, 0, 9), window=(9,) * 4)
    svg = wiring_svg(architecture(graph), paint=Paint(color="age"))
    for (source, target), look in looks(svg, "sx-age-").items():
        first, last = (int(name.split(".")[1]) for name in (source, target))
        ganglia = sum(first < layer < last for layer in graph.stages[2].ganglia)
        assert look == f"sx-age-{min(3, ganglia)}"
    assert set(looks(svg, "sx-age-").values()) == {f"sx-age-{age}" for age in range(4)}


def test_importance_is_binned_against_the_largest_and_the_unmeasured_is_told_apart():
    shares = {("3.0", "3.1"): 0.5, ("3.1", "3.3"): 0.29, ("3.2", "3.3"): 0.0}
    paint = Paint(color="importance", importance=shares)
    svg = wiring_svg(architecture(runs.PUBLISHED), paint=paint)
    found = looks(svg, "sx-share-")
    assert {pair: look for pair, look in found.items() if look} == {
        ("3.0", "3.1"): "sx-share-4",
        ("3.1", "3.3"): "sx-share-2",
        ("3.2", "3.3"): "sx-share-0",
    }
    unmeasured = looks(svg, "sx-unmeasured")
    assert all(bool(unmeasured[pair]) != bool(found[pair]) for pair in found)
    said = {pair: path.findtext(f"{SVG}title") for pair, path in edges(svg).items()}
    assert said["3.1", "3.3"].endswith("importance 29.0 %")


@pytest.mark.parametrize("shares", [{}, {("3.0", "3.1"): 0.0}])
def test_importance_of_nothing_is_drawn(shares: dict[tuple[str, str], float]):
    paint = Paint(color="importance", importance=shares)
    assert edges(wiring_svg(architecture(runs.PUBLISHED), paint=paint))
    assert "not measured" in legend_items(paint)


@pytest.mark.parametrize("width", ["channels", "macs"])
def test_width_grows_with_the_root_of_the_measure_in_whole_px(width: str):
    value = architecture(runs.PUBLISHED)
    network = to_networkx(value)
    most = max(node[width] for _, node in network.nodes(data=True))
    for pair, look in looks(wiring_svg(value, paint=Paint(width=width)), "sx-w").items():
        measure = network.nodes[pair[0] if width == "channels" else pair[1]][width]
        px = int(look.removeprefix("sx-w"))
        assert 1 <= px <= 6
        assert abs(px - 6 * (measure / most) ** 0.5) <= 0.5 or px == 1


def test_every_step_of_a_scale_is_seen_on_white_and_on_black_and_has_its_own_dash_or_width():
    for name, steps in (("age", len(AGES)), ("share", IMPORTANCE_BINS)):
        rules = re.findall(rf"\.sx-{name}-\d\.sx-aggregate{{stroke:(#\w+);?([^}}]*)}}", WIRING_CSS)
        assert len(rules) == len({color for color, _ in rules}) == steps
        assert len({rest for _, rest in rules}) == steps
        assert all(contrast(color, ground) >= 3 for color, _ in rules for ground in (WHITE, BLACK))


@pytest.mark.parametrize("paint", PAINTS, ids=lambda paint: f"{paint.color}-{paint.width}")
def test_the_legend_explains_every_look_that_is_drawn(paint: Paint):
    svg = wiring_svg(architecture(runs.PUBLISHED), paint=paint)
    items = legend_items(paint)
    for sample in items.values():
        ET.fromstring(sample)
    explained = "".join(items.values())
    used = {
        look for prefix in ("sx-age", "sx-share", "sx-unm") for look in looks(svg, prefix).values()
    }
    assert all(look in explained for look in used)
    assert ("sx-w6" in explained) == (paint.width != "plain")
    root = ET.fromstring(svg)
    texts = {element.text for element in root.iter(f"{SVG}text")}
    assert set(items) <= texts


def test_every_class_of_a_painted_edge_has_a_style():
    for paint in PAINTS:
        svg = wiring_svg(architecture(runs.PUBLISHED), paint=paint)
        classes = {c for path in edges(svg).values() for c in path.get("class").split()}
        assert all(f".{name}" in WIRING_CSS for name in classes)
