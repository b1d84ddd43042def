"""Identity, validation, exports and measures of wirings."""

import io
import json
import random
import subprocess
import sys
from fractions import Fraction

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparx_nas import patterns
from sparx_nas.architecture.graph import ConnectivityGraph, StageGraph, measures
from sparx_nas.ground.errors import GraphError


@st.composite
def wirings(draw) -> ConnectivityGraph:
    depths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4).filter(any))
    return patterns.random(depths, draw(st.floats(0, 1)), draw(st.integers(0, 10**6)))


def lines(error: pytest.ExceptionInfo[GraphError]) -> list[str]:
    """Return the mistakes that an error lists, without the line that counts them."""
    return [line.removeprefix("  - ") for line in str(error.value).splitlines()[1:]]


@given(wirings(), st.integers(0, 100))
def test_equal_wirings_are_equal_however_they_were_made(graph, seed):
    shuffle = random.Random(seed).shuffle
    rows = [[list(row) for row in stage.sources] for stage in graph.stages]
    written = [(name, list(sources)) for name, sources in graph.ganglia.items()]
    for row in [r for stage in rows for r in stage] + [sources for _, sources in written]:
        shuffle(row)
    shuffle(written)
    by_hand = ConnectivityGraph([StageGraph(tuple(map(tuple, stage))) for stage in rows])
    by_name = ConnectivityGraph.from_ganglia(graph.depths, json.loads(json.dumps(dict(written))))
    assert by_hand == by_name == graph
    assert by_hand.id == by_name.id == graph.id
    assert hash(by_hand) == hash(graph)


def test_different_wirings_have_different_ids():
    every = {
        ConnectivityGraph((StageGraph((a, b)), StageGraph((c,))))
        for a in ((), (0,))
        for b in ((), (0,), (1,), (0, 1))
        for c in ((), (0,))
    }
    assert len(every) == len({graph.id for graph in every}) == 16
    assert patterns.plain([2, 1]).id != patterns.plain([1, 2]).id
    assert patterns.plain([2]).id != patterns.plain([2, 0]).id


