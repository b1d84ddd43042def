import xml.etree.ElementTree as ET

import pytest

from sparx_nas import patterns
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.drawing.wiring import MAX_ARC, layout, wiring_svg
from support import runs
from support.runs import SVG
from support.runs import narrow as architecture


def graphs() -> list[ConnectivityGraph]:
    return [
        *runs.wirings(8),
        *runs.wirings(4, (1, 30)),
        runs.PUBLISHED,
        patterns.plain((1,)),
        patterns.dense((1, 30, 3, 1, 2)),
    ]


@pytest.mark.parametrize("graph", graphs(), ids=lambda graph: graph.id)
def test_draws_exactly_the_edges_and_layers_of_the_graph(graph: ConnectivityGraph):
    root = ET.fromstring(wiring_svg(architecture(graph), title="A <wiring> & 'more'"))
    network = graph.to_networkx()
    drawn = sorted(
        (path.get("data-source"), path.get("data-target"), path.get("data-kind"))
        for path in root.iter(f"{SVG}path")
        if path.get("data-kind")
    )
    assert drawn == sorted((a, b, edge["kind"]) for a, b, edge in network.edges(data=True))
    layers = [group.get("data-layer") for group in root.iter(f"{SVG}g") if group.get("data-layer")]
    assert sorted(layers) == sorted(network.nodes)


@pytest.mark.parametrize("graph", graphs(), ids=lambda graph: graph.id)
def test_arcs_stay_inside_their_lane(graph: ConnectivityGraph):
    place = layout(graph)
    for i, stage in enumerate(graph.stages):
        above = place.baselines[i - 1] if i else 0.0
        for layer in stage.ganglia:
            x1, y = place.at(i + 1, min(stage.sources[layer - 1]))
            height = (place.at(i + 1, layer)[0] - x1) / 2 * place.flatness
            assert y - height > above
            assert height <= MAX_ARC + 1e-9


def test_last_layers_stand_below_each_other_and_layers_are_one_pitch_apart():
    place = layout(patterns.plain((2, 7, 3)))
    ends = {place.at(stage, depth)[0] for stage, depth in ((1, 2), (2, 7), (3, 3))}
    assert ends == {place.right}
    assert place.at(2, 4)[0] - place.at(2, 3)[0] == pytest.approx(place.pitch)


def test_shapes_tell_the_kinds_of_layers_apart():
    graph = runs.PUBLISHED
    root = ET.fromstring(wiring_svg(architecture(graph)))
    shapes = {"input": "path", "normal": "circle", "ganglion": "rect"}
    for group in root.iter(f"{SVG}g"):
        if name := group.get("data-layer"):
            stage, layer = map(int, name.split("."))
            kind = graph.stages[stage - 1].kind(layer)
            assert group.find(f"{SVG}{shapes[kind]}") is not None, name


def test_tooltips_name_shape_cost_and_sources():
    root = ET.fromstring(wiring_svg(architecture(runs.PUBLISHED)))
    said = {g.get("data-layer"): g.findtext(f"{SVG}title") for g in root.iter(f"{SVG}g")}
    assert "64 channels, 14 \u00d7 14" in said["3.3"]
    assert "MACs" in said["3.3"]
    assert said["3.3"].endswith("reads 3.1, 3.2")
    edges = {path.findtext(f"{SVG}title") for path in root.iter(f"{SVG}path")}
    assert "3.3 reads 3.1, span 2" in edges


def test_summary_is_there_for_those_who_do_not_see_it():
    root = ET.fromstring(wiring_svg(architecture(runs.PUBLISHED), title="SparX"))
    assert root.get("role") == "img"
    assert root.get("aria-label").startswith("SparX: wiring of 4 stages")
    assert "2.2 reads 2.0, 2.1" in root.get("aria-label")


def test_ids_of_two_drawings_do_not_collide():
    value = architecture(runs.PUBLISHED)
    ids = [
        element.get("id")
        for name in ("a", "b")
        for element in ET.fromstring(wiring_svg(value, ids=name)).iter()
        if element.get("id")
    ]
    assert len(ids) == len(set(ids)) == 2 * (sum(runs.DEPTHS) + 4 + 1)


def test_width_scales_the_drawing():
    value = architecture(runs.PUBLISHED)
    whole = ET.fromstring(wiring_svg(value))
    half = ET.fromstring(wiring_svg(value, width=int(whole.get("width")) // 2))
    assert half.get("viewBox") == whole.get("viewBox")
    assert int(half.get("height")) == pytest.approx(int(whole.get("height")) / 2, abs=1)


def test_only_a_standalone_drawing_carries_its_style():
    value = architecture(runs.PUBLISHED)
    assert "<style>" in wiring_svg(value)
    assert "<style>" not in wiring_svg(value, standalone=False)
