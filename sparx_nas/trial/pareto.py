"""Fronts and hypervolumes of points, and the design of a front to use.

Every axis of a point is minimised; `minimised` turns the values of a trial into such a point.
"""

import math
from collections.abc import Sequence

from sparx_nas.trial.measures import MEASURES, costs_of
from sparx_nas.trial.values import Objective, Run, TrialRecord

Point = tuple[float, ...]

PUBLISHED = "sparx"
"""The baseline that is the published design."""


def minimised(values: Sequence[float], objectives: Sequence[Objective]) -> Point:
    """Turn values into a point whose axes are all minimised."""
    return tuple(
        -value if objective.direction == "max" else value
        for value, objective in zip(values, objectives, strict=True)
    )


def dominates(a: Point, b: Point) -> bool:
    """Tell whether `a` is nowhere worse and somewhere better."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Return the indices of the points that no other dominates, in the order given.

    Equal points are all kept. O(n log n + n f d) for a front of f points: in sorted order a point
    can only be dominated by one before it, and then by a member of the front.
    """
    front: list[Point] = []
    for point in sorted(set(points)):
        if not any(dominates(better, point) for better in reversed(front)):
            front.append(point)
    kept = set(front)
    return [i for i, point in enumerate(points) if point in kept]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Return the volume between the front and a reference point that is worse on every axis.

    Points that do not dominate the reference add nothing. Exact; by slicing along the last axis
    down to areas, O(n^(d-1) log n) for d > 1.
    """
    inside = sorted(p for p in set(points) if all(x < r for x, r in zip(p, reference, strict=True)))
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - inside[0][0]
    if len(reference) == 2:
        return _area(inside, reference)
    levels = sorted({p[-1] for p in inside})
    volume = 0.0
    for level, above in zip(levels, [*levels[1:], reference[-1]], strict=True):
        slab = [p[:-1] for p in inside if p[-1] <= level]
        volume += (above - level) * hypervolume(slab, reference[:-1])
    return volume


def published_trial(run: Run) -> TrialRecord | None:
    """Return the trained published design, if the run has it."""
    found = (t for t in run.trials if t.baseline == PUBLISHED and t.objectives)
    return next(found, None)


def best_trial(run: Run) -> TrialRecord | None:
    """Return the design to use: the cheapest that cannot be told from the one of the best score.

    None without scores. Where no design was trained twice, seeds cannot be told from designs; it is
    the one of the best score then.
    """
    return min(alike(run), key=lambda t: _first_cost(t, run.objectives), default=None)


def by_score(run: Run) -> list[TrialRecord]:
    """Return the front, the best score first."""
    sign = -1.0 if MEASURES[run.score].direction == "max" else 1.0
    scored = [trial for trial in run.front if run.score in trial.objectives]
    return sorted(scored, key=lambda trial: sign * trial.objectives[run.score])


def top_trial(run: Run) -> TrialRecord | None:
    """Return the front member of the best score among those that cost no more than the published.

    Of all if none costs as little; None without scores.
    """
    able = {trial.number for trial in _eligible(run)}
    return next((trial for trial in by_score(run) if trial.number in able), None)


def alike(run: Run) -> list[TrialRecord]:
    """Return the design of the best score, and those that only seeds may have put behind it.

    Of front members that cost no more than the published design, on the same validation images.
    """
    top = top_trial(run)
    if top is None:
        return []
    scores = top.scores(run.score)
    others = [t for t in _eligible(run) if t.number != top.number]
    return [top, *(t for t in others if run.noise.alike(scores, t.scores(run.score)))]


def _eligible(run: Run) -> list[TrialRecord]:
    """Return the scored front members that cost no more than the published design, or all."""
    scored = [trial for trial in run.front if trial.top1 is not None]
    reference = published_trial(run)
    if reference is None:
        return scored
    return [t for t in scored if costs_no_more(t, reference, run.objectives)] or scored


def _first_cost(trial: TrialRecord, objectives: Sequence[Objective]) -> float:
    """Return the first objective that is a cost, or MACs where none is."""
    values = {**trial.cost, **trial.objectives}
    return values.get(costs_of(o.name for o in objectives)[0], math.inf)


def costs_no_more(
    trial: TrialRecord, reference: TrialRecord, objectives: Sequence[Objective]
) -> bool:
    """Tell whether a trial costs no more than another.

    Cost means every objective that is one, or MACs where none is; a measure that one of them lacks
    does not count.
    """
    names = costs_of(o.name for o in objectives)
    values = {**trial.cost, **trial.objectives}
    limit = {**reference.cost, **reference.objectives}
    return all(values[n] <= limit[n] for n in names if n in values and n in limit)


def _area(ascending: Sequence[Point], reference: Point) -> float:
    """Return the area between a reference and points sorted along the first axis."""
    area, lowest = 0.0, reference[1]
    for x, y in ascending:
        if y < lowest:
            area += (reference[0] - x) * (lowest - y)
            lowest = y
    return area
