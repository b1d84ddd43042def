"""Read a run, at any moment of its life."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler

from sparx_nas.ground.errors import RunError
from sparx_nas.run_store.curves import CURVES, read_curves
from sparx_nas.run_store.environment import masked
from sparx_nas.run_store.folder import read_config, read_env, read_target, storage_of, study_name
from sparx_nas.run_store.guests import guests_name
from sparx_nas.run_store.records import pareto_of, records
from sparx_nas.run_store.status import read_status
from sparx_nas.run_store.study import connect, disconnect, has_study
from sparx_nas.trial.values import Objective, Run, TrialRecord


def load_run(
    path: str | Path, *, study: optuna.Study | None = None, guests: optuna.Study | None = None
) -> Run:
    """Read a run: while it is running, after a kill, or finished. Nothing is written.

    Who has the run's study open passes it, and that of its guests, for a study remembers the
    trials it has read; else all of them are read anew, about a millisecond each.

    Everything comes from the study and the curves, nothing from files derived of them. Trials that
    nobody trains any more are `interrupted`.

    Raises: RunError if the folder is no run, or a file of it cannot be read; StorageError if the
    study's database cannot be reached.
    """
    folder = Path(path)
    config = read_config(folder)
    objectives = _objectives(folder, config)
    status = read_status(folder)
    if study is None:
        trials = _trials(folder, config, objectives)
    else:
        trials = records(study, read_curves(folder / CURVES), objectives, guests)
    if status["state"] != "running":
        trials = tuple(
            replace(t, state="interrupted") if t.state == "running" else t for t in trials
        )
    return Run(
        name=folder.resolve().name,
        path=str(path),
        space=str(config.get("space", "")),
        objectives=objectives,
        trials=trials,
        front=pareto_of(trials, objectives),
        target=read_target(folder),
        config=config,
        env=read_env(folder),
        status=status,
    )


class Follower:
    """Reads a run again and again; what has ended is not read from the database twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._study: optuna.Study | None = None
        self._guests: optuna.Study | None = None

    def read(self) -> Run:
        """Read the run as `load_run` does; one reading at a time.

        Raises: RunError and StorageError as `load_run`.
        """
        name, storage = study_name(self.path), storage_of(self.path, read_config(self.path))
        self._study = self._study or _opened(name, storage)
        if self._study is None:
            return load_run(self.path)
        self._guests = self._guests or _opened(guests_name(name), storage)
        return load_run(self.path, study=self._study, guests=self._guests)


def _opened(name: str, storage: str) -> optuna.Study | None:
    """Open a study for reading; None if there is none."""
    if not has_study(name, storage):
        return None
    return optuna.load_study(study_name=name, storage=connect(storage), sampler=RandomSampler())


def _trials(
    folder: Path, config: Mapping[str, Any], objectives: tuple[Objective, ...]
) -> tuple[TrialRecord, ...]:
    """Return the trials of a run; none if it was stopped before it had a study."""
    name, storage = study_name(folder), storage_of(folder, config)
    with _reading(name, storage) as study, _reading(guests_name(name), storage) as guests:
        if study is not None:
            return records(study, read_curves(folder / CURVES), objectives, guests)
    if read_curves(folder / CURVES):
        raise RunError(f"{folder}: its study '{name}' is not in {masked(storage)} any more")
    return ()


@contextmanager
def _reading(name: str, storage: str) -> Iterator[optuna.Study | None]:
    """Open a study for a moment."""
    study = _opened(name, storage)
    try:
        yield study
    finally:
        if study is not None:
            disconnect(study)


def _objectives(folder: Path, config: Mapping[str, Any]) -> tuple[Objective, ...]:
    """Return the objectives that a configuration names."""
    try:
        return tuple(Objective(**objective) for objective in config["objectives"])
    except (KeyError, TypeError) as cause:
        fix = "it lists a name and a direction for each"
        raise RunError(f"{folder / 'config.yaml'}: no valid objectives: {fix}") from cause
