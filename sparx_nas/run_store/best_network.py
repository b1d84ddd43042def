"""The chosen design of a run as a `Network`: how it was built, fed, trained and scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparx_nas.architecture.network import Network, Preprocessing
from sparx_nas.ground.errors import RunError
from sparx_nas.ground.quantities import wilson
from sparx_nas.run_store.folder import ENV
from sparx_nas.trial.values import Fidelity, Run, TrialRecord

DATA_FACTS = ("classes", "in_chans", "mean", "std")
"""What env.json has to know of the data so that images can be fed to a network."""


def best_network(run: Run, trial: TrialRecord) -> Network:
    """Return a complete trial's network, with its facts.

    In a search every image is the largest central square of its picture, scaled to the fidelity's
    size; evaluation does the same, whatever the size of the picture.

    Raises: RunError naming what env.json does not say of the data.
    """
    fidelity, data = trial.fidelity, run.env.get("data", {})
    assert fidelity is not None, "a complete trial has a fidelity"
    missing = [name for name in DATA_FACTS if name not in data]
    if missing:
        said = " and ".join(f"no {name!r}" for name in missing)
        raise RunError(f"{Path(run.path) / ENV}: data has {said}")
    side = fidelity.image_size
    return Network(
        architecture=trial.architecture,
        num_classes=len(data["classes"]),
        in_chans=data["in_chans"],
        width=fidelity.width,
        stem_stride=fidelity.stem_stride,
        classes=tuple(data["classes"]),
        preprocessing=Preprocessing(image_size=(side, side), mean=data["mean"], std=data["std"]),
        facts=_facts(run, trial, fidelity),
    )


def _facts(run: Run, trial: TrialRecord, fidelity: Fidelity) -> dict[str, Any]:
    """Return where the weights come from, as JSON values; keys are those of a full training.

    The weights are those of the trial's first training, and so are the accuracies.
    """
    splits = dict(run.env.get("data", {}).get("splits", {}))
    scores = {
        "val_augmented" if fidelity.val_copies else "val": (trial.top1s, splits.get("val")),
        "test": (trial.test_top1s, splits.get("test")),
    }
    accuracy = {split: _accuracy(top1s, images) for split, (top1s, images) in scores.items()}
    return {
        "made_by": "search",
        "run": run.name,
        "space": run.space,
        "trial": trial.number,
        "baseline": trial.baseline,
        "target": dict(run.target),
        "data": {"name": fidelity.data, "data_id": fidelity.data_id, "splits": splits},
        "accuracy": {split: said for split, said in accuracy.items() if said is not None},
        "training": {
            "epochs": fidelity.epochs,
            "epochs_done": len(trial.epochs),
            "finished": True,
            "weights": "plain",
            "image_size": fidelity.image_size,
            "batch_size": fidelity.batch_size,
            "images": fidelity.images,
        },
        "seed": fidelity.seed,
        "device": trial.device,
        "versions": dict(run.env.get("versions", {})),
    }


def _accuracy(top1s: Sequence[float], images: int | None) -> dict[str, Any] | None:
    """Return the first accuracy with its 95 % interval; None if none was measured."""
    if not top1s:
        return None
    top1 = top1s[0]
    if not images:
        return {"top1": top1}
    correct = round(top1 * images)
    bounds = list(wilson(correct, images))
    return {"top1": top1, "correct": correct, "images": images, "interval": bounds}
