"""The Optuna study of a run: the one truth of its trials.

A finished trial cannot be changed, so its attributes are set first and the study is told last.
"""

import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import optuna
import sqlalchemy
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import RunError, SparxError
from sparx_nas.run_store.curves import End
from sparx_nas.run_store.environment import masked
from sparx_nas.run_store.transactions import at_once, gather
from sparx_nas.trial.measures import Direction
from sparx_nas.trial.values import Fidelity, Objective

LOCK_WAIT_S = 60
"""How long a writer waits for a reader of a SQLite study, and the other way round."""
CONSTRAINTS = "constraints"
"""The attribute where every sampler, and optuna-dashboard, look for the limits' values."""
DIRECTIONS: Mapping[Direction, StudyDirection] = {
    "max": StudyDirection.MAXIMIZE,
    "min": StudyDirection.MINIMIZE,
}
HAS_STUDY = "SELECT 1 FROM studies WHERE study_name = ?"
HAS_WAITING = (
    "SELECT 1 FROM trials JOIN studies USING (study_id) "
    "WHERE study_name = ? AND state = 'WAITING' LIMIT 1"
)
ERROR_CHARS = 8000
"""How much of a failure's message is kept: databases limit a value, and its end says most."""


class StorageError(SparxError):
    """A study's database that cannot be reached or read."""

    exit_code = 5
    code = "E-STORAGE"


def open_study(
    *,
    name: str,
    storage: str | None,
    objectives: Sequence[Objective],
    sampler: BaseSampler | None = None,
    create: bool,
) -> optuna.Study:
    """Make the study of a new run, or open that of an old one; without storage it is in memory.

    Raises: RunError if a study to be made is there already, or one to be opened is missing or has
    other objectives; StorageError if the database cannot be reached.
    """
    place = masked(storage or "memory")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage and not create and not has_study(name, storage):
        raise RunError(f"there is no study '{name}' in {place}", hint="the search starts anew")
    backend = connect(storage) if storage else None
    try:
        if create or backend is None:
            study = optuna.create_study(
                study_name=name,
                storage=backend,
                sampler=sampler,
                directions=[DIRECTIONS[objective.direction] for objective in objectives],
            )
        else:
            study = optuna.load_study(study_name=name, storage=backend, sampler=sampler)
    except optuna.exceptions.DuplicatedStudyError as cause:
        raise RunError(
            f"there is a study '{name}' in {place} already", hint="--experiment names another"
        ) from cause
    _agree(study, objectives)
    return study


def has_study(name: str, storage: str) -> bool:
    """Tell whether a storage holds a study; nothing is made that is not there.

    Raises: StorageError if the database cannot be reached.
    """
    file = _sqlite_file(storage)
    if file is not None:
        return file.exists() and _finds(file, HAS_STUDY, name)
    backend = connect(storage)
    try:
        backend.get_study_id_from_name(name)
    except KeyError:
        return False
    finally:
        disconnect(backend)
    return True


def may_wait(name: str, storage: str) -> bool:
    """Tell whether trials of a study may wait; False is certain, and quick for a SQLite file.

    Raises: StorageError if the database cannot be reached.
    """
    file = _sqlite_file(storage)
    if file is not None:
        return file.exists() and _finds(file, HAS_WAITING, name)
    return has_study(name, storage)


def connect(storage: str) -> RDBStorage:
    """Open a database by its URL; its tables are made if it has none.

    Raises: StorageError if it cannot be reached or is no database of studies.
    """
    engine: dict[str, Any] = {}
    if storage.startswith("sqlite"):
        engine = {"connect_args": {"timeout": LOCK_WAIT_S}}
    try:
        backend = RDBStorage(storage, engine_kwargs=engine)
    except ImportError as cause:
        fix = "install its Python driver, or leave --storage out for a file in the run"
        raise StorageError(f"no driver for the storage {masked(storage)}", hint=fix) from cause
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, ValueError) as cause:
        reason = masked(str(getattr(cause, "orig", None) or cause).splitlines()[0])
        raise StorageError(
            f"cannot open the storage {masked(storage)}: {reason}",
            hint="--storage takes sqlite:///file.db, mysql://…, postgresql://…; "
            "left out, the study is a file in the run",
        ) from cause
    gather(backend)
    return backend


def disconnect(opened: optuna.Study | RDBStorage) -> None:
    """Close the connections to a database."""
    backend: Any = opened._storage if isinstance(opened, optuna.Study) else opened
    backend = getattr(backend, "_backend", backend)
    backend.remove_session()
    backend.engine.dispose()


