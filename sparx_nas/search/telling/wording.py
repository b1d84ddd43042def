"""A trial in a few words and numbers, as every view of a search shows it."""

from collections.abc import Sequence

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import measures
from sparx_nas.ground.quantities import counted, duration
from sparx_nas.search.telling.progress import Progress
from sparx_nas.trial.measures import SCORES, costs_of
from sparx_nas.trial.values import Objective, TrialRecord

WIDTH = 80
"""Columns that no line of a view exceeds."""

BARS = "▁▂▃▄▅▆▇█"
BEST = "★"


def what_it_is(architecture: Architecture, baseline: str = "", room: int = WIDTH) -> str:
    """Say which wiring it is: a baseline's name, ganglia and edges; less where there is no room."""
    m = measures(architecture.graph)
    ganglia = f"{m.ganglia} gangli{'on' if m.ganglia == 1 else 'a'}" if m.ganglia else "no ganglia"
    wiring = f"{ganglia}, {m.edges} edge{'s' if m.edges != 1 else ''}" if m.edges else ganglia
    full = f"{baseline} ({wiring})" if baseline else wiring
    return next((words for words in (full, baseline or ganglia) if len(words) <= room), "")


def measured(trial: TrialRecord, name: str) -> float | None:
    """Return a trial's value of a measure, if it is known."""
    if name == "top1":
        return trial.objectives.get("top1", trial.top1)
    return trial.objectives.get(name, trial.cost.get(name))


def costs(objectives: Sequence[Objective]) -> list[str]:
    """Name the objectives besides accuracy; MACs where there is no cost."""
    names = [o.name for o in objectives]
    return [n for n in names if n in SCORES and n != "top1"] + costs_of(names)


def reason(trial: TrialRecord) -> str:
    """Say in one line why a trial has no values."""
    if trial.state == "infeasible":
        return f"over a limit: {', '.join(trial.violations)}"
    lines = [line.strip() for line in trial.error.splitlines() if line.strip()]
    return f"{trial.state}: {lines[-1] if lines else 'no reason recorded'}"


def sparkline(values: Sequence[float]) -> str:
    """Draw values as bars, the least lowest, at most twelve of the latest."""
    latest = values[-12:]
    low, span = min(latest, default=0.0), max(latest, default=0.0) - min(latest, default=0.0)
    steps = [round((v - low) / span * (len(BARS) - 1)) if span else 0 for v in latest]
    return "".join(BARS[step] for step in steps)


def counts(progress: Progress) -> list[str]:
    """Say how many trials came to what, leaving out what there is none of."""
    said = [
        (progress.baselines, counted(progress.baselines, "baseline")),
        (progress.guests, counted(progress.guests, "guest")),
        (len(progress.running), f"{len(progress.running)} running"),
        (progress.failed, f"{progress.failed} failed"),
        (progress.duplicates, counted(progress.duplicates, "duplicate")),
        (progress.infeasible, f"{progress.infeasible} over a limit"),
    ]
    head = f"{progress.trained}/{progress.asked} trained"
    return [head, *(words for n, words in said if n)]


def eta(seconds: float | None) -> str:
    """Say how long it will take yet."""
    return "ETA -" if seconds is None else f"ETA {duration(seconds)}"


def best_of(front: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the most accurate trial of a front."""
    return max(front, key=lambda trial: measured(trial, "top1") or 0.0, default=None)


def clipped(text: str, width: int = WIDTH) -> str:
    """Cut a line to a width, an ellipsis at its end."""
    return text if len(text) <= width else text[: max(width - 1, 0)].rstrip() + "…"
