"""Run a search from its settings to its report."""

import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import ray

from sparx_nas import run_store
from sparx_nas.architecture import Architecture
from sparx_nas.command.stopping import Stop, listening
from sparx_nas.cost import estimate
from sparx_nas.data import find_data
from sparx_nas.ground.errors import FailureLimitError
from sparx_nas.search.asked.places import Cluster, Slots, slots
from sparx_nas.search.asked.settings import Settings, to_config
from sparx_nas.search.booking.ledger import Ledger, label
from sparx_nas.search.booking.metrics import Metrics
from sparx_nas.search.proposing.proposals import Proposal, Proposals
from sparx_nas.search.proposing.sampler import make_sampler
from sparx_nas.search.running import worker
from sparx_nas.search.running.cluster import cluster, dashboard_lines
from sparx_nas.search.running.mailbox import Mailbox
from sparx_nas.search.running.preparing import (
    check_new,
    data_request,
    fidelity_of,
    look_at_data,
    nothing_left,
    same_data,
)
from sparx_nas.search.running.searcher import StudySearcher
from sparx_nas.search.running.tuning import run_trials
from sparx_nas.search.telling.live import make_view, summary_lines
from sparx_nas.search.telling.progress import View
from sparx_nas.space import SearchSpace
from sparx_nas.trial.values import Fidelity, Run

LOG = logging.getLogger("sparx_nas")


@dataclass(frozen=True)
class Search:
    """What every part of a running search needs."""

    settings: Settings
    space: SearchSpace
    path: Path
    slots: Slots
    data: Mapping[str, Any]
    fidelity: Fidelity

    def job(self, proposal: Proposal) -> worker.Job:
        """Return a proposal as the JSON values a worker trains."""
        s = self.settings
        return {
            "number": proposal.number,
            "label": label(proposal),
            "architecture": proposal.architecture.to_dict(),
            "fidelity": self.fidelity.to_dict(),
            "recipe": {"lr": s.lr, "drop_path": s.drop_path},
            "data": data_request(s),
            "device": self.slots.device,
            "threads": self.slots.threads,
            "target": dict(self.space.target),
            "wants_latency": any(o.name == "latency_ms" for o in s.objectives),
        }

    def proxy_cost(self, architecture: Architecture) -> dict[str, Any]:
        """Count a candidate as it is trained."""
        f = self.fidelity
        cost = estimate(
            architecture,
            f.image_size,
            self.data["in_chans"],
            self.data["num_classes"],
            f.width,
            f.stem_stride,
        )
        return cost.to_dict()


def run_search(settings: Settings, space: SearchSpace, *, resume: Path | None) -> int:
    """Search, or go on with a run, until what was asked for is trained; return the exit code.

    Raises: SparxError for anything the user can mend; its `exit_code` says what kind.
    """
    path = resume or Path(settings.output) / settings.name
    if resume is None:
        check_new(path)
    else:
        settings = replace(settings, output=str(path.parent))
        if nothing_left(path, settings):
            return 0
    if not settings.address:
        folder = Path(settings.data_dir) if settings.data_dir else None
        found = find_data(settings.data, folder).data_dir
        settings = replace(settings, data_dir=str(found) if found else None)
    # Ray has handlers of signals of its own; ours come after.
    with (
        cluster(address=settings.address, dashboard=settings.dashboard) as ray_cluster,
        listening() as stop,
    ):
        return _run(settings, space, path, resume is not None, ray_cluster, stop)


def _run(
    settings: Settings,
    space: SearchSpace,
    path: Path,
    resumed: bool,
    ray_cluster: Cluster,
    stop: Stop,
) -> int:
    """Search on a cluster that is up."""
    places = slots(settings, ray_cluster)
    seen = look_at_data(settings, places)
    search = Search(
        settings, space, path, places, seen["data"], fidelity_of(settings, seen["data"])
    )
    config = to_config(settings, space)
    if resumed:
        same_data(path, seen["data"])
        run_store.write_config(path, config)
    else:
        env = run_store.environment(seen["data"], seen["device"])
        run_store.create_folder(path, config=config, space_text=space.source_text, env=env)
    run_store.write_status(path, state="running", asked=settings.trials)
    with _logging_to(path / "search.log"):
        LOG.info("search %s on %s: %s", "resumed" if resumed else "begun", seen["device"], places)
        LOG.info("trials run on %s", seen["kernels"])
        study = _study(search)
        view = make_view(
            settings.format,
            settings=settings,
            path=path,
            dashboard_lines=dashboard_lines(ray_cluster),
        )
        try:
            run, state = _search(search, study, view, stop)
        finally:
            view.close()
    return _close(run, state, path, view, stop)


def _search(search: Search, study: optuna.Study, view: View, stop: Stop) -> tuple[Run, str]:
    """Train what is missing, score the front, write everything; return the run and its state."""
    s, name = search.settings, f"sparx-{uuid.uuid4().hex[:8]}"
    mailbox: Any = ray.remote(Mailbox).options(name=name, num_cpus=0).remote()
    proposals = _proposals(search, study)
    ledger = Ledger(
        path=search.path,
        study=study,
        settings=s,
        view=view,
        metrics=Metrics(s.name),
        concurrency=search.slots.concurrency,
        baselines=tuple(search.space.baselines),
        target_cost=lambda architecture: search.space.cost(architecture).to_dict(),
        proxy_cost=search.proxy_cost,
        take_weights=lambda number: ray.get(mailbox.take.remote(number)),
        guests=lambda: proposals.guests,
    )
    _take_up(search, study, proposals)
    ledger.reload()
    deadline = time.monotonic() + s.time_budget_s if s.time_budget_s else float("inf")
    searcher = StudySearcher(
        proposals,
        ledger,
        make_job=search.job,
        mailbox=name,
        deadline=deadline,
        stop=stop,
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


def _proposals(search: Search, study: optuna.Study) -> Proposals:
    """Return what decides which candidate is next."""
    return Proposals(
        study,
        search.space,
        limits=search.settings.constraints,
        fidelity=search.fidelity,
        open_guests=partial(_open_guests, search),
    )


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


def _close(run: Run, state: str, path: Path, view: View, stop: Stop) -> int:
    """Print how it ended and return the exit code.

    Raises: FailureLimitError if the search gave up.
    """
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
