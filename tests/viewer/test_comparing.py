"""Two trials side by side: both accuracies and their difference, as far as noise is known."""

from dataclasses import replace

import pytest

from sparx_nas.drawing.facts import interval_words
from sparx_nas.viewer.comparing import scores_words
from support import runs


def seeded(number, graph, scores):
    """Return a trial whose score is the mean of several trainings."""
    made = runs.trial(number, graph)
    last = replace(made.epochs[-1], top1=sum(scores) / len(scores), top1s=tuple(scores))
    return replace(made, top1=last.top1, epochs=(*made.epochs[:-1], last))


def made(scores):
    trials = [
        seeded(i, g, s)
        for i, (g, s) in enumerate(zip(runs.wirings(len(scores)), scores, strict=True))
    ]
    return runs.run(trials)


def test_without_seeds_both_are_said_and_no_interval_of_the_difference():
    run = runs.full_run()
    a, b = run.trials[0], run.trials[3]
    said = scores_words(run, a, b)[0]
    assert said.startswith(f"Validation top-1: A {100 * a.top1:.1f} %")
    assert f"B {100 * b.top1:.1f} %" in said
    assert f"B minus A {100 * (b.top1 - a.top1):+.1f} points, without an interval" in said
    assert run.untold in said


@pytest.mark.parametrize(("apart", "told"), [(0.4, True), (0.001, False)])
def test_with_seeds_the_difference_has_its_interval(apart, told):
    spread = (-0.004, 0.0, 0.004)
    run = made([[0.5 + apart * (i == 1) + s for s in spread] for i in range(4)])
    a, b = run.trials[0], run.trials[1]
    low, high = run.noise.difference(b.top1s, a.top1s, "val")
    said = scores_words(run, a, b)[0]
    assert f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f})" in said
    assert f"B minus A {100 * apart:+.1f} points" in said
    assert ("cannot tell from none" in said) != told
    assert interval_words(run.noise.interval(a.top1s, "val")) in said


def test_a_trial_without_accuracy_has_none():
    run = runs.full_run()
    failed = next(t for t in run.trials if t.state == "failed")
    assert "B has none." in scores_words(run, run.trials[0], failed)[0]
    assert scores_words(run, failed, failed) == []
