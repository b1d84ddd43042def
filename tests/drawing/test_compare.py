import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest

from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.cost import estimate
from sparx_nas.drawing.compare import compare_svg
from sparx_nas.drawing.difference import Difference, difference, difference_words
from support import runs

SVG = "{http://www.w3.org/2000/svg}"
Pair = tuple[str, str]


def architecture(graph: ConnectivityGraph, widths=(64, 128, 320, 512)) -> Architecture:
    return Architecture(graph=graph, widths=widths[: len(graph.depths)])


def pairs() -> list[tuple[Architecture, Architecture]]:
    """Return pairs of equal and of other depths, and of other stage counts."""
    equal = runs.wirings(12)
    depths = ((2, 5, 9), (2, 2, 7, 4), (1,), (4, 3, 3, 3, 2))
    other = [graph for shape in depths for graph in runs.wirings(3, shape)]
    found = [*pairwise(equal), *zip(equal, other, strict=True), *zip(other, equal, strict=True)]
    widths = (64, 128, 320, 512, 640)
    return [(architecture(a, widths), architecture(b, widths)) for a, b in found]


def edges_of(graph: ConnectivityGraph) -> set[Pair]:
    return {(source, name) for name, row in graph.ganglia.items() for source in row}


def renamed(pair: Pair, old: ConnectivityGraph, new: ConnectivityGraph) -> Pair:
    """Name an edge of one wiring as another one does, counting from the end of the stage."""
    stage = int(pair[0].split(".")[0])
    more = (new.depths[stage - 1] if stage <= len(new.depths) else 0) - old.depths[stage - 1]
    a, b = (f"{stage}.{int(name.split('.')[1]) + more}" for name in pair)
    return a, b


@pytest.mark.parametrize(("a", "b"), pairs())
def test_the_difference_applied_to_a_gives_b(a: Architecture, b: Architecture):
    found = difference(a, b)
    kept = edges_of(a.graph) - set(found.removed)
    assert len(kept) == len(edges_of(a.graph)) - len(found.removed)
    edges = {renamed(pair, a.graph, b.graph) for pair in kept} | set(found.added)
    assert edges == edges_of(b.graph)
    ganglia: dict[str, list[str]] = {}
    for source, reader in sorted(edges):
        ganglia.setdefault(reader, []).append(source)
    depths = [after for _, after in found.depths][: len(b.graph.depths)]
    assert ConnectivityGraph.from_ganglia(depths, ganglia) == b.graph
    assert estimate(a).params + found.params == estimate(b).params
    assert estimate(a).macs + found.macs == estimate(b).macs


@pytest.mark.parametrize(("a", "b"), pairs()[::3])
def test_the_difference_the_other_way_is_its_opposite(a: Architecture, b: Architecture):
    there, back = difference(a, b), difference(b, a)
    assert (there.added, there.removed) == (back.removed, back.added)
    assert (there.ganglia_added, there.ganglia_removed) == (
        back.ganglia_removed,
        back.ganglia_added,
    )
    assert (there.params, there.macs) == (-back.params, -back.macs)


@pytest.mark.parametrize(("a", "b"), pairs())
def test_each_half_draws_the_edges_and_layers_of_its_side(a: Architecture, b: Architecture):
    root, found = ET.fromstring(compare_svg(a, b, ids="c")), difference(a, b)
    only = {"a": set(found.removed), "b": set(found.added)}
    for side, design in (("a", a), ("b", b)):
        half = next(g for g in root.iter(f"{SVG}g") if g.get("data-half") == side)
        drawn = [(p.get("data-source"), p.get("data-target")) for p in half]
        assert sorted(drawn) == sorted(edges_of(design.graph))
        looks = {"both": "sx-same", "a": "sx-removed", "b": "sx-added"}
        for path, pair in zip(half, drawn, strict=True):
            assert path.get("data-kind") == "aggregate"
            assert path.get("data-side") == (side if pair in only[side] else "both")
            assert looks[path.get("data-side")] in path.get("class").split()
        groups = [g for g in root.iter(f"{SVG}g") if g.get("data-side") == side]
        network = design.to_networkx()
        assert {g.get("data-layer") for g in groups} == set(network.nodes)
        shapes = {"input": "path", "normal": "circle", "ganglion": "rect"}
        for group in groups:
            kind = network.nodes[group.get("data-layer")]["kind"]
            assert group.find(f"{SVG}{shapes[kind]}") is not None
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_arcs_of_a_are_above_those_of_b_and_all_are_on_the_sheet():
    for a, b in pairs()[::4]:
        root = ET.fromstring(compare_svg(a, b, standalone=False))
        height = float(root.get("height"))
        for half in (g for g in root.iter(f"{SVG}g") if g.get("data-half")):
            for path in half:
                start, arc = path.get("d").removeprefix("M").split("A")
                y, ry, sweep = float(start.split()[1]), float(arc.split()[1]), arc.split()[4]
                assert sweep == ("1" if half.get("data-half") == "a" else "0")
                assert y - ry > 0
                assert sweep == "1" or y + ry < height


