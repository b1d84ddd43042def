"""What a run says, before any of it is drawn: counts, its data, how designs compare.

Reads three optional places of a run: `env["data"]["splits"]` (images by split), `env["data"]`
(`name`, `num_classes`), and `status["state"]`.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sparx_nas.ground.quantities import percent, wilson
from sparx_nas.trial.values import Fidelity, Run, TrialRecord

Interval = tuple[float, float]


def titled(trial: TrialRecord) -> str:
    """Return the name of a trial as a title: `Trial 17`, or `Guest 1`."""
    return trial.name.capitalize()


def counts(run: Run) -> dict[str, int]:
    """Count the trials by what became of them; baselines and guests are counted apart."""
    return dict(Counter(_outcome(trial) for trial in run.trials))


def _outcome(trial: TrialRecord) -> str:
    """Name what became of a trial."""
    if trial.baseline and trial.objectives:
        return "baseline"
    if trial.guest and trial.objectives:
        return "guest"
    return "trained" if trial.state == "complete" else trial.state


def data(run: Run) -> Mapping[str, Any]:
    """Return what the run recorded about its data, or nothing."""
    found = run.env.get("data")
    return found if isinstance(found, Mapping) else {}


def images(run: Run, split: str) -> int | None:
    """Return the number of images of a split, if the run recorded it."""
    splits = data(run).get("splits")
    size = splits.get(split) if isinstance(splits, Mapping) else None
    return size if isinstance(size, int) else None


def interval(run: Run, top1: float) -> Interval | None:
    """Return the 95 % interval of a validation accuracy, or None if the split's size is unknown."""
    n = images(run, "val")
    return wilson(round(top1 * n), n) if n else None


def interval_words(bounds: Interval | None) -> str:
    """Return `90.0 to 95.3 %`, or nothing."""
    return f"{100 * bounds[0]:.1f} to {percent(bounds[1])}" if bounds else ""


def fidelity(run: Run) -> Fidelity | None:
    """Return how the run's trials were trained; None before the first was."""
    return next((trial.fidelity for trial in run.trials if trial.fidelity), None)


def fidelity_words(fidelity: Fidelity | None) -> str:
    """Return the fidelity as it stands beside an accuracy: `8 epochs at 32 px, 0.25 width`."""
    if fidelity is None:
        return ""
    epochs = f"{fidelity.epochs} epoch{'s' if fidelity.epochs != 1 else ''}"
    return f"{epochs} at {fidelity.image_size} px, {fidelity.width:g} of full width"


def comparison(run: Run, trial: TrialRecord, reference: TrialRecord) -> str:
    """Say how a trial compares with another: accuracy, then each cost that both have."""
    said = []
    if trial.top1 is not None and reference.top1 is not None:
        points = 100 * (trial.top1 - reference.top1)
        said.append(
            "equal validation top-1"
            if abs(points) < 0.05
            else f"{abs(points):.1f} points {'more' if points > 0 else 'less'} accurate"
        )
    for name, words in (("macs", "MACs"), ("params", "parameters")):
        if reference.cost.get(name) and name in trial.cost:
            change = trial.cost[name] / reference.cost[name] - 1
            same = abs(change) < 0.0005
            share = f"{percent(abs(change))} {'more' if change > 0 else 'fewer'} {words}"
            said.append(f"the same {words}" if same else share)
    return ", ".join(said[:-1]) + (" and " if said[1:] else "") + "".join(said[-1:])


def told_apart(run: Run, trial: TrialRecord, reference: TrialRecord) -> bool | None:
    """Tell whether the 95 % intervals of two validation accuracies are disjoint; None if unknown.

    Disjoint intervals are a stricter test than one of the difference.
    """
    if trial.top1 is None or reference.top1 is None:
        return None
    a, b = interval(run, trial.top1), interval(run, reference.top1)
    return None if a is None or b is None else a[0] > b[1] or b[0] > a[1]
