"""Run a search from its settings to its report."""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import ray

from sparx_nas import run_store
from sparx_nas.ground.errors import FailureLimitError, RunError
from sparx_nas.search.asked.settings import Settings
from sparx_nas.search.booking.ledger import Ledger
from sparx_nas.search.booking.metrics import Metrics
from sparx_nas.search.proposing.proposals import Proposal, Proposals
from sparx_nas.search.proposing.sampler import make_sampler
from sparx_nas.search.running import worker
from sparx_nas.search.running.mailbox import Mailbox
from sparx_nas.search.running.preparing import LOG, Search, prepared
from sparx_nas.search.running.searcher import StudySearcher
from sparx_nas.search.running.tuning import run_trials
from sparx_nas.search.telling.live import make_view
from sparx_nas.search.telling.progress import View
from sparx_nas.search.telling.summary import summary_lines
from sparx_nas.space import SearchSpace
from sparx_nas.trial.values import Run


def run_search(settings: Settings, space: SearchSpace, *, resume: Path | None) -> int:
    """Search, or go on with a run, until what was asked for is trained; return the exit code.

    Raises: SparxError for anything the user can mend; its `exit_code` says what kind.
    """
    if resume and _nothing_left(resume, settings):
        return 0
    with (
        prepared(settings, space, resume) as search,
        _logging_to(search.path / "search.log"),
    ):
        begun = "resumed" if resume else "begun"
        LOG.info("search %s on %s: %s", begun, search.device, search.slots)
        LOG.info("trials run on %s", search.kernels)
        study = _study(search)
        view = make_view(search.settings, search.path, search.dashboard)
        try:
            run, state = _search(search, study, view)
        finally:
            view.close()
        return _close(run, state, search, view)


def _nothing_left(path: Path, settings: Settings) -> bool:
    """Tell whether a run has all that is asked for, and say so; a running one is refused.

    Raises: RunError if another process drives the run, or it cannot be read.
    """
    if run_store.is_alive(path):
        raise RunError(f"{path} is being run by another process", hint="wait for it, or stop it")
    storage = settings.storage or run_store.default_storage(path)
    if not run_store.has_study(run_store.study_name(path), storage):
        return False
    run = run_store.load_run(path)
    own = [t for t in run.trials if t.state == "complete" and not t.baseline and not t.guest]
    if run.status.get("state") != "finished" or len(own) < settings.trials:
        return False
    if run_store.waiting(path):
        return False
    view = make_view(replace(settings, format="plain"), path, ())
    nothing = "Nothing is left to train; --trials N asks more."
    for line in (*summary_lines(run, path), "", nothing):
        view.message(line)
    view.close()
    return True


def _search(search: Search, study: optuna.Study, view: View) -> tuple[Run, str]:
    """Train what is missing, score the front, write everything; return the run and its state."""
    s, stop, name = search.settings, search.stop, f"sparx-{uuid.uuid4().hex[:8]}"
    mailbox: Any = ray.remote(Mailbox).options(name=name, num_cpus=0).remote()
    proposals = Proposals(
        study,
        search.space,
        limits=s.constraints,
        fidelity=search.fidelity,
        open_guests=partial(_open_guests, search),
    )
    ledger = Ledger(
        path=search.path,
        study=study,
        settings=s,
        view=view,
        metrics=Metrics(s.name),
        concurrency=search.slots.concurrency,
        baselines=tuple(search.space.baselines),
        target_cost=search.target_cost,
        proxy_cost=search.proxy_cost,
        take_weights=lambda number: ray.get(mailbox.take.remote(number)),
        guests=lambda: proposals.guests,
    )
    _take_up(search, study, proposals)
    ledger.reload()
    deadline = time.monotonic() + s.time_budget_s if s.time_budget_s else float("inf")
    searcher = StudySearcher(
        proposals, ledger, make_job=search.job, mailbox=name, deadline=deadline, stop=stop
    )
    try:
        run_trials(searcher, search.slots, search.path / "ray")
        if searcher.error:
            raise searcher.error
    except BaseException:
        ledger.write("failed")
        raise
    state = "interrupted" if stop.asked else "exhausted" if proposals.exhausted else "finished"
    if not stop.asked:
        _score_front(search, ledger)
    return ledger.write(state), state


def _take_up(search: Search, study: optuna.Study, proposals: Proposals) -> None:
    """Bring a study that a kill may have left in any state to where trials can go on."""
    curves, objectives = search.path / run_store.CURVES, search.settings.objectives
    left = run_store.unfinished(study, curves)
    for end in left.ended:
        run_store.complete(study, end.number, end, objectives)
    again = left.again
    guests = _open_guests(search)
    if guests is not None:
        their = run_store.unfinished(guests, curves, of_guests=True)
        for end in their.ended:
            run_store.complete(guests, run_store.turned(end.number), end, objectives)
        again = (*their.again, *again)
    proposals.restore(again)
    proposals.enqueue_baselines()


def _open_guests(search: Search) -> optuna.Study | None:
    """Open the study of the run's guests; None while it has none."""
    storage = search.settings.storage or run_store.default_storage(search.path)
    name = run_store.study_name(search.path)
    return run_store.open_guests(name, storage, search.settings.objectives)


def _score_front(search: Search, ledger: Ledger) -> None:
    """Score every front member on the test split, which nothing has touched before."""
    run = run_store.load_run(search.path)
    waiting = {}
    for trial in run.front:
        weights = run_store.weights_path(search.path, trial.architecture.id)
        if trial.test_top1 is None and weights.is_file():
            job = search.job(Proposal(trial.number, trial.architecture, trial.baseline))
            task = worker.score_on_test.options(**search.slots.resources())
            waiting[trial.number] = task.remote(job, weights.read_bytes())
    if waiting:
        ledger.view.message(f"Scoring {len(waiting)} front members on the test split …")
    for number, reference in waiting.items():
        correct, images = ray.get(reference)
        curves = search.path / run_store.CURVES
        run_store.log_test(curves, number, correct=correct, images=images)


def _close(run: Run, state: str, search: Search, view: View) -> int:
    """Print how it ended and return the exit code.

    Raises: FailureLimitError if the search gave up.
    """
    path, stop = search.path, search.stop
    for line in summary_lines(run, path):
        view.message(line)
    if left := len(run_store.waiting(path)):
        view.message(f"Handed in and not trained yet: {left}; --resume {path} trains what waits.")
    if stop.reason == "failures":
        raise FailureLimitError(
            "more trials failed than --max-failures allows",
            hint=f"the reasons are in {path / 'search.log'}; --resume {path} goes on",
        )
    if state == "exhausted":
        view.message("Every architecture of the space within the limits has been trained.")
    return stop.exit_code


def _study(search: Search) -> optuna.Study:
    """Create or load the study of a run; a kill may have come before there was one."""
    s = search.settings
    storage = s.storage or run_store.default_storage(search.path)
    name = run_store.study_name(search.path)
    return run_store.open_study(
        name=name,
        storage=storage,
        objectives=s.objectives,
        sampler=make_sampler(s.sampler, search.space, seed=s.seed, trials=s.trials),
        create=not run_store.has_study(name, storage),
    )


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write the log of the search, and what Ray Tune complains of, to a file in the block."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logs = (LOG, logging.getLogger("ray.tune"))
    for log in logs:
        log.addHandler(handler)
        log.propagate = False
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        for log in logs:
            log.removeHandler(handler)
        handler.close()
