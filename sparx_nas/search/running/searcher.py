"""The bridge between Ray Tune and the conductor of a search.

Optuna's own bridge tells stopped trials as complete; this one leaves that to `Conductor`.
"""

import json
import weakref
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from sparx_nas.command.stopping import Stop
from sparx_nas.search.asked.prepared import Search, data_request
from sparx_nas.search.booking.ledger import label
from sparx_nas.search.proposing.proposals import Proposal
from sparx_nas.search.running.conductor import Conductor
from sparx_nas.search.running.worker import Job, SparxTrial, title
from sparx_nas.trial.values import Epoch, name_of


class StudySearcher(Searcher):  # type: ignore[misc]
    """Hands candidates to Ray Tune, and its results to the conductor.

    Ray's copy of it, pickled for Ray's own resume, is empty: a run is resumed from its study.
    """

    def __init__(self, conductor: Conductor, *, mailbox: str) -> None:
        super().__init__()
        self.conductor, self.mailbox = conductor, mailbox

    def suggest(self, trial_id: str) -> Any:
        """Return the configuration of the next trial, None to wait, or that the search is over."""
        proposal = self.conductor.next(trial_id)
        if proposal is None:
            return Searcher.FINISHED if self.conductor.idle else None
        job, places = job_of(self.conductor.search, proposal), self.conductor.search.slots
        here = {"job": json.dumps(job), "mailbox": self.mailbox}
        return here | {"cpus": places.threads, "gpus": places.gpus}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Note an epoch."""
        if result.get("epoch"):
            self.conductor.epoch(trial_id, _epoch_of(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Note how a trial ended."""
        if error:
            self.conductor.fail(trial_id, "the worker process died; search.log says more")
        elif result and result.get("refused"):
            self.conductor.refuse(trial_id, result["refused"])
        elif result and result.get("error"):
            self.conductor.fail(trial_id, result["error"], result.get("traceback", ""))
        elif result and result.get("device"):
            # Ray passes the last result on only here.
            self.conductor.complete(trial_id, _epoch_of(result), result)
        else:
            self.conductor.interrupt(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Take nothing back: the study is the state."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Keep nothing: the study is the state."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let Ray pickle a searcher without its study."""
        return Searcher, ()


def _epoch_of(result: dict[str, Any]) -> Epoch:
    """Read the epoch that a worker reported."""
    return Epoch.from_dict(json.loads(result["epoch"]))


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

    Raises: what the conductor kept from Ray.
    """
    conductor = searcher.conductor
    folder = conductor.search.path / "ray"
    folder.mkdir(parents=True, exist_ok=True)
    session = f"session-{1 + sum(1 for _ in folder.iterdir())}"
    tuner = tune.Tuner(
        SparxTrial,
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
            stop=_StopAll(conductor.stop),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[_Titling()],
        ),
    )
    tuner.fit()
    if conductor.error:
        raise conductor.error


def _trial_name(trial: Any) -> str:
    """Name a trial of Ray's as the run names it."""
    job = trial.config.get("job")
    return (
        name_of(json.loads(job)["number"]).replace(" ", "-") if job else f"trial-{trial.trial_id}"
    )


class _Titling(tune.Callback):  # type: ignore[misc]
    """Has the tasks of a trial, each an epoch, bear trial and wiring in Ray's dashboard.

    A worker trains one trial after another, so its own name could not.
    """

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Name what Tune will ask of the worker that has taken the trial up."""
        job, worker = json.loads(trial.config["job"]), trial.temporary_state.ray_actor
        if hasattr(worker, "_method_shells"):
            worker.train = _Titled(worker, title(job["number"], job["label"]))


class _Titled:
    """The method `train` of a worker, its tasks named; other versions of Ray keep their own."""

    def __init__(self, worker: Any, name: str) -> None:
        # Ray ends a worker when nobody holds it any more, and it holds this.
        self.worker, self.name = weakref.ref(worker), name

    def remote(self, *args: Any, **options: Any) -> Any:
        """Have the worker train an epoch."""
        worker: Any = self.worker()
        method = worker._method_shells["train"].bind(worker)
        return method.options(name=self.name).remote(*args, **options)


class _StopAll(tune.Stopper):  # type: ignore[misc]
    """Ends all trials once the search is asked to stop; Ray pickles it without that."""

    def __init__(self, stop: Stop | None = None) -> None:
        self.stop = stop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Leave single trials alone: they end themselves."""
        return False

    def stop_all(self) -> bool:
        """Tell whether to end everything now."""
        return self.stop is not None and self.stop.asked

    def __reduce__(self) -> tuple[Any, ...]:
        """Let Ray pickle a stopper without its search."""
        return _StopAll, ()
