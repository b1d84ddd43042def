"""`weights/`: one safetensors file for each trained architecture that is worth keeping."""

from pathlib import Path
from typing import Literal

from sparx_nas.trial.values import Run

KeepWeights = Literal["all", "front", "none"]
WEIGHTS = "weights"


def weights_path(path: Path, architecture_id: str) -> Path:
    """Return where the weights of an architecture stand in a run."""
    return path / WEIGHTS / f"{architecture_id}.safetensors"


def prune_weights(path: Path, run: Run, keep: KeepWeights) -> None:
    """Delete the weights of ended trials that are not to be kept.

    Those of running trials stay, for their place on the front is not known yet.
    """
    if keep == "all":
        return
    kept = {t.architecture.id for t in run.trials if t.state in ("running", "interrupted")}
    if keep == "front":
        kept |= {trial.architecture.id for trial in run.front}
    for architecture_id in {trial.architecture.id for trial in run.trials} - kept:
        weights_path(path, architecture_id).unlink(missing_ok=True)
