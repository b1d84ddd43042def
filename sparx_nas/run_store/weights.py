"""`weights/`: one safetensors file for each training of an architecture that is worth keeping."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sparx_nas.ground.record import write_bytes
from sparx_nas.trial.pareto import published_trial
from sparx_nas.trial.values import Run

KeepWeights = Literal["all", "front", "none"]
WEIGHTS = "weights"


def weights_path(path: Path, architecture_id: str, training: int = 0) -> Path:
    """Return where the weights of a training of an architecture stand in a run."""
    mark = f".{training}" if training else ""
    return path / WEIGHTS / f"{architecture_id}{mark}.safetensors"


def write_weights(path: Path, architecture_id: str, states: Sequence[bytes]) -> None:
    """Keep the weights of every training of an architecture."""
    for training, state in enumerate(states):
        write_bytes(weights_path(path, architecture_id, training), state)


def read_weights(path: Path, architecture_id: str) -> list[bytes]:
    """Return the weights of every training of an architecture that are there, in order."""
    states: list[bytes] = []
    while (file := weights_path(path, architecture_id, len(states))).is_file():
        states.append(file.read_bytes())
    return states


def prune_weights(path: Path, run: Run, keep: KeepWeights) -> None:
    """Delete the weights of ended trials that are not to be kept.

    Those of running trials stay, for their place on the front is not known yet; with the front
    those of the published design do, for what is found is compared with it.
    """
    if keep == "all":
        return
    kept = {t.architecture.id for t in run.trials if t.state in ("running", "interrupted")}
    if keep == "front":
        published = published_trial(run)
        members = run.front if published is None else (*run.front, published)
        kept |= {trial.architecture.id for trial in members}
    known = {trial.architecture.id for trial in run.trials}
    for file in (path / WEIGHTS).glob("*.safetensors"):
        owner = file.name.split(".")[0]
        if owner in known - kept:
            file.unlink(missing_ok=True)
