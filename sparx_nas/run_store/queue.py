"""Designs that a person hands to a search, running or to be resumed: judged first, then queued."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from sparx_nas.architecture import Architecture
from sparx_nas.command.typed import typed
from sparx_nas.ground.errors import ArchitectureError, RunError, SpaceError
from sparx_nas.ground.quantities import duration, percent
from sparx_nas.run_store.environment import masked
from sparx_nas.run_store.folder import (
    CONFIG,
    SPACE,
    read_config,
    read_space_text,
    storage_of,
    study_name,
)
from sparx_nas.run_store.guests import guest_of, guests_name, open_guests, turned
from sparx_nas.run_store.study import (
    StorageError,
    disconnect,
    fail,
    has_study,
    may_wait,
    open_study,
)
from sparx_nas.space import SearchSpace, parse_space
from sparx_nas.trial.values import Objective, Run, TrialRecord, name_of

SOURCE = "viewer"
"""What a queued trial says of its origin."""
WITHDRAWN = "withdrawn before it was trained"


@dataclass(frozen=True)
class Waiting:
    """A design that waits to be trained; `number` is the one its trial has in the run."""

    architecture: Architecture
    guest: bool
    number: int


@dataclass(frozen=True)
class Verdict:
    """Whether a design is taken, and what follows or why not; `same_as` is an equal trial."""

    accepted: bool
    guest: bool
    words: str
    same_as: int | None = None


def read_run_space(path: Path) -> SearchSpace:
    """Read the space of a run from the run's own copy.

    Raises: RunError if the folder is no run, SpaceError if the copy cannot be read.
    """
    return _parsed(read_space_text(path), str(path / SPACE))


@lru_cache(maxsize=8)
def _parsed(text: str, place: str) -> SearchSpace:
    """Read the text of a space once, however often a run is looked at."""
    return parse_space(text, place)


def judge(
    run: Run, space: SearchSpace, architecture: Architecture, queue: Sequence[Waiting]
) -> Verdict:
    """Say whether a run would train a design, and with what consequence."""
    guest = space.encode(architecture) is None
    same = _same(run, architecture)
    if same is not None:
        result = percent(same.top1) if same.top1 is not None else same.state
        return Verdict(False, guest, f"Same design as {same.name} ({result}).", same.number)
    if any(waiting.architecture.id == architecture.id for waiting in queue):
        return Verdict(False, guest, "This design waits to be trained already.")
    names = [name for name, known in space.baselines.items() if known.id == architecture.id]
    if names:
        words = f"This design is the baseline {names[0]}, which the run trains in any case."
        return Verdict(False, guest, words)
    problem = _problem(run, space, architecture)
    if problem:
        return Verdict(False, guest, problem)
    return Verdict(True, guest, _consequence(run, guest, queue))


def enqueue(path: Path, run: Run, space: SearchSpace, architecture: Architecture) -> Verdict:
    """Hand a design to a run, if it would train it; the search takes it next.

    Raises: RunError if the run has no study yet, StorageError if it cannot be reached.
    """
    verdict = judge(run, space, architecture, waiting(path))
    if not verdict.accepted:
        return verdict
    name, storage = study_name(path), storage_of(path, read_config(path))
    if not has_study(name, storage):
        raise RunError(f"{path} has no study yet; the search has only just begun")
    with _open(name, storage, run.objectives, guests=verdict.guest) as study:
        genes = space.encode(architecture)
        design = {} if genes is not None else {"guest": architecture.to_dict()}
        study.enqueue_trial(dict(genes or {}), user_attrs={"source": SOURCE} | design)
    return verdict


def withdraw(path: Path, number: int) -> Waiting:
    """Take back a design that waits under a number of the run; its trial stays, as a failed one.

    It is claimed as a search claims it, so one of both gets it, never both.

    Raises: RunError if nothing waits under that number, StorageError if the study cannot be
    reached.
    """
    found = next((design for design in waiting(path) if design.number == number), None)
    gone = RunError(f"{name_of(number)} does not wait: it was taken, or withdrawn before")
    if found is None:
        raise gone
    config = read_config(path)
    own, storage = study_name(path), storage_of(path, config)
    objectives = tuple(Objective(**objective) for objective in config["objectives"])
    place = turned(number) if found.guest else number
    with _open(own, storage, objectives, guests=found.guest) as study:
        backend = study._storage
        trial = backend.get_trial_id_from_study_id_trial_number(study._study_id, place)
        try:
            if not backend.set_trial_state_values(trial, state=TrialState.RUNNING):
                raise gone
        except UpdateFinishedTrialError:
            raise gone from None
        fail(study, place, WITHDRAWN)
    return found


def waiting(path: Path) -> tuple[Waiting, ...]:
    """Return the designs that were handed to a run and that no search has taken yet.

    Raises: RunError if the folder is no run, StorageError if its study cannot be reached.
    """
    config = read_config(path)
    name, storage = study_name(path), storage_of(path, config)
    objectives = tuple(Objective(**objective) for objective in config["objectives"])
    found: list[Waiting] = []
    for own, guests in ((name, False), (guests_name(name), True)):
        if may_wait(own, storage):
            with _open(name, storage, objectives, guests=guests) as study:
                found += _designs(path, queued(study), guests=guests)
    return tuple(found)


def _designs(path: Path, trials: Sequence[FrozenTrial], *, guests: bool) -> Iterator[Waiting]:
    """Yield what trials were queued as.

    What somebody else queued may be no design; the search says so in its turn.
    """
    for trial in trials:
        with suppress(ArchitectureError, SpaceError):
            if guests:
                yield Waiting(guest_of(trial), True, turned(trial.number))
            else:
                genes = trial.system_attrs.get("fixed_params", {})
                yield Waiting(read_run_space(path).decode(genes), False, trial.number)


def queued(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials of a study that were handed to it, in order; baselines are not among them.

    One query, whatever the size of the study.
    """
    found = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return [trial for trial in found if trial.user_attrs.get("source")]


