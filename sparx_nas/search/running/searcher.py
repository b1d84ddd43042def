"""The bridge between Ray Tune and the study, with the fidelity rules kept.

Optuna's own bridge tells stopped trials as complete; here only a trial that reached its last epoch
is told its values, and every value comes from the one fidelity of the run.
"""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from sparx_nas.search.asked.prepared import Search, data_request
from sparx_nas.search.booking.ledger import Ledger, label
from sparx_nas.search.proposing.proposals import Proposal, Proposals
from sparx_nas.search.running.worker import Job, SparxTrial
from sparx_nas.trial.values import name_of


class StudySearcher(Searcher):  # type: ignore[misc]
    """Hands candidates to Ray Tune while any are wanted, and results to the ledger.

    Ray's copy of it, pickled for Ray's own resume, is empty: a run is resumed from its study.
    """

    def __init__(
        self,
        search: Search,
        proposals: Proposals,
        ledger: Ledger,
        *,
        mailbox: str,
    ) -> None:
        super().__init__()
        self.search, self.proposals, self.ledger = search, proposals, ledger
        self.mailbox, self.stop = mailbox, search.stop
        self.deadline = time.monotonic() + (search.settings.time_budget_s or math.inf)
        self.numbers: dict[str, int] = {}
        self.error: Exception | None = None

    def suggest(self, trial_id: str) -> Any:
        """Return the configuration of the next trial, None to wait, or that the search is over."""
        if len(self.numbers) >= self.search.slots.concurrency:
            return None
        proposal = self._next()
        if proposal is None:
            return None if self.numbers else Searcher.FINISHED
        self.numbers[trial_id] = proposal.number
        job = json.dumps(job_of(self.search, proposal))
        return {"job": job, "mailbox": self.mailbox}

    def _next(self) -> Proposal | None:
        """Return the next candidate if one is wanted, in time, and there."""
        late = time.monotonic() > self.deadline
        with self._caught():
            if late or self.stop.asked:
                return None
            wanted = self.ledger.wants_more()
            if wanted or self.proposals.waiting():
                proposal = self.proposals.next(sampled=wanted)
                if proposal is not None:
                    self.ledger.start(proposal)
                return proposal
        return None

    @contextmanager
    def _caught(self) -> Iterator[None]:
        """Keep an error for the driver and stop: Ray would take it for a failure of the trial."""
        try:
            yield
        except Exception as error:
            self.error = self.error or error
            self.stop.ask("error")

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Note an epoch."""
        if trial_id in self.numbers and result.get("epoch"):
            with self._caught():
                self.ledger.epoch(self.numbers[trial_id], json.loads(result["epoch"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Book a trial that ended; one stopped in the middle runs again on resume."""
        number = self.numbers.pop(trial_id, None)
        if number is None:
            return
        with self._caught():
            self._book(number, result, error)

    def _book(self, number: int, result: dict[str, Any] | None, error: bool) -> None:
        """Hand a trial that ended to the ledger."""
        if error:
            self.ledger.fail(number, "the worker process died; search.log says more", "")
        elif result and result.get("error"):
            self.ledger.fail(number, result["error"], result.get("traceback", ""))
        elif result and result.get("device"):
            # Ray passes the last result on only here.
            epoch = json.loads(result["epoch"])
            self.ledger.epoch(number, epoch)
            self.ledger.complete(number, result | {"epoch": epoch})
        else:
            self.ledger.interrupted(number)
        if self.ledger.too_many_failures():
            self.stop.ask("failures")

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Take nothing back: the study is the state."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Keep nothing: the study is the state."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let Ray pickle a searcher without its study."""
        return Searcher, ()


def job_of(search: Search, proposal: Proposal) -> Job:
    """Return a proposal as the JSON values a worker trains."""
    s = search.settings
    return {
        "number": proposal.number,
        "label": label(proposal),
        "architecture": proposal.architecture.to_dict(),
        "fidelity": search.fidelity_of(proposal.baseline).to_dict(),
        "recipe": {"lr": s.lr, "drop_path": s.drop_path},
        "data": data_request(s),
        "device": search.slots.device,
        "threads": search.slots.threads,
        "target": dict(search.space.target),
        "wants_latency": any(o.name == "latency_ms" for o in s.objectives),
    }


def run_trials(searcher: StudySearcher) -> None:
    """Let Ray Tune run trials until the searcher has no more, or is told to stop.

    Ray's bookkeeping goes to `ray/` of the run; a resumed search gets a new experiment there.

    Raises: what the searcher kept from Ray.
    """
    folder, places = searcher.search.path / "ray", searcher.search.slots
    folder.mkdir(parents=True, exist_ok=True)
    session = f"session-{1 + sum(1 for _ in folder.iterdir())}"
    tuner = tune.Tuner(
        tune.with_resources(SparxTrial, {"cpu": places.threads, "gpu": places.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=session,
            storage_path=str(folder.resolve()),
            stop=_StopAll(searcher),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    if searcher.error:
        raise searcher.error


def _trial_name(trial: Any) -> str:
    """Name a trial of Ray's as the run names it."""
    job = trial.config.get("job")
    return (
        name_of(json.loads(job)["number"]).replace(" ", "-") if job else f"trial-{trial.trial_id}"
    )


class _StopAll(tune.Stopper):  # type: ignore[misc]
    """Ends all trials once the search is asked to stop; Ray pickles it without its searcher."""

    def __init__(self, searcher: StudySearcher | None = None) -> None:
        self.searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Leave single trials alone: they end themselves."""
        return False

    def stop_all(self) -> bool:
        """Tell whether to end everything now."""
        return self.searcher is not None and self.searcher.stop.asked

    def __reduce__(self) -> tuple[Any, ...]:
        """Let Ray pickle a stopper without the study."""
        return _StopAll, ()
