"""Run a search from its settings to its report."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import ray

from sparx_nas import run_store
from sparx_nas.command.typed import quoted
from sparx_nas.ground.errors import FailureLimitError
from sparx_nas.search.asked.prepared import Search
from sparx_nas.search.asked.settings import Settings
from sparx_nas.search.booking.folder import Folder
from sparx_nas.search.booking.ledger import Ledger
from sparx_nas.search.proposing.proposals import Proposal, Proposals
from sparx_nas.search.proposing.sampler import make_sampler
from sparx_nas.search.running import worker
from sparx_nas.search.running.conductor import Conductor
from sparx_nas.search.running.mailbox import Mailbox
from sparx_nas.search.running.preparing import nothing_left, prepared
from sparx_nas.search.running.searcher import StudySearcher, job_of, run_trials
from sparx_nas.search.running.trouble import TROUBLE, explained
from sparx_nas.search.running.worker import Job
from sparx_nas.search.telling.live import data_lines, make_view
from sparx_nas.search.telling.progress import View
from sparx_nas.search.telling.summary import summary_lines
from sparx_nas.space import SearchSpace
from sparx_nas.trial.pareto import published_trial
from sparx_nas.trial.values import Run

Scored = tuple[int, tuple[list[int], int]]
"""A trial's number; of each training how many test images it has right; and how many there are."""


def run_search(settings: Settings, space: SearchSpace, *, resume: Path | None) -> int:
    """Search, or go on with a run, until what was asked for is trained; return the exit code.

    Raises: SparxError for anything the user can mend; its `exit_code` says what kind.
    """
    if resume and nothing_left(resume, settings):
        return 0
    with prepared(settings, space, resume) as search, explained(search.path):
        proposals = _take_up(search)
        above = [*data_lines(search.data), *search.dashboard_lines]
        view = make_view(search.settings, search.path, above)
        try:
            run, state = _train(search, proposals, view)
        finally:
            view.close()
        return _close(search, run, state, view)


def _take_up(search: Search) -> Proposals:
    """Bring a study that a kill may have left in any state to where trials can go on."""
    s, name = search.settings, run_store.study_name(search.path)
    study = run_store.open_study(
        name=name,
        storage=search.storage,
        objectives=s.objectives,
        sampler=make_sampler(s.sampler, search.space, seed=s.seed, trials=s.trials),
        create=not run_store.has_study(name, search.storage),
    )
    proposals = Proposals(
        study,
        search.space,
        limits=s.constraints,
        fidelity_of=search.fidelity_of,
        open_guests=lambda: run_store.open_guests(name, search.storage, s.objectives),
    )
    guests = proposals.open_guests()
    again = _tell_ended(search, guests, of_guests=True) if guests is not None else ()
    proposals.restore((*again, *_tell_ended(search, study)))
    proposals.enqueue_baselines()
    return proposals


def _tell_ended(search: Search, study: optuna.Study, *, of_guests: bool = False) -> tuple[int, ...]:
    """Tell a study of trials that ended before a kill; return those that have to run again."""
    left = run_store.unfinished(study, search.path / run_store.CURVES, of_guests=of_guests)
    for end in left.ended:
        number = run_store.turned(end.number) if of_guests else end.number
        run_store.complete(study, number, end, search.settings.objectives)
    return left.again


def _train(search: Search, proposals: Proposals, view: View) -> tuple[Run, str]:
    """Train what is missing, score the front, write everything; return the run and its state."""
    name = f"sparx-{uuid.uuid4().hex[:8]}"
    mailbox: Any = ray.remote(Mailbox).options(name=name, num_cpus=0).remote()
    folder = Folder(search, proposals, view, lambda number: ray.get(mailbox.take.remote(number)))
    ledger = Ledger(search, proposals, folder)
    try:
        run_trials(StudySearcher(Conductor(search, proposals, ledger), mailbox=name))
    except BaseException as error:
        ended = isinstance(error, (*TROUBLE, KeyboardInterrupt))
        with suppress(*TROUBLE):
            folder.write(ledger, "interrupted" if ended else "failed")
        raise
    finally:
        # On other machines of a cluster these empty files stay until their folder is emptied.
        shutil.rmtree(Path(tempfile.gettempdir()) / f"{worker.ROOM}{name}", ignore_errors=True)
    if search.stop.asked:
        state = "interrupted"
    else:
        state = "exhausted" if proposals.exhausted else "finished"
        _score_front(search, view)
    return folder.write(ledger, state), state


def _score_front(search: Search, view: View) -> None:
    """Score the front and the published design on the test split, which nothing touched before."""
    waiting, run = [], run_store.load_run(search.path)
    published = published_trial(run)
    others = [published] if published and published not in run.front else []
    for trial in (*run.front, *others):
        weights = run_store.read_weights(search.path, trial.architecture.id)
        if trial.test_top1 is None and weights:
            job = job_of(search, Proposal(trial.number, trial.architecture, trial.baseline))
            # An older trial was trained once.
            job["fidelity"]["seeds"] = len(weights)
            waiting.append((job, weights))
    if waiting:
        beside = " and published SparX" if others else ""
        members = len(waiting) - len(others)
        view.message(f"Scoring {members} front members{beside} on the test split …")
    for number, (correct, images) in _scores(search, waiting):
        curves = search.path / run_store.CURVES
        run_store.log_test(curves, number, correct=correct, images=images)


def _scores(search: Search, waiting: Sequence[tuple[Job, list[bytes]]]) -> Iterator[Scored]:
    """Yield the test scores of trials: made here, or where the data are if Ray was joined.

    Here torch is loaded already, which takes a new worker longer than to score a few networks.
    """
    if not search.settings.address:
        yield from ((job["number"], worker.score_on_test(job, w)) for job, w in waiting)
        return
    task = ray.remote(worker.score_elsewhere).options(**search.slots.resources())
    begun = [(job["number"], task.remote(job, weights)) for job, weights in waiting]
    yield from ((number, ray.get(reference)) for number, reference in begun)


def _close(search: Search, run: Run, state: str, view: View) -> int:
    """Print how it ended and return the exit code.

    Raises: FailureLimitError if the search gave up.
    """
    path, stop = search.path, search.stop
    for line in summary_lines(run, path):
        view.message(line)
    if left := len(run_store.waiting(path)):
        view.message(
            f"Handed in and not trained yet: {left}; --resume {quoted(path)} trains what waits."
        )
    if stop.reason == "failures":
        raise FailureLimitError(
            "more trials failed than --max-failures allows",
            hint=f"the reasons are in {path / 'search.log'}; --resume {quoted(path)} goes on",
        )
    if state == "exhausted":
        view.message("Every architecture of the space within the limits has been trained.")
    return stop.exit_code