def test_every_layer_is_numbered_once_or_in_both_names():
    for a, b in pairs()[::4]:
        root = ET.fromstring(compare_svg(a, b))
        numbers = [t for t in root.iter(f"{SVG}text") if t.get("class") == "sx-number"]
        stages = max(len(a.graph.depths), len(b.graph.depths))
        expected = 0
        for i in range(stages):
            depths = [d.graph.depths[i] for d in (a, b) if i < len(d.graph.depths)]
            once = len(depths) == 2 and depths[0] == depths[1]
            expected += depths[0] + 1 if once else sum(depth + 1 for depth in depths)
        assert len(numbers) == expected


def test_words_say_edges_depths_ganglia_stride_and_cost():
    rule = {"start": (9, 1, 0, 0), "window": (3,) * 4}
    a = architecture(patterns.sparx((2, 2, 7, 2), stride=(1, 1, 3, 1), **rule))
    b = architecture(patterns.sparx((2, 2, 9, 2), stride=(1, 1, 2, 1), **rule))
    assert difference_words(a, b) == (
        "+10 -4 edges; stage 3: depth 7 -> 9; ganglia +3.1 +3.5 +3.7 -3.4; "
        "stage 3 reads like stride 2, was 3; +4.67 M parameters, +862 M MACs"
    )


def test_words_keep_quiet_about_a_stride_where_there_is_none():
    regular = patterns.sparx((2, 7), stride=(1, 2), start=(9, 0), window=(3, 3))
    uneven = ConnectivityGraph.from_ganglia(
        (2, 7), {"2.1": ["2.0"], "2.3": ["2.1"], "2.7": ["2.0"]}
    )
    assert "stride" not in difference_words(architecture(regular), architecture(uneven))
    assert "stride" not in difference_words(
        architecture(patterns.plain((2, 7))), architecture(regular)
    )


def test_words_of_equal_and_nearly_equal_architectures():
    a = architecture(runs.PUBLISHED)
    assert difference_words(a, architecture(runs.PUBLISHED)) == "no difference"
    assert difference(a, a) == Difference(
        (), (), (), (), tuple((d, d) for d in a.graph.depths), 0, 0
    )
    assert "other settings differ" in difference_words(a, replace(a, mlp_act="relu"))
    wider = architecture(runs.PUBLISHED, (64, 128, 384, 512))
    assert difference_words(a, wider).startswith("stage 3: 320 -> 384 channels; +")


def test_many_ganglia_are_counted():
    a, b = (architecture(make((2, 2, 12, 2))) for make in (patterns.plain, patterns.dense))
    assert "ganglia: 16 new;" in difference_words(a, b)
    assert "ganglia: 16 gone;" in difference_words(b, a)


@pytest.mark.parametrize("standalone", [True, False])
def test_hostile_titles_are_inert_and_only_a_standalone_drawing_has_a_style(standalone: bool):
    a, b = pairs()[0]
    title = "</svg><script>alert(1)</script>\x00\" x='"
    root = ET.fromstring(compare_svg(a, b, titles=(title, title), standalone=standalone))
    assert not list(root.iter(f"{SVG}script"))
    assert bool(root.findall(f"{SVG}style")) == standalone
    assert root.get("role") == "img"
    assert difference_words(a, b) in root.get("aria-label")
