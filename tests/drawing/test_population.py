import time
import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from sparx_nas import patterns
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.drawing.population import edge_shares, population_svg
from support import runs

SVG = "{http://www.w3.org/2000/svg}"


def edges_of(graph: ConnectivityGraph) -> set[tuple[str, str]]:
    return {(source, name) for name, row in graph.ganglia.items() for source in row}


def drawn(svg: str) -> dict[tuple[str, str], ET.Element]:
    paths = (p for p in ET.fromstring(svg).iter(f"{SVG}path") if p.get("data-kind") == "aggregate")
    return {(path.get("data-source"), path.get("data-target")): path for path in paths}


def groups() -> tuple[list[ConnectivityGraph], list[ConnectivityGraph]]:
    return runs.wirings(10), [*runs.wirings(30)[10:], *runs.wirings(5, (4, 9))]


def test_shares_count_every_wiring_that_repeats_too():
    graphs = runs.wirings(7) + runs.wirings(3)
    counts = Counter(pair for graph in graphs for pair in edges_of(graph))
    assert edge_shares(graphs) == {pair: count / 10 for pair, count in counts.items()}
    assert edge_shares([]) == {}


def test_draws_the_union_of_all_edges_with_both_shares():
    front, rest = groups()
    found = drawn(population_svg(front, rest, title="<b>&"))
    assert set(found) == set().union(*map(edges_of, [*front, *rest]))
    shares = edge_shares(front), edge_shares(rest)
    for pair, path in found.items():
        for name, share in zip(("data-front", "data-rest"), shares, strict=True):
            assert float(path.get(name)) == pytest.approx(share.get(pair, 0.0), abs=0.006)


def test_colour_tells_what_the_front_has_more_or_less_often():
    one, other = (
        patterns.sparx((2, 6), stride=(1, s), start=(9, 0), window=(3, 3)) for s in (1, 2)
    )
    found = drawn(population_svg([one] * 9 + [other], [one] * 1 + [other] * 9))
    looks = {pair: path.get("class").split()[1] for pair, path in found.items()}
    for pair in edges_of(one) - edges_of(other):
        assert looks[pair] == "sx-added"
    for pair in edges_of(other) - edges_of(one):
        assert looks[pair] == "sx-removed"
    for pair in edges_of(one) & edges_of(other):
        assert looks[pair] == "sx-same"


def test_a_tenth_more_is_enough_and_width_is_the_share_on_the_front():
    edge, plain = patterns.dense((1, 2)), patterns.plain((1, 2))
    found = drawn(population_svg([edge] * 3 + [plain] * 7, [edge] * 2 + [plain] * 8))
    assert {path.get("class") for path in found.values()} == {"sx-aggregate sx-added sx-w3"}
    found = drawn(population_svg([edge], [edge]))
    assert {path.get("class") for path in found.values()} == {"sx-aggregate sx-same sx-w6"}


def test_tooltips_count_wirings():
    edge, plain = patterns.dense((1, 2)), patterns.plain((1, 2))
    svg = population_svg([edge] * 8 + [plain] * 4, [edge] * 140 + [plain] * 760)
    said = drawn(svg)["2.1", "2.2"].findtext(f"{SVG}title")
    assert said == "2.2 reads 2.1: on 8 of 12 front wirings (67 %), 140 of 900 others (16 %)"


@pytest.mark.parametrize("standalone", [True, False])
@pytest.mark.parametrize("front", [0, 5])
@pytest.mark.parametrize("rest", [0, 5])
def test_an_empty_side_is_drawn_without_a_verdict(front: int, rest: int, standalone: bool):
    graphs = runs.wirings(5)
    svg = population_svg(graphs[:front], graphs[:rest], standalone=standalone)
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert bool(root.findall(f"{SVG}style")) == standalone
    if not (front and rest):
        assert all("sx-same" in path.get("class") for path in drawn(svg).values())


def test_hostile_titles_are_inert():
    svg = population_svg(*groups(), title="</svg><script>alert(1)</script>\x00\" x='", ids="w")
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 1


def test_ten_thousand_wirings_take_less_than_two_seconds():
    some = [patterns.random((2, 2, 21, 3), 0.4, seed) for seed in range(400)]
    many = [ConnectivityGraph(some[i % 400].stages) for i in range(10_000)]
    before = time.process_time()
    population_svg(many[:50], many[50:])
    assert time.process_time() - before < 2