def test_the_id_of_a_wiring_stays_what_it_is():
    """Runs on disk are found by these ids, in other processes and with other hash seeds."""
    script = (
        "from sparx_nas import patterns; "
        "print(patterns.sparx([2, 2, 7, 2], stride=[1, 1, 2, 1], start=[9, 1, 0, 0], "
        "window=[None] * 4).id)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "2f2b4a867405ca80"


def test_every_mistake_is_named_at_once():
    rows = ((), (0, 2), (5, 9, -1, 1, 1), (), (0, 0, 0))
    with pytest.raises(GraphError) as error:
        ConnectivityGraph((StageGraph(((),)), StageGraph(((1,),)), StageGraph(rows)))
    assert str(error.value).splitlines()[0] == "wiring: 7 mistakes"
    assert lines(error) == [
        "layer 2.1 cannot read itself",
        "layer 3.2 cannot read itself",
        "layer 3.3 cannot read -1: sources are 0 to 2",
        "layer 3.3 reads 3.1 2 times; once is all it can",
        "layer 3.3 cannot read 3.5: it comes later",
        "layer 3.3 cannot read 3.9: stage 3 has 5 layers",
        "layer 3.5 reads 3.0 3 times; once is all it can",
    ]


def test_one_mistake_stays_on_one_line():
    with pytest.raises(GraphError, match=r"^wiring: layer 3\.2 cannot read 3\.5: it comes later$"):
        ConnectivityGraph.from_ganglia([1, 1, 5], {"3.2": ["3.5"]})
    with pytest.raises(GraphError, match="at least one layer"):
        ConnectivityGraph((StageGraph(()),))
    for wrong in ("1", 1.0, True, None):
        with pytest.raises(GraphError, match="whole numbers"):
            StageGraph(((wrong,),))


def test_mistakes_in_the_written_form_are_named_at_once():
    written = {"2.7": ["2.0"], "x": ["1.0"], "2.2": ["1.1", "zero"], "1.1": [], "0.1": ["0.0"]}
    with pytest.raises(GraphError) as error:
        ConnectivityGraph.from_ganglia([1, 2], {**written, "2.1": "2.0"})
    assert lines(error) == [
        "there is no layer 2.7; depths are [1, 2]",
        "there is no layer x; depths are [1, 2]",
        "layer 2.2 cannot read 1.1: it is in another stage",
        "layer 2.2 cannot read 'zero': a layer is named stage.layer",
        "layer 1.1 needs a list of the layers it reads",
        "there is no layer 0.1; depths are [1, 2]",
        "layer 2.1 needs a list of the layers it reads",
    ]


@given(wirings())
def test_exports_come_back_as_they_were(graph):
    out = graph.to_networkx()
    text = "\n".join(networkx.generate_graphml(out, named_key_ids=True))
    graphml = networkx.read_graphml(io.BytesIO(text.encode()), force_multigraph=True)
    linked = json.loads(json.dumps(networkx.node_link_data(out, edges="edges")))
    for back in (graphml, networkx.node_link_graph(linked, edges="edges")):
        assert isinstance(back, networkx.MultiDiGraph)
        assert dict(back.nodes(data=True)) == dict(out.nodes(data=True))
        edges, expected = (
            sorted((a, b, *sorted(d.items())) for a, b, d in g.edges(data=True))
            for g in (back, out)
        )
        assert edges == expected
        ganglia: dict[str, list[str]] = {}
        for source, reader, edge in back.edges(data=True):
            if edge["kind"] == "aggregate":
                ganglia.setdefault(reader, []).append(source)
        assert ConnectivityGraph.from_ganglia(graph.depths, ganglia) == graph


@given(wirings())
def test_the_exported_graph_says_who_reads_whom(graph):
    out = graph.to_networkx()
    assert networkx.is_directed_acyclic_graph(out)
    assert out.graph["id"] == graph.id
    assert out.number_of_nodes() == sum(graph.depths) + len(graph.depths)
    kinds = [edge["kind"] for _, _, edge in out.edges(data=True)]
    assert kinds.count("chain") == sum(graph.depths)
    assert kinds.count("downsample") == len(graph.depths) - 1
    assert kinds.count("aggregate") == measures(graph).edges
    for name, node in out.nodes(data=True):
        reads = [d for _, _, d in out.in_edges(name, data=True) if d["kind"] == "aggregate"]
        assert (node["kind"] == "ganglion") == bool(reads)
        assert name == f"{node['stage']}.{node['layer']}"


@given(wirings())
def test_measures_count_the_edges(graph):
    got = measures(graph)
    spans = [
        layer - source
        for stage in graph.stages
        for layer, row in enumerate(stage.sources, 1)
        for source in row
    ]
    possible = sum(layer for depth in graph.depths for layer in range(1, depth + 1))
    assert got.layers == sum(graph.depths)
    assert got.edges == len(spans)
    assert got.density == float(Fraction(len(spans), possible))
    assert got.max_span == max(spans, default=0)
    assert got.ganglia == len(graph.ganglia)
    assert got.ganglion_share == got.ganglia / got.layers
    assert got.in_degree * got.ganglia == pytest.approx(len(spans))
    assert got.span * len(spans) == pytest.approx(sum(spans))


def test_measures_of_wirings_known_by_hand():
    assert measures(patterns.plain([3, 2])).density == 0
    full = patterns.random([3, 4], density=1, seed=0)
    assert measures(full).density == 1
    published = patterns.sparx(
        [2, 2, 7, 2], stride=[1, 1, 2, 1], start=[100, 1, 0, 0], window=[None, None, 3, None]
    )
    got = measures(published)
    assert (got.layers, got.ganglia, got.edges, got.max_span) == (13, 7, 14, 6)
