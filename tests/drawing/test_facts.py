"""What is said of accuracies: no more than their noise lets through."""

from dataclasses import replace

import pytest

from sparx_nas.drawing import facts
from sparx_nas.drawing.report import report_html
from sparx_nas.search.telling.summary import summary_lines
from sparx_nas.viewer.columns import run_summary
from support import runs

CHEAP = runs.patterns.plain(runs.DEPTHS)
OTHERS = runs.wirings(4)


def trained(number, graph, top1s, tests=(), **fields):
    last = runs.epoch(1, sum(top1s) / len(top1s), top1s=top1s, val_losses=(1.0,) * len(top1s))
    record = runs.trial(number, graph, epochs=(last,), top1=last.top1, **fields)
    objectives = {**record.objectives, "top1": last.top1}
    return replace(record, objectives=objectives, test_top1s=tests)


def run_of(spread, better=0.0, tests=True):
    """Return a run whose trainings differ by `spread`; the cheap design is better by `better`."""
    around = (-spread, 0.0, spread)
    tops = {"sparx": 0.90, "plain": 0.90 + better}
    trials = [
        trained(
            i,
            graph,
            tuple(tops[name] + d for d in around),
            tuple(tops[name] - 0.01 + d for d in around) if tests else (),
            baseline=name,
        )
        for i, (name, graph) in enumerate({"sparx": runs.PUBLISHED, "plain": CHEAP}.items())
    ]
    trials += [
        trained(2 + i, graph, tuple(0.8 + 0.01 * i + d for d in around))
        for i, graph in enumerate(OTHERS)
    ]
    run = runs.run(trials)
    return replace(run, front=tuple(t for t in run.trials if t.number in {0, 1}))


def said(run):
    return " ".join(" ".join(summary_lines(run, runs.Path(run.path))).split())


def test_a_difference_within_its_noise_is_not_claimed():
    run = run_of(0.03, better=0.02)
    words = facts.comparison(run, run.trials[1], run.trials[0])
    assert "cannot be told apart by these trainings" in words
    assert "fewer MACs" in words
    for text in (said(run), report_html(run)):
        assert "accurate" not in text.replace("accuracies", "").replace("accuracy", "")


@pytest.mark.parametrize("tests", [True, False])
def test_a_difference_beyond_it_is_claimed_with_its_interval(tests):
    run = run_of(0.002, better=0.08, tests=tests)
    words = facts.comparison(run, run.trials[1], run.trials[0])
    split = "test" if tests else "validation"
    assert f"8.0 points more accurate on the {split} split (" in words
    assert ("which the search went by" in words) == (not tests)
    back = facts.comparison(run, run.trials[0], run.trials[1])
    assert "8.0 points less accurate" in back


def test_without_two_trainings_of_anything_nothing_is_claimed():
    run = runs.run([runs.trial(0, runs.PUBLISHED, baseline="sparx"), runs.trial(1, CHEAP)])
    assert "no word on which is more accurate" in facts.comparison(run, *run.trials)
    assert "was not measured" in facts.reliability_words(run)
    assert run.chance == 0.1


def test_the_cheaper_one_is_proposed_and_why_is_said():
    run = run_of(0.03, better=-0.01)
    words = said(run)
    assert "cheapest of 2 designs of the front that these trainings cannot tell apart" in words
    assert "the best score of them has trial 0 (validation top-1 90.0 %)" in words
    assert "Reliability of a score (validation top-1)" in words


def test_a_run_at_chance_says_so_first_and_what_to_change():
    trials = [trained(i, graph, (0.08, 0.1, 0.12)) for i, graph in enumerate(OTHERS)]
    run = runs.run(trials)
    lines = summary_lines(run, runs.Path(run.path))
    assert lines[1].startswith("The trials learned nothing that can be seen: 10.0 %")
    assert "--epochs" in " ".join(lines[:5])
    page = report_html(run)
    assert page.index("learned nothing") < page.index("The design to use")
    assert facts.at_chance(run) == run_summary(run)["reliability"]
    assert facts.at_chance(run_of(0.01)) == ""
    assert facts.at_chance(replace(run, env={})) == ""


def test_candidates_at_chance_beside_a_baseline_that_is_not_are_told_and_not_ranked():
    baseline = replace(trained(0, runs.PUBLISHED, (0.5, 0.52, 0.51)), baseline="sparx")
    others = [trained(i, graph, (0.08, 0.1, 0.12)) for i, graph in enumerate(OTHERS, 1)]
    run = runs.run([baseline, *others])
    assert said(run).startswith("The candidates learned nothing that can be seen: 10.0 %")
    assert "no word on which is more accurate" in facts.comparison(run, others[0], baseline)
    assert "more accurate on the" not in said(run) + report_html(run)
    lucky = runs.run([baseline, *others[1:], trained(1, OTHERS[0], (0.6, 0.62, 0.61))])
    assert facts.at_chance(lucky) == ""


def test_bars_on_the_front_are_as_long_as_the_noise():
    narrow, wide = (report_html(run_of(spread)) for spread in (0.001, 0.05))
    assert narrow.count('class="sx-bar"') == 2
    assert wide.count('class="sx-bar"') == 2
    assert "sx-bar" not in report_html(replace(run_of(0.01), env={})).split("</style>")[1]


def test_the_fidelity_of_a_run_is_that_of_its_candidates():
    more, less = (replace(runs.SEEN, seeds=seeds) for seeds in (3, 2))
    trials = [runs.trial(0, runs.PUBLISHED, baseline="sparx", fidelity=more)]
    assert runs.run(trials).seeds == 3
    run = runs.run([*trials, runs.trial(1, CHEAP, fidelity=less)])
    assert run.seeds == 2
    assert "mean of 2 seeds" in report_html(run)
    assert "mean of 3 seeds" not in report_html(run)
    assert runs.run([]).fidelity is None
