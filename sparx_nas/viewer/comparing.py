"""Two trials side by side: both accuracies, and how far apart they are as far as noise is known."""

from collections.abc import Sequence
from statistics import fmean

from sparx_nas.drawing import facts
from sparx_nas.ground.quantities import percent
from sparx_nas.trial.values import Run, TrialRecord

SPLITS = {"val": "Validation top-1", "test": "Test top-1"}


def scores_words(run: Run, a: TrialRecord, b: TrialRecord) -> list[str]:
    """Say the accuracies of A and B on each split where one has them, and B minus A in points."""
    said = []
    for split, words in SPLITS.items():
        both = [t.top1s if split == "val" else t.test_top1s for t in (a, b)]
        if any(both):
            sides = [
                f"{side} {_score(run, trial, split, scores)}"
                for side, trial, scores in zip("AB", (a, b), both, strict=True)
            ]
            said.append(f"{words}: {', '.join(sides)}{_difference(run, both, split)}.")
    return said


def _score(run: Run, trial: TrialRecord, split: str, scores: Sequence[float]) -> str:
    """Return an accuracy with its interval, or that there is none."""
    if not scores:
        return "has none"
    bounds = facts.interval_words(facts.interval(run, trial, split))
    return percent(fmean(scores)) + (f" ({bounds})" if bounds else "")


def _difference(run: Run, scores: Sequence[Sequence[float]], split: str) -> str:
    """Return B minus A in points, with its 95 % interval or why there is none."""
    if not all(scores):
        return ""
    a, b = scores
    middle = f"; B minus A {100 * (fmean(b) - fmean(a)):+.1f} points"
    found = run.noise.difference(b, a, split)
    if found is None:
        return f"{middle}, without an interval: {run.untold}"
    low, high = (100 * bound for bound in found)
    apart = "" if low > 0 or high < 0 else ", which these trainings cannot tell from none"
    return f"{middle} (95 % interval {low:+.1f} to {high:+.1f}){apart}"
