import xml.etree.ElementTree as ET

import pytest

from sparx_nas import patterns
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.drawing.difference import difference
from sparx_nas.drawing.matrix import matrix_svg
from support import runs
from support.runs import SVG
from support.runs import narrow as architecture


def graphs() -> list[ConnectivityGraph]:
    return [
        *runs.wirings(6),
        *runs.wirings(3, (1, 30)),
        runs.PUBLISHED,
        patterns.plain((1,)),
        patterns.dense((2, 0, 5)),
    ]


def edges_of(graph: ConnectivityGraph) -> set[tuple[str, str]]:
    return {(source, name) for name, row in graph.ganglia.items() for source in row}


def cells(svg: str) -> dict[tuple[str, str], ET.Element]:
    groups = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("data-edge")]
    found = {(g.get("data-source"), g.get("data-target")): g for g in groups}
    assert len(found) == len(groups)
    return found


@pytest.mark.parametrize("graph", graphs(), ids=lambda graph: graph.id)
def test_there_is_a_cell_for_every_possible_edge_filled_where_it_is(graph: ConnectivityGraph):
    found = cells(matrix_svg(architecture(graph)))
    assert set(found) == edges_of(patterns.random(graph.depths, 1.0, 0))
    there = {pair for pair, cell in found.items() if cell.get("data-edge") == "1"}
    assert there == edges_of(graph)
    filled = {p for p, c in found.items() if "sx-filled" in c.find(f"{SVG}rect").get("class")}
    assert filled == there
    assert all(cell.get("data-vs") is None for cell in found.values())


@pytest.mark.parametrize("graph", graphs(), ids=lambda graph: graph.id)
def test_the_stream_is_marked_in_the_cell_of_the_layer_before(graph: ConnectivityGraph):
    found = cells(matrix_svg(architecture(graph)))
    marked = {pair for pair, cell in found.items() if cell.find(f"{SVG}circle") is not None}
    network = graph.to_networkx()
    chain = {(a, b) for a, b, edge in network.edges(data=True) if edge["kind"] == "chain"}
    assert marked == chain


@pytest.mark.parametrize("graph", graphs(), ids=lambda graph: graph.id)
def test_fits_a_column_and_cells_do_not_overlap(graph: ConnectivityGraph):
    root = ET.fromstring(matrix_svg(architecture(graph), standalone=False))
    width, height = float(root.get("width")), float(root.get("height"))
    assert width <= 620
    places = set()
    for rect in (r for r in root.iter(f"{SVG}rect") if "sx-cell" in r.get("class")):
        x, y, side = (float(rect.get(name)) for name in ("x", "y", "width"))
        assert 0 <= x < x + side <= width
        assert 0 <= y < y + side <= height
        places.add((round(x / (side + 1.5), 2), round(y, 2)))
    assert len(places) == len(edges_of(patterns.random(graph.depths, 1.0, 0)))


@pytest.mark.parametrize(
    "other",
    [*runs.wirings(3), *runs.wirings(2, (3, 2, 9)), patterns.dense((2, 2, 4, 2, 3))],
    ids=lambda graph: graph.id,
)
def test_split_cells_are_the_difference(other: ConnectivityGraph):
    a, b = architecture(runs.PUBLISHED), architecture(other)
    svg, found = matrix_svg(a, vs=b), difference(a, b)
    root = ET.fromstring(svg)
    halves = list(root.iter(f"{SVG}polygon"))
    in_cells = [
        p for g in root.iter(f"{SVG}g") if g.get("data-vs") for p in g.iter(f"{SVG}polygon")
    ]
    looks = [p.get("class").split()[1] for p in in_cells]
    assert looks.count("sx-removed") == len(found.removed)
    assert looks.count("sx-added") == len(found.added)
    both = len(edges_of(a.graph)) - len(found.removed)
    assert looks.count("sx-same") == 2 * both
    assert len(halves) == len(in_cells) + 4
    there = {pair for pair, cell in cells(svg).items() if cell.get("data-edge") == "1"}
    assert there == edges_of(a.graph)
    beyond = [g for g in root.iter(f"{SVG}g") if g.get("class") == "sx-beyond"]
    assert all(g.get("data-source") is None and g.get("data-edge") is None for g in beyond)
    count = sum(1 for g in root.iter(f"{SVG}g") if g.get("data-vs") == "1")
    assert count == len(edges_of(b.graph))


def test_tooltips_say_what_a_cell_stands_for():
    found = cells(matrix_svg(architecture(runs.PUBLISHED)))
    said = {pair: cell.findtext(f"{SVG}title") for pair, cell in found.items()}
    assert said["3.1", "3.3"] == "3.3 reads 3.1"
    assert said["3.0", "3.3"] == "3.3 does not read 3.0"
    assert said["3.2", "3.3"] == "3.3 reads 3.2; the stream comes from there"


def test_rows_and_columns_are_labelled():
    root = ET.fromstring(matrix_svg(architecture(patterns.dense((1, 3))), standalone=False))
    texts = [(t.get("class"), t.text) for t in root.iter(f"{SVG}text") if t.text]
    rows = sorted(said for name, said in texts if name == "sx-row")
    assert rows == ["1", "1", "2", "3"]
    columns = sorted(said for name, said in texts if name == "sx-number")
    assert columns == ["1", "2", "in", "in"], "a column for all but the last layer"
    assert {said for name, said in texts if name == "sx-stage"} == {"Stage 1", "Stage 2"}


@pytest.mark.parametrize("standalone", [True, False])
def test_hostile_titles_are_inert_and_only_a_standalone_drawing_has_a_style(standalone: bool):
    title = "</svg><script>alert(1)</script>\x00\" x='"
    svg = matrix_svg(architecture(runs.PUBLISHED), title=title, standalone=standalone)
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert bool(root.findall(f"{SVG}style")) == standalone
    assert root.get("role") == "img"
    assert "3.3 reads 3.1, 3.2" in root.get("aria-label")
