import logging
from collections import Counter
from dataclasses import replace

import pytest

import sparx_nas
from sparx_nas.search.simulating.simulation import asked, simulate
from sparx_nas.trial.table import TableError
from support import tables
from support.tables import fewer_with_ganglia as loss

OBJECTIVES = {"objectives": "val_loss,macs"}


@pytest.fixture(scope="module")
def space():
    return sparx_nas.load_space("mamba_micro")


@pytest.fixture(scope="module")
def table(space):
    return tables.made(space, loss)


def searched(table, space, places=2, **options):
    """Simulate a search."""
    return simulate(table, space, asked(table, space, **OBJECTIVES | options), places=places)


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2"])
def test_trials_are_trainings_of_the_table(table, space, sampler):
    found = searched(table, space, trials="12", sampler=sampler)
    done = [t for t in found.run.trials if t.state == "complete"]
    assert found.state == "finished"
    assert Counter(bool(t.baseline) for t in done) == {False: 12, True: 3}
    for trial in done:
        each = table.draw(trial.architecture, 0, trial.fidelity.seeds)
        assert trial.val_losses == tuple(t.val_loss[-1] for t in each)
        assert trial.top1s == tuple(t.top1[-1] for t in each)
        assert len(trial.epochs) == table.epochs
        assert trial.fidelity.seeds == (3 if trial.baseline else 2)
        assert trial.objectives["macs"] == space.cost(trial.architecture).macs
        assert trial.seconds == pytest.approx(sum(sum(t.seconds) for t in each))


def test_equal_seeds_are_equal_searches_and_others_are_others(table, space):
    def told(seed):
        run = searched(table, space, trials="10", seed=str(seed)).run
        return [(t.architecture.id, t.top1s) for t in run.trials]

    assert told(3) == told(3)
    assert told(3) != told(4)


def test_only_the_front_and_published_sparx_see_the_test_split(table, space):
    run = searched(table, space, trials="15").run
    seen = {t.number for t in run.trials if t.test_top1s}
    published = next(t.number for t in run.trials if t.baseline == "sparx")
    assert seen == {t.number for t in run.front} | {published}
    assert all(len(t.test_top1s) == len(t.top1s) for t in run.front)
    announced = searched(table, space, trials="15").announced
    assert announced.number in {t.number for t in run.front}


def test_two_places_take_half_the_time_and_no_more_than_two_run(table, space):
    one, two = (searched(table, space, places, trials="20", sampler="random") for places in (1, 2))
    busy = sum(t.seconds for t in one.run.trials)
    assert one.seconds == pytest.approx(busy)
    busy = sum(t.seconds for t in two.run.trials)
    assert busy / 2 <= two.seconds < 0.6 * busy


def test_a_time_budget_ends_a_search_and_lets_trials_end(table, space):
    found = searched(table, space, trials="40", time_budget="2m")
    done = [t for t in found.run.trials if t.state == "complete"]
    assert found.state == "late"
    assert 3 < len(done) < 43
    assert 120 < found.seconds < 120 + max(t.seconds for t in done)
    assert {t.state for t in found.run.trials} <= {"complete", "duplicate"}


def test_a_space_that_is_trained_in_full_ends_the_search(table, space):
    found = searched(table, space, trials="500", sampler="random")
    assert found.state == "exhausted"
    complete = {t.architecture.id for t in found.run.trials if t.state == "complete"}
    assert complete == {design.id for design in table.designs}


def test_designs_that_were_not_trained_are_passed_over(space, caplog):
    part = tables.made(space, loss, designs=space.enumerate()[::3])
    caplog.set_level(logging.WARNING)
    for sampler in ("random", "tpe", "nsga2"):
        found = searched(part, space, trials="12", sampler=sampler)
        done = [t for t in found.run.trials if t.state == "complete"]
        assert len(done) == 15
        assert all(t.architecture in part for t in found.run.trials)
    assert not caplog.records


def test_limits_hold(table, space):
    most = sorted(space.cost(d).macs for d in table.designs)[30]
    run = searched(table, space, trials="12", constraint=f"macs<={most}").run
    assert all(
        t.cost["macs"] <= most for t in run.trials if t.state == "complete" and not t.baseline
    )
    assert any(t.state == "infeasible" for t in run.trials)


def test_better_trainings_are_found_by_looking_at_results(table, space):
    """TPE sees what a trial came to: by the end it trains better designs than chance does."""

    def last(sampler):
        found = []
        for seed in range(6):
            run = searched(
                table, space, trials="30", sampler=sampler, seed=str(seed), objectives="val_loss"
            ).run
            own = [t for t in run.trials if t.state == "complete" and not t.baseline]
            found += [loss(t.architecture) for t in own[15:]]
        return sum(found) / len(found)

    assert last("tpe") < last("random")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": "7"}, "trained with epochs 4, and 7 is asked for"),
        ({"seeds": "5"}, "was trained 4 times"),
    ],
)
def test_what_the_table_cannot_answer_is_named(table, space, options, said):
    with pytest.raises(TableError, match=said):
        searched(table, space, trials="12", **options)


def test_a_table_of_another_space_is_refused(table):
    with pytest.raises(TableError, match="was made of another space"):
        searched(table, sparx_nas.load_space("mamba_t"))
    lacking = replace(table, designs=table.designs[3:], baselines={})
    with pytest.raises(TableError, match="lacks baselines: sparx, plain, dense"):
        searched(lacking, sparx_nas.load_space("mamba_micro"))