def begin(
    trial: optuna.Trial,
    *,
    architecture: Architecture,
    baseline: str,
    cost: Mapping[str, Any],
    violations: Sequence[str],
    constraints: Mapping[str, float],
    fidelity: Fidelity,
) -> None:
    """Record what a trial is, before anything is done about it.

    `cost` is that of the target, `constraints` how far each limit is exceeded (> 0: violated).
    The architecture is set last: a trial without one was never begun.
    """
    facts = {
        "baseline": baseline,
        "cost": dict(cost),
        "violations": list(violations),
        "limits": dict(constraints),
        "fidelity": fidelity.to_dict(),
        "seed": fidelity.seed,
        "started": _now(),
        "graph_id": architecture.graph.id,
        "architecture_id": architecture.id,
        "architecture": architecture.to_dict(),
    }
    if constraints:
        values = [float(value) for value in constraints.values()]
        trial.storage.set_trial_system_attr(trial._trial_id, CONSTRAINTS, values)
    for key, value in facts.items():
        trial.set_user_attr(key, value)


def complete(study: optuna.Study, number: int, end: End, objectives: Sequence[Objective]) -> None:
    """Tell a study what an end record says of the trial with this number in it.

    Raises: ValueError if a value is no number, or the trial is not running.
    """
    facts = {
        "seconds": end.seconds,
        "device": end.device,
        "top1": end.top1,
        "proxy_cost": dict(end.proxy_cost),
        "state": "complete",
    }
    values = [end.objectives[objective.name] for objective in objectives]
    _finish(study, number, facts, OptunaState.COMPLETE, values)


def fail(study: optuna.Study, number: int, error: str) -> None:
    """Tell the study that a trial broke, and why."""
    facts = {"error": error[-ERROR_CHARS:], "state": "failed"}
    _finish(study, number, facts, OptunaState.FAIL)


def prune(
    study: optuna.Study,
    number: int,
    state: Literal["infeasible", "duplicate"],
    duplicate_of: int | None = None,
) -> None:
    """Tell the study that a trial is not trained; `duplicate_of` is the number of the first."""
    facts: dict[str, Any] = {} if duplicate_of is None else {"duplicate_of": duplicate_of}
    _finish(study, number, facts | {"state": state}, OptunaState.PRUNED)


def finish_decided(study: optuna.Study) -> None:
    """Finish the running trials whose outcome is recorded and was not told: a kill came between.

    Complete ones are told from their end record instead; see `unfinished`.
    """
    outcomes = {
        "failed": OptunaState.FAIL,
        "infeasible": OptunaState.PRUNED,
        "duplicate": OptunaState.PRUNED,
    }
    for trial in study.get_trials(deepcopy=False, states=(OptunaState.RUNNING,)):
        outcome = outcomes.get(trial.user_attrs.get("state", ""))
        if outcome is not None:
            study.tell(trial.number, state=outcome)


def _agree(study: optuna.Study, objectives: Sequence[Objective]) -> None:
    """Name the values of a new study.

    Raises: RunError if those of an old one are others.
    """
    names = [objective.name for objective in objectives]
    if study.metric_names is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(names)
    wanted = [DIRECTIONS[objective.direction] for objective in objectives]
    if study.metric_names != names or study.directions != wanted:
        were = ", ".join(study.metric_names or ())
        raise RunError(
            f"the study '{study.study_name}' has other objectives: {were}, not {', '.join(names)}"
        )


def _finish(
    study: optuna.Study,
    number: int,
    facts: Mapping[str, Any],
    state: OptunaState,
    values: list[float] | None = None,
) -> None:
    """Set the attributes of a trial, then tell its outcome."""
    storage = study._storage
    trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    with at_once(study):
        for key, value in {"ended": _now(), **facts}.items():
            storage.set_trial_user_attr(trial_id, key, value)
        study.tell(number, values=values, state=state)


def _sqlite_file(storage: str) -> Path | None:
    """Return the file of a SQLite URL; None for other databases, and what is no URL."""
    try:
        url = sqlalchemy.engine.make_url(storage)
    except sqlalchemy.exc.ArgumentError:
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database
    return Path(url.database or "") if is_file else None


def _finds(file: Path, query: str, name: str) -> bool:
    """Tell whether a query finds anything of a study in a SQLite file, without Optuna.

    Optuna makes missing tables when it opens a file, and two processes that do so at once, a
    search and its viewer, break each other. A study's row is written after all tables.
    """
    uri = f"{file.resolve().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_S)) as connection:
            return connection.execute(query, (name,)).fetchone() is not None
    except sqlite3.DatabaseError as cause:
        if "no such table" in str(cause):
            return False
        raise StorageError(f"cannot open the storage {file}: {cause}") from cause


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
