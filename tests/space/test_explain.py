"""What is said of a space, and drawings of wirings in text."""

import re

import pytest

from sparx_nas.architecture.graph import ConnectivityGraph, StageGraph
from sparx_nas.architecture.patterns import dense, plain, random, sparx
from sparx_nas.space import load_space, parse_space
from sparx_nas.space.drawing import draw
from sparx_nas.space.explain import explain, render


def read_back(text: str) -> ConnectivityGraph:
    """Read a drawing as a person does: columns under the lane's marks."""
    rows: list[list[tuple[int, ...]]] = []
    for line in text.splitlines():
        if line.startswith("stage"):
            lane = [m.start() for m in re.finditer("[▷○■]", line)]
            marks = re.findall("[▷○■]", line)
            rows.append([() for _ in lane[1:]])
        elif "▲" in line:
            reader = lane.index(line.index("▲"))
            assert marks[reader] == "■"
            rows[-1][reader - 1] = tuple(lane.index(m.start()) for m in re.finditer("[╰┴]", line))
    return ConnectivityGraph(tuple(StageGraph(tuple(row)) for row in rows))


@pytest.mark.parametrize("seed", range(20))
def test_a_drawing_says_exactly_who_reads_whom(seed: int):
    graph = random((1 + seed, 2, 24, 12 + seed % 5), 0.02 * seed, seed)
    text = draw(graph)
    assert read_back(text) == graph
    assert max(len(line) for line in text.splitlines()) <= 80


def test_the_published_stage_three():
    graph = sparx((1, 7), stride=(1, 2), start=(9, 0), window=(None, 3))
    assert draw(graph).splitlines()[2:] == [
        "              1    2    3    4    5    6    7",
        "stage 2  ▷────■────○────■────○────■────○────■",
        "    2.1  ╰────▲",
        "    2.3       ╰────┴────▲",
        "    2.5       ╰─────────┴────┴────▲",
        "    2.7       ╰─────────┴─────────┴────┴────▲",
    ]


def test_stages_too_deep_for_a_lane_are_listed():
    text = draw(dense((25, 40)))
    assert "stage 1  25 layers, none a ganglion" in text
    assert "2.3  2.1, 2.2" in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "none a ganglion" in draw(plain((30,)))


@pytest.mark.parametrize("name", ["mamba_t", "mamba_t_free", "mamba_micro"])
def test_explanations_fit_a_terminal_and_tell_the_counts(name: str):
    space = load_space(name)
    explanation = explain(space)
    text = render(explanation)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert f"{space.distinct()[0]:,} distinct architectures (exact)" in text
    assert text.count("stage 3") == 3
    assert explanation.complete == (name != "mamba_t_free")
    for placed in explanation.placed:
        for measure, span in explanation.ranges.items():
            assert span.least <= getattr(placed.cost, measure) <= span.most


def test_limits_are_counted_exactly_and_a_hopeless_space_is_still_explained():
    text = load_space("mamba_micro").source_text
    costs = [space_cost.params for space_cost in map(load_space("mamba_micro").cost, every())]
    for limit in (1000, sorted(costs)[40], 10**9):
        space = parse_space(f"{text}limits: {{params: {limit}}}\n", "x.yaml")
        explanation = explain(space)
        assert explanation.feasible == sum(cost <= limit for cost in costs)
        assert f"{explanation.feasible} of them are within" in render(explanation)


def every():
    return load_space("mamba_micro").enumerate() or []