def _same(run: Run, architecture: Architecture) -> TrialRecord | None:
    """Return the trial of the same design that has a result, or is on its way to one.

    While a search runs it does not train again what failed; a resumed one does.
    """
    final = ["complete", "running", "interrupted"]
    final += ["failed"] if run.status.get("state") == "running" else []
    same = [t for t in run.trials if t.architecture.id == architecture.id and t.state in final]
    return min(same, key=lambda t: final.index(t.state), default=None)


def _problem(run: Run, space: SearchSpace, architecture: Architecture) -> str:
    """Say why a design could not be trained; empty if it could."""
    cost = space.cost(architecture).to_dict()
    limits = limits_of(run)
    broken = [f"{n} {cost[n]:,} > {most:,.0f}" for n, most in limits.items() if cost[n] > most]
    if broken:
        return f"Over a limit of the run, which would not train it: {', '.join(broken)}."
    if architecture.backbone != space.backbone:
        return f"The run trains {space.backbone} backbones, not {architecture.backbone}."
    fidelity = run.fidelity.to_dict() if run.fidelity else run.config
    proxy = {key: fidelity[key] for key in ("width", "stem_stride") if key in fidelity}
    try:
        architecture.plan(**proxy)
    except ArchitectureError as error:
        return f"It cannot be trained as this run trains: {error}"
    return ""


def limits_of(run: Run) -> dict[str, float]:
    """Return the largest counts that a run allows, from its configuration.

    Raises: RunError if the file was edited to something else than a search writes.
    """
    rules = [str(rule).partition("<=") for rule in run.config.get("constraint") or ()]
    try:
        return {name.strip(): float(most) for name, _, most in rules}
    except ValueError as cause:
        file = Path(run.path) / CONFIG
        raise RunError(f"{file}: constraint: it lists limits such as params<=30000000") from cause


def _consequence(run: Run, guest: bool, queue: Sequence[Waiting]) -> str:
    """Say what handing a design over leads to."""
    said = []
    if guest:
        said.append("The space cannot express it, so it is trained as a guest, beside the search.")
    before = sum(waiting.guest or not guest for waiting in queue)
    after = f" after {before} waiting" if before else ""
    if run.status.get("state") == "running":
        left = _places_left(run, queue)
        if guest or left <= 0:
            said.append(f"It is trained next{after}, in addition to what was asked for.")
        else:
            places = f"one of the {left} places left" if left > 1 else "the last place left"
            said.append(f"It is trained next{after} and takes {places}.")
    else:
        said.append(f"It waits in the study{after} until the run is resumed.")
    times = sorted(t.seconds for t in run.trials if t.state == "complete" and t.seconds)
    if times:
        said.append(f"A training takes about {duration(times[len(times) // 2])} here.")
    if run.status.get("state") != "running":
        said.append(f"To resume: {typed('search', '--resume', run.path)}")
    return " ".join(said)


def _places_left(run: Run, queue: Sequence[Waiting]) -> int:
    """Return how many of the candidates that were asked for have not begun, and are not queued."""
    candidates = [t for t in run.trials if not t.baseline and not t.guest]
    begun = sum(t.state in ("complete", "running") for t in candidates)
    queued_before = sum(not waiting.guest for waiting in queue)
    return (run.status.get("asked") or 0) - begun - queued_before


@contextmanager
def _open(
    name: str, storage: str, objectives: Sequence[Objective], *, guests: bool
) -> Iterator[optuna.Study]:
    """Open the study of a run, or that of its guests, which is made if need be, for a moment.

    Raises: StorageError if the database cannot be written.
    """
    study = (
        open_guests(name, storage, objectives, create=True)
        if guests
        else open_study(name=name, storage=storage, objectives=objectives, create=False)
    )
    assert study is not None, "a study that is made if need be is there"
    try:
        yield study
    except (StorageInternalError, SQLAlchemyError) as cause:
        reason = masked(str(cause.__cause__ or cause).splitlines()[0])
        raise StorageError(f"cannot write to the storage {masked(storage)}: {reason}") from cause
    finally:
        disconnect(study)
