"""The scripts that compare samplers, and that say what a table tells of wirings."""

import math
from pathlib import Path

import pytest

import sparx_nas
from sparx_nas.trial.pareto import pareto_front
from support import tables


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """Let tests import scripts by name, as they import each other."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))


def test_the_front_of_lotz_is_known():
    """Ones, then zeros: a design for every place to change, as its authors say."""
    import problems

    table, _ = problems.opened("lotz")
    size = len(problems.bits(table.designs[0]))
    assert len(table.designs) == 2**size
    points = {problems.lotz(design): problems.bits(design) for design in table.designs}
    best = [sorted(points)[i] for i in pareto_front(sorted(points))]
    assert len(best) == size + 1
    for share, ones in best:
        assert share == pytest.approx(1 - ones / size)
        assert points[share, ones] == (1,) * ones + (0,) * (size - ones)


@pytest.mark.parametrize("sampler", ["random", "local", "exhaustive"])
def test_a_search_is_judged_by_true_means(monkeypatch, sampler):
    import samplers

    space = sparx_nas.load_space("mamba_micro")
    table = tables.made(space, tables.fewer_with_ganglia, noise=0.001)
    monkeypatch.setattr(samplers, "opened", lambda name: (table, space))
    row = samplers.searched("made", sampler, 50, 1)
    everything = len(table.designs) - len(table.baselines)
    assert row["trials"] == (everything if sampler == "exhaustive" else 20)
    assert 0.5 < row["hypervolume"] <= 1.001
    assert -0.002 < row["regret_of_best"] <= row["regret"] + 0.002
    if sampler == "exhaustive":
        assert row["hypervolume"] == pytest.approx(1, abs=0.02)
        assert row["regret_of_best"] == pytest.approx(0, abs=0.002)
    assert samplers.searched("made", sampler, 50, 1) == row


def test_equal_rows_are_told_apart_from_chance_by_pairs():
    import samplers

    rows = [
        {"job": ["p", name, 50, seed], **dict.fromkeys(samplers.MEASURES, seed + better)}
        for name, better in (("random", 0.0), ("tpe", 0.5))
        for seed in range(12)
    ]
    told = samplers.told_of(rows, "tpe", 50)
    assert told["searches"] == 12
    assert told["regret"]["less_random"] == 0.5
    assert told["regret"]["p"] < 0.001
    assert "p" not in samplers.told_of(rows, "random", 50)["regret"]


def test_a_planted_effect_is_found_at_equal_cost_and_nothing_else():
    import table_says

    space = sparx_nas.load_space("mamba_t")

    def loss(design):
        half = space.encode(design)["s3.density"] == 0.5
        return 0.5 - 0.3 * math.log(space.cost(design).macs / 5e9) + 0.04 * half

    table = tables.made(space, loss, designs=space.enumerate()[::4])
    told = table_says.said(table, space)
    clear = [row for row in told["choices"] if row["corrected"] < 0.05]
    assert [row["choice"] for row in clear] == ["s3.density 0.5 instead of 1.0"]
    low, high = clear[0]["interval"]
    assert low < 0.04 < high
    assert clear[0]["designs"] > 20
    low, high = told["costlier"]["interval"]
    assert low < -0.3 * math.log(1.1) < high
    assert told["trainings"] == len(table.design)
    assert set(told["features"]) == {"val_loss", "top1", "test_top1"}


def test_corrected_values_are_those_of_holm():
    import table_says

    assert table_says.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
