"""`checkpoint/last.safetensors`: all that a training needs to go on, bit by bit; no pickle.

Tensors are weights, their average and the optimizer's moments, by parameter name; numbers travel
as JSON in the file's header, so that one file, replaced in one step, is never half of two.
`last.json` is a copy of the numbers for people. Generators have no state worth keeping: whatever
is drawn comes from seeds that epoch and step decide.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sparx_nas.ground.errors import RunError
from sparx_nas.ground.record import write_bytes, write_json
from sparx_nas.train.trainer import Progress, Trainer

FOLDER, TENSORS, NUMBERS = "checkpoint", "last.safetensors", "last.json"
HEADER = "training"


def save_checkpoint(folder: Path, trainer: Trainer) -> None:
    """Write where a training stands; called by the first process alone, its loss being the sum."""
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for kind, model in trainer.models.items():
        tensors |= {f"{kind}/{name}": t for name, t in model.state_dict().items()}
    for parameter, moments in trainer.optimizer.state.items():
        name = names[id(parameter)]
        for key, value in moments.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{key}/{name}"] = value
            else:
                numbers.setdefault(name, {})[key] = value
    at = trainer.progress
    state = {
        "epochs_done": at.epoch,
        "steps_done_of_next": at.step,
        "loss_sum": at.loss,
        "images": at.images,
        "optimizer": numbers,
        "scaler": trainer.scaler.state_dict(),
    }
    # Shared storage (tied weights, views) is refused by safetensors, so each is its own copy.
    whole = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    place = folder / FOLDER
    write_bytes(place / TENSORS, bytes(save(whole, metadata={HEADER: json.dumps(state)})))
    write_json(place / NUMBERS, state)


def load_checkpoint(folder: Path, trainer: Trainer) -> bool:
    """Bring a trainer to where its folder's checkpoint stands; False if there is none yet.

    Raises: RunError naming the file if it is damaged or of another network.
    """
    path = folder / FOLDER / TENSORS
    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()[HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for kind, model in trainer.models.items():
            model.load_state_dict(_below(f"{kind}/", tensors), strict=True)
        _load_optimizer(trainer, tensors, state["optimizer"])
        if state["scaler"]:
            trainer.scaler.load_state_dict(state["scaler"])
    except (SafetensorError, RuntimeError, OSError, ValueError, KeyError, TypeError) as cause:
        reason = str(cause).splitlines()[0]
        raise RunError(
            f"{path} does not fit this training: {reason}",
            hint="delete the folder checkpoint/ to begin anew",
        ) from cause
    trainer.progress = Progress(
        epoch=state["epochs_done"],
        step=state["steps_done_of_next"],
        loss=state["loss_sum"] if trainer.world.first else 0.0,
        images=state["images"],
    )
    return True


def _load_optimizer(
    trainer: Trainer, tensors: dict[str, Tensor], numbers: dict[str, dict[str, Any]]
) -> None:
    """Give every parameter its moments; torch's own loading puts them where they belong."""
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    ordered = [names[id(p)] for g in trainer.optimizer.param_groups for p in g["params"]]
    kinds = {key.partition("/")[0] for key in tensors if key.startswith("optimizer.")}
    state: dict[int, dict[str, Any]] = {}
    for place, name in enumerate(ordered):
        moments = {
            kind.removeprefix("optimizer."): tensors[f"{kind}/{name}"]
            for kind in sorted(kinds)
            if f"{kind}/{name}" in tensors
        }
        moments |= numbers.get(name, {})
        if moments:
            state[place] = moments
    groups = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin so, by the rest of their names."""
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
