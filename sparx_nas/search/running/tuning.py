"""Ray Tune around a searcher."""

import json
from pathlib import Path
from typing import Any

from ray import tune

from sparx_nas.search.asked.places import Slots
from sparx_nas.search.running.searcher import StudySearcher
from sparx_nas.search.running.worker import SparxTrial
from sparx_nas.trial.values import name_of


def run_trials(searcher: StudySearcher, places: Slots, folder: Path) -> None:
    """Let Ray Tune run trials until the searcher has no more, or is told to stop.

    Ray's bookkeeping goes to `folder`; a resumed search gets a new experiment there.
    """
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
