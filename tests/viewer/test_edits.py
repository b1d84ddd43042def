"""Changes to a wiring: what clicks and sliders mean."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparx_nas import patterns
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.ground.errors import GraphError
from sparx_nas.viewer.edits import Rule, apply_rule, nearest_rule, toggle_edge, toggle_layer

PLAIN = patterns.plain((2, 3, 5))
SPARX = patterns.sparx((2, 2, 7, 2), stride=(1, 1, 2, 1), start=(9, 1, 0, 0), window=(3,) * 4)


@st.composite
def graphs(draw):
    depths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    return patterns.random(tuple(depths), draw(st.floats(0, 1)), draw(st.integers(0, 99)))


def test_a_new_ganglion_reads_what_the_rule_gives_it():
    once = toggle_layer(PLAIN, 3, 2)
    assert once.ganglia == {"3.2": ("3.0", "3.1")}
    twice = toggle_layer(once, 3, 5)
    assert twice.ganglia["3.5"] == ("3.2", "3.3", "3.4")
    last = toggle_layer(twice, 3, 3)
    assert last.ganglia["3.3"] == ("3.2",)
    assert toggle_layer(PLAIN, 1, 1).ganglia == {"1.1": ("1.0",)}


@given(graphs(), st.integers(0, 999))
def test_toggling_a_normal_layer_twice_changes_nothing(graph, seed):
    stages = [i for i, stage in enumerate(graph.stages, 1) if len(stage.ganglia) < stage.depth]
    if not stages:
        return
    draw = random.Random(seed)
    stage = draw.choice(stages)
    normals = set(range(1, graph.depths[stage - 1] + 1)) - set(graph.stages[stage - 1].ganglia)
    layer = draw.choice(sorted(normals))
    changed = toggle_layer(graph, stage, layer)
    assert changed.id != graph.id
    assert toggle_layer(changed, stage, layer) == graph


@given(graphs(), st.integers(0, 999))
def test_toggling_an_edge_twice_changes_nothing_and_moves_one_edge(graph, seed):
    draw = random.Random(seed)
    stage = draw.randrange(len(graph.depths)) + 1
    target = draw.randrange(graph.depths[stage - 1]) + 1
    source = draw.randrange(target)
    changed = toggle_edge(graph, stage, source, target)
    before, after = (set(g.stages[stage - 1].sources[target - 1]) for g in (graph, changed))
    assert before ^ after == {source}
    assert toggle_edge(changed, stage, source, target) == graph


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: toggle_layer(PLAIN, 3, 0), r"3\.0 is the input of stage 3"),
        (lambda: toggle_layer(PLAIN, 3, 6), r"no layer 3\.6; stage 3 has 5 layers"),
        (lambda: toggle_layer(PLAIN, 4, 1), r"no stage 4; stages are 1 to 3"),
        (lambda: toggle_edge(PLAIN, 2, 3, 2), r"layer 2\.2 cannot read 2\.3: it comes later"),
        (lambda: toggle_edge(PLAIN, 2, 2, 2), r"layer 2\.2 cannot read itself"),
        (lambda: apply_rule(PLAIN, 1, Rule(start=0, stride=1, window=1)), "layers count from 1"),
        (lambda: apply_rule(PLAIN, 1, Rule(start=1, stride=0, window=1)), "stride"),
        (lambda: apply_rule(PLAIN, 1, Rule(start=1, stride=1, window=1, density=0)), "density"),
    ],
)
def test_what_cannot_be_names_the_layer(change, said):
    with pytest.raises(GraphError, match=said):
        change()


def test_the_rule_of_a_stage_makes_the_published_design():
    graph = patterns.plain((2, 2, 7, 2))
    rules = [(10, 1), (2, 1), (1, 2), (1, 1)]
    for stage, (start, stride) in enumerate(rules, 1):
        graph = apply_rule(graph, stage, Rule(start=start, stride=stride, window=3))
    assert graph == SPARX
    assert [nearest_rule(stage).changes for stage in SPARX.stages] == [0, 0, 0, 0]


@given(st.integers(1, 8), st.integers(0, 999))
def test_the_nearest_rule_is_as_near_as_it_says_and_none_is_nearer(depth, seed):
    stage = patterns.random((depth,), 0.4, seed).stages[0]
    found = nearest_rule(stage)
    edges = {(s, t) for t, row in enumerate(stage.sources, 1) for s in row}

    def far(made):
        return len(edges ^ {(s, t) for t, row in enumerate(made.sources, 1) for s in row})

    assert far(found.rule.stage(depth)) == found.changes
    for start in range(1, depth + 2):
        for stride in range(1, depth + 1):
            for window in (1, 2, 3, None):
                made = patterns.sparx_stage(depth, stride=stride, start=start - 1, window=window)
                assert far(made) >= found.changes


def test_a_rule_says_itself():
    assert Rule(start=3, stride=2, window=None).words(5) == "start 3, stride 2, window all"
    assert Rule(start=6, stride=1, window=1).words(5) == "no ganglia"
    thin = Rule(start=1, stride=1, window=2, density=0.5)
    assert thin.words(5) == "start 1, stride 1, window 2, density 0.5"
    assert isinstance(apply_rule(PLAIN, 3, thin), ConnectivityGraph)
