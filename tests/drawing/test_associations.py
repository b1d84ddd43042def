import math

import numpy as np
import pytest

from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph, StageGraph
from sparx_nas.cost import estimate
from sparx_nas.drawing.associations import (
    Association,
    association_sentences,
    associations,
    wiring_features,
)

DEPTHS = (2, 2, 7, 2)
SEARCHES, TRIALS = 200, 60


def some_wirings(number, depths=DEPTHS):
    """Draw wirings whose stages have densities of their own."""
    densities = np.random.default_rng(0).uniform(0.05, 0.9, (number, len(depths)))
    return [
        ConnectivityGraph(
            tuple(
                patterns.random((depth,), float(density), 10 * seed + i).stages[0]
                for i, (depth, density) in enumerate(zip(depths, row, strict=True))
            )
        )
        for seed, row in enumerate(densities)
    ]


def macs(graph):
    return float(estimate(Architecture(graph=graph, widths=(64, 128, 320, 512))).macs)


POOL = list({graph.id: graph for graph in some_wirings(600)}.values())
COSTS = np.array([macs(graph) for graph in POOL])


def search(draw, trials=TRIALS):
    chosen = draw.choice(len(POOL), trials, replace=False)
    return [POOL[i] for i in chosen], COSTS[chosen]


def values(graphs, feature):
    return np.array([wiring_features(graph).get(feature, 0.0) for graph in graphs])


def share_with_a_finding(accuracy):
    draw = np.random.default_rng(1)
    hits = 0
    for _ in range(SEARCHES):
        graphs, cost = search(draw)
        hits += any(one.clear for one in associations(graphs, accuracy(draw, cost), cost))
    return hits / SEARCHES


def named(found, feature):
    return next(one for one in found if one.feature == feature)


def test_features_of_a_small_wiring_are_those_counted_by_hand():
    graph = ConnectivityGraph.from_ganglia(
        (1, 2, 6), {"2.2": ["2.0"], "3.2": ["3.0", "3.1"], "3.6": ["3.2", "3.3", "3.5"]}
    )
    found = wiring_features(graph)
    assert found == pytest.approx(
        {
            "density of stage 1": 0,
            "density of stage 2": 1 / 3,
            "density of stage 3": 5 / 21,
            "mean span": (2 + 2 + 1 + 4 + 3 + 1) / 6,
            "sources per ganglion": 2,
            "window": 1,
            "ganglia in the early third": 1 / 2,
            "ganglia in the middle third": 0,
            "ganglia in the late third": 1 / 2,
        }
    )


def test_a_wiring_has_no_feature_that_it_has_nothing_for():
    assert set(wiring_features(patterns.plain((1, 0, 3)))) == {
        "density of stage 1",
        "density of stage 3",
    }
    shallow = wiring_features(patterns.dense((2, 2)))
    assert "mean span" in shallow
    assert not any("third" in name for name in shallow)


def test_a_caller_who_changes_features_changes_no_others():
    wiring_features(POOL[0]).clear()
    assert wiring_features(POOL[0])


def test_a_true_effect_is_found_with_its_sign_and_size():
    draw = np.random.default_rng(2)
    clear, inside = 0, 0
    for _ in range(30):
        graphs, cost = search(draw)
        density = values(graphs, "density of stage 3")
        noise = draw.normal(0, 0.004, TRIALS)
        top1 = 0.7 + 0.03 * np.log(cost / 4e9) - 0.1 * density + noise
        one = named(associations(graphs, top1, cost), "density of stage 3")
        assert one.n == TRIALS
        true = -0.1 * (one.high_value - one.low_value)
        clear += one.clear and one.slope < 0
        inside += one.low <= true <= one.high
    assert clear >= 28
    assert inside >= 28


def test_noise_alone_rarely_shows_anything():
    assert share_with_a_finding(lambda draw, cost: draw.normal(0.8, 0.01, len(cost))) < 0.08


def test_noise_that_grows_with_cost_rarely_shows_anything():
    def accuracy(draw, cost):
        return 0.8 + 0.004 * np.exp(4 * np.log(cost / 4e9)) * draw.normal(0, 1, len(cost))

    assert share_with_a_finding(accuracy) < 0.08


def test_what_cost_explains_is_not_put_down_to_a_feature():
    graphs, cost = search(np.random.default_rng(3), 400)
    density = values(graphs, "density of stage 3")
    assert np.corrcoef(density, np.log(cost))[0, 1] > 0.9

    def accuracy(draw, cost):
        return 0.9 - 0.2 * (cost / 4e9) ** -2 + draw.normal(0, 0.005, len(cost))

    assert share_with_a_finding(accuracy) < 0.1


def test_repeating_trials_of_a_wiring_adds_no_evidence():
    draw = np.random.default_rng(4)
    graphs, cost = search(draw, 30)
    top1 = draw.normal(0.8, 0.01, 30)
    once = associations(graphs, top1, cost)
    thrice = associations(graphs * 3, np.tile(top1, 3), np.tile(cost, 3))
    assert [one.feature for one in thrice] == [one.feature for one in once]
    assert [(one.n, one.low, one.high) for one in thrice] == [
        (one.n, pytest.approx(one.low), pytest.approx(one.high)) for one in once
    ]


def test_slopes_are_those_of_least_squares():
    draw = np.random.default_rng(5)
    graphs, cost = search(draw, 40)
    top1 = draw.normal(0.8, 0.01, 40)
    one = named(associations(graphs, top1, cost), "density of stage 3")
    log_cost, density = np.log(cost / 4e9), values(graphs, "density of stage 3")
    terms = np.column_stack([np.ones(40), log_cost, log_cost**2, density])
    slope = np.linalg.lstsq(terms, top1, rcond=None)[0][3]
    assert one.slope == pytest.approx(slope * (one.high_value - one.low_value))
    assert {one.low_value, one.high_value} <= set(density)


