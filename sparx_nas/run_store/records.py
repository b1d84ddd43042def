"""What a study and its curves say, as `TrialRecord`s."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from sparx_nas.architecture import Architecture
from sparx_nas.run_store.curves import Curve, End, read_curves
from sparx_nas.run_store.guests import turned
from sparx_nas.run_store.study import finish_decided
from sparx_nas.trial.pareto import minimised, pareto_front
from sparx_nas.trial.values import Fidelity, Objective, TrialRecord, TrialState

ARCHITECTURES_KEPT = 16_384
STATES: Mapping[OptunaState, TrialState] = {
    OptunaState.COMPLETE: "complete",
    OptunaState.RUNNING: "running",
    OptunaState.FAIL: "failed",
}
"""What Optuna's states mean; a pruned trial says itself whether it is infeasible or a duplicate."""


@dataclass(frozen=True)
class Unfinished:
    """Trials that a kill left running, by number.

    `ended` have their values and only need to be told. `again` were asked for, and whether they
    are trained may not have been decided, or only half written down: they are decided again.
    """

    ended: tuple[End, ...]
    again: tuple[int, ...]


def records(
    study: optuna.Study,
    curves: Mapping[int, Curve],
    objectives: Sequence[Objective],
    guests: optuna.Study | None = None,
    known: Mapping[int, TrialRecord] = MappingProxyType({}),
) -> tuple[TrialRecord, ...]:
    """Return the trials of a study by number, then the guests; those not begun yet are left out.

    What is `known`, by number, is taken as it is.
    """
    numbered = [(trial.number, trial) for trial in study.get_trials(deepcopy=False)]
    if guests is not None:
        numbered += [(turned(t.number), t) for t in guests.get_trials(deepcopy=False)]
    return tuple(
        known.get(number) or _record(number, trial, curves.get(number, Curve()), objectives)
        for number, trial in numbered
        if trial.state != OptunaState.WAITING and "architecture" in trial.user_attrs
    )


def pareto_of(
    records: Sequence[TrialRecord], objectives: Sequence[Objective]
) -> tuple[TrialRecord, ...]:
    """Return the feasible complete trials no other dominates, best in the first objective first."""
    able = [t for t in records if t.state == "complete" and t.feasible]
    points = [minimised([t.objectives[o.name] for o in objectives], objectives) for t in able]
    front = sorted(pareto_front(points), key=lambda i: (points[i], able[i].number))
    return tuple(able[i] for i in front)


def unfinished(study: optuna.Study, curves_path: Path, *, of_guests: bool = False) -> Unfinished:
    """Return what a kill left running, for a driver that takes over; numbers are the run's.

    Trials whose failure or pruning is recorded and was not told are told first, and not listed.

    Raises: RunError if the curves cannot be read.
    """
    finish_decided(study)
    curves = read_curves(curves_path)
    trials = study.get_trials(deepcopy=False, states=(OptunaState.RUNNING,))
    numbers = [turned(trial.number) if of_guests else trial.number for trial in trials]
    ends = {number: curves.get(number, Curve()).end for number in numbers}
    ended = tuple(end for end in ends.values() if end is not None)
    return Unfinished(ended, tuple(number for number, end in ends.items() if end is None))


def _record(
    number: int, trial: FrozenTrial, curve: Curve, objectives: Sequence[Objective]
) -> TrialRecord:
    """Join what the study and the curves know of a trial."""
    said = trial.user_attrs
    state: TrialState = STATES.get(trial.state) or said["state"]
    names = [objective.name for objective in objectives]
    done = state == "complete"
    return TrialRecord(
        number=number,
        architecture=_architecture(json.dumps(said["architecture"])),
        state=state,
        baseline=said["baseline"],
        objectives=dict(zip(names, trial.values, strict=True)) if done else {},
        top1=said["top1"] if done else None,
        feasible=not said["violations"],
        violations=tuple(said["violations"]),
        cost=_numbers(said["cost"]),
        proxy_cost=_numbers(said.get("proxy_cost", {})),
        fidelity=Fidelity(**said["fidelity"]),
        epochs=curve.epochs,
        seconds=said.get("seconds", 0.0),
        device=said.get("device", ""),
        error=said.get("error", ""),
        duplicate_of=said.get("duplicate_of"),
        test_top1s=curve.test,
        source=said.get("source", ""),
        latency=curve.end.latency if done and curve.end else None,
    )


def _numbers(cost: Mapping[str, Any]) -> dict[str, float]:
    """Keep the plain numbers of a cost; the split by operator stays in the study."""
    return {key: value for key, value in cost.items() if isinstance(value, int | float)}


@lru_cache(maxsize=ARCHITECTURES_KEPT)
def _architecture(text: str) -> Architecture:
    """Read an architecture once, however often a growing study is read."""
    return Architecture.from_dict(json.loads(text), where="study")
