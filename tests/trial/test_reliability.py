"""How much of a score is its design's, against draws whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sparx_nas.ground.quantities import wilson
from sparx_nas.trial.noise import Noise
from sparx_nas.trial.pareto import alike, best_trial, top_trial
from sparx_nas.trial.reliability import reliability, stepped_up, untold
from support import runs

SIZES = {"balanced": [3] * 12, "baselines more often": [6, 6, 6, *[2] * 9]}


def drawn(rng, sizes, between, within):
    return [(rng.normal() * between + rng.normal(size=n) * within).tolist() for n in sizes]


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("between", [0.0, 0.6, 2.0])
def test_the_interval_holds_the_truth_as_often_as_it_says(sizes, between):
    rng, hits, spreads = np.random.default_rng(7), 0, []
    truth = between**2 / (between**2 + 1.0)
    for _ in range(600):
        found = reliability(drawn(rng, sizes, between, 1.0))
        hits += found.low <= truth <= found.high
        spreads.append(found.within**2)
    assert 0.92 < hits / 600 <= 0.99 if between else hits / 600 > 0.92
    assert np.mean(spreads) == pytest.approx(1.0, abs=0.05)


def test_it_is_the_textbook_s_for_as_many_trainings_of_each():
    # Shrout and Fleiss (1979), table 2: six targets, four judges; ICC(1, 1) .17, ICC(1, 4) .44.
    rows = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    found = reliability(rows)
    assert found.one == pytest.approx(0.17, abs=0.005)
    assert found.of_mean(4)[0] == pytest.approx(0.44, abs=0.005)
    assert found.freedom == 18


def test_without_replicates_or_numbers_nothing_is_told():
    assert reliability([[1.0], [2.0], [3.0]]) is None
    assert reliability([[1.0, 2.0], [2.0, 3.0]]) is None
    assert reliability([[1.0, math.nan], [2.0, 3.0], [4.0, 5.0]]) is None
    assert reliability([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]) is None
    assert reliability([[0.9, 0.9], [0.8], [0.7]]) is None


def test_the_reason_why_nothing_is_told_is_the_true_one():
    assert "two seeds" in untold([[1.0], [2.0], [3.0]])
    assert "three designs, and 2" in untold([[1.0, 2.0], [2.0, 3.0]])
    assert "scored the same" in untold([[0.9, 0.9], [0.8], [0.7]])
    broken = [[1.0, math.nan], [2.0, 3.0], [4.0, 5.0], [3.0, 3.5]]
    assert untold(broken) == ""
    assert reliability(broken) == reliability(broken[1:])


def test_means_of_more_trainings_are_more_reliable():
    assert stepped_up(0.38, 3) == pytest.approx(0.648, abs=0.001)
    assert stepped_up(-0.1, 3) == -0.1


def noise(within, between=0.02, images=400):
    rng = np.random.default_rng(0)
    found = reliability(drawn(rng, [3] * 12, between, within))
    return Noise(top1=found, score=found, images={"val": images, "test": images})


def test_an_interval_holds_seeds_and_images_and_stays_a_share():
    seeds, alone = noise(0.02), Noise(images={"val": 400})
    low, high = seeds.interval([0.9, 0.92, 0.94])
    least, most = wilson(368, 400)
    assert alone.interval([0.92]) == (pytest.approx(least), pytest.approx(most))
    assert low < least < 0.92 < most < high
    assert seeds.interval([1.0])[1] == 1.0
    assert seeds.interval([0.9], "test") == seeds.interval([0.9])
    assert Noise().interval([0.9]) is None
    assert seeds.interval([]) is None


def test_a_difference_is_known_only_where_seeds_are():
    sure, unsure = noise(0.001), noise(0.1)
    a, b = (0.95, 0.95, 0.95), (0.75, 0.75, 0.75)
    assert sure.difference(a, b, "val")[0] > 0
    assert unsure.difference(a, b, "val")[0] < 0.1
    assert Noise(images={"val": 400}).difference(a, b, "val") is None
    assert not Noise().alike(a, a)
    assert sure.alike(a, a)
    assert not sure.alike(a, b)


def trained(number, graph, top1s, **fields):
    last = runs.epoch(1, sum(top1s) / len(top1s), top1s=top1s, val_losses=(1.0,) * len(top1s))
    record = runs.trial(number, graph, epochs=(last,), top1=last.top1, **fields)
    return replace(record, objectives={**record.objectives, "top1": last.top1})


def test_the_cheaper_of_two_that_cannot_be_told_apart_is_the_one_to_use():
    dear, cheap = runs.PUBLISHED, runs.patterns.plain(runs.DEPTHS)
    middle = runs.wirings(1)[0]
    close = [
        trained(0, dear, (0.93, 0.95, 0.94), baseline="sparx"),
        trained(1, cheap, (0.92, 0.94, 0.95), baseline="plain"),
        trained(2, middle, (0.80, 0.82, 0.81)),
    ]
    run = runs.run(close)
    assert top_trial(run).number == 0
    assert {t.number for t in alike(run)} == {0, 1}
    assert best_trial(run).number == 1
    apart = [close[0], trained(1, cheap, (0.70, 0.71, 0.72), baseline="plain"), close[2]]
    assert best_trial(runs.run(apart)).number == 0
    once = [replace(t, epochs=()) for t in close]
    assert best_trial(runs.run(once)).number == 0, "what seeds do is unknown"