def test_the_largest_comes_first_and_the_same_input_gives_the_same():
    draw = np.random.default_rng(6)
    graphs, cost = search(draw)
    top1 = draw.normal(0.8, 0.01, TRIALS)
    found = associations(graphs, top1, cost)
    sizes = [abs(one.slope) for one in found]
    assert sizes == sorted(sizes, reverse=True)
    assert found == associations(graphs, top1, cost)


def test_features_that_do_not_vary_are_dropped():
    graphs = [
        ConnectivityGraph((patterns.plain_stage(2), graph.stages[2])) for graph in some_wirings(50)
    ]
    top1 = np.random.default_rng(7).normal(0.8, 0.01, 50)
    tested = {one.feature for one in associations(graphs, top1, [1e9] * 50)}
    assert "density of stage 1" not in tested
    assert "density of stage 2" in tested


def test_a_feature_that_cost_fixes_is_dropped():
    graphs = [g for g in POOL if g.stages[2].ganglia][:60]
    cost = np.exp(values(graphs, "density of stage 3")) * 1e9
    top1 = np.random.default_rng(8).normal(0.8, 0.01, 60)
    tested = {one.feature for one in associations(graphs, top1, cost)}
    assert "density of stage 3" not in tested
    assert "mean span" in tested


def test_two_names_of_one_thing_are_tested_once():
    stages = [StageGraph(((), (), tuple(range(1 + i % 2)))) for i in range(40)]
    graphs = [
        ConnectivityGraph((stage, graph.stages[2]))
        for stage, graph in zip(stages, some_wirings(40), strict=True)
    ]
    twin = [
        ConnectivityGraph((stage, stage, graph.stages[1]))
        for stage, graph in zip(stages, graphs, strict=True)
    ]
    top1 = np.random.default_rng(9).normal(0.8, 0.01, 40)
    tested = {one.feature for one in associations(twin, top1, [1e9] * 40)}
    assert "density of stage 1" in tested
    assert "density of stage 2" not in tested


def test_wirings_of_unequal_depths_are_compared_by_what_they_have():
    graphs = some_wirings(30) + some_wirings(20, (2, 3)) + [patterns.plain((2, 3))]
    draw = np.random.default_rng(10)
    distinct = len({graph.id for graph in graphs})
    found = associations(graphs, draw.normal(0.8, 0.01, 51), draw.uniform(1e9, 2e9, 51))
    assert named(found, "density of stage 1").n == distinct
    assert named(found, "density of stage 3").n == 30
    assert named(found, "mean span").n < distinct


@pytest.mark.parametrize("broken", ["top1", "cost"])
def test_trials_without_a_number_are_left_out(broken):
    draw = np.random.default_rng(11)
    graphs, cost = search(draw, 20)
    top1 = draw.normal(0.8, 0.01, 20)
    kept = associations(graphs[2:], top1[2:], cost[2:])
    (top1 if broken == "top1" else cost)[:2] = math.nan
    assert associations(graphs, top1, cost) == kept


@pytest.mark.parametrize("trials", [0, 1, 11])
def test_few_trials_find_nothing_and_say_so(trials):
    found = associations(POOL[:trials], [0.8 + 0.01 * i for i in range(trials)], [1e9] * trials)
    assert found == []
    (said,) = association_sentences(found, trials=trials, validation_images=500)
    assert said.startswith(f"{trials} trial")
    assert "too few to tell" in said


def test_many_trials_of_few_wirings_or_of_one_accuracy_find_nothing():
    top1 = list(np.random.default_rng(12).normal(0.8, 0.01, 44))
    found = associations(POOL[:11] * 4, top1, [1e9] * 44)
    assert found == []
    assert associations(POOL[:44], [0.8] * 44, COSTS[:44]) == []
    (said,) = association_sentences(found, trials=44, validation_images=None)
    assert said.startswith("44 trials are too few, or their wirings too alike, to tell")


def example(feature, slope, half, **fields):
    said = {"n": 48, "low_value": 0.2, "high_value": 0.6} | fields
    return Association(feature=feature, slope=slope, low=slope - half, high=slope + half, **said)


def test_sentences_say_what_is_clear_what_is_not_and_what_it_is_worth():
    found = [
        example("density of stage 3", 0.012, 0.009),
        example("ganglia in the late third", -0.006, 0.004),
        example("mean span", 0.004, 0.015),
        example("window", -0.001, 0.01),
    ]
    assert association_sentences(found, trials=50, validation_images=360) == [
        "A denser stage 3 goes with +1.2 points of top-1 at equal cost (95 % interval +0.3 to "
        "+2.1, 48 wirings), from density 0.2 to 0.6.",
        "A larger share of ganglia in the late third goes with -0.6 points of top-1 at equal cost "
        "(95 % interval -1.0 to -0.2, 48 wirings), from a share of 0.2 to 0.6.",
        "Nothing clear shows at equal cost for mean span and window; differences of up to 1.9 "
        "points are not ruled out there.",
        "These are associations among the 50 trials that this search chose to make, one short "
        "training each, and not causes: features of a wiring come together, so one may show for "
        "another. The intervals are corrected (Bonferroni) for looking at 4 features, and what "
        "hardly varies apart from cost is left out.",
        "By its 360 validation images alone the top-1 of a trial is uncertain by up to ±5.2 "
        "points; seeds come on top.",
    ]


def test_small_changes_keep_a_digit_and_unknown_features_are_named():
    (said, *_) = association_sentences(
        [example("loops & knots", 0.0006, 0.0004)], trials=48, validation_images=None
    )
    assert "More loops & knots goes with +0.06 points" in said
    assert "+0.02 to +0.10" in said
