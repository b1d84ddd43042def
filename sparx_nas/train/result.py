"""The folder of a training: what it leaves after every epoch, for programs and for people.

`metrics.jsonl` gets a line an epoch; a training that goes on writes the epochs after its checkpoint
again, so the last line of an epoch counts. A kill can tear only the last line; it is ignored, and
cut off before the next append.
"""

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter
from torch import nn

from sparx_nas.ground.errors import RunError
from sparx_nas.ground.installed import versions
from sparx_nas.ground.quantities import wilson
from sparx_nas.ground.record import append_line, write_json, write_text
from sparx_nas.ground.scalars import yaml_text
from sparx_nas.models import save_network
from sparx_nas.train.describe import readme
from sparx_nas.train.design import ARCH
from sparx_nas.train.job import ENV, RECIPE, Job, read_env
from sparx_nas.train.processes import World
from sparx_nas.trial.device import device_name
from sparx_nas.trial.score import Score

METRICS, EVENTS, README = "metrics.jsonl", "tensorboard", "README.md"
PACKAGES = ("sparx-nas", "torch", "torchvision", "timm", "numpy", "pillow", "safetensors", "triton")
"""Whose versions can change what comes out."""
TOLD = ("image_size", "batch_size", "optimizer", "lr", "weight_decay", "drop_path", "ema", "amp")
"""Fields of a recipe that stand among the facts of a training; all of it stands beside them."""


def create_folder(job: Job, *, device: str, processes: int) -> None:
    """Write what a training is before it begins: arch.json, recipe.yaml, env.json.

    Raises: RunError if the folder cannot be made.
    """
    try:
        job.path.mkdir(parents=True)
    except OSError as cause:
        hint = "--output names another place"
        raise RunError(f"cannot make {job.path}: {cause.strerror}", hint=hint) from cause
    job.network.architecture.save(job.path / ARCH)
    head = "# Every field, resolved; --recipe takes this file to train alike.\n"
    text = yaml_text(job.recipe.to_dict(), allow_unicode=True)
    write_text(job.path / RECIPE, head + text)
    write_json(job.path / ENV, environment(job, device=device, processes=processes))


def remember_place(job: Job) -> None:
    """Write where the data of a training that goes on are now."""
    env = read_env(job.path)
    if env["asked"] != dict(job.asked):
        write_json(job.path / ENV, env | {"asked": dict(job.asked)})


def environment(job: Job, *, device: str, processes: int) -> dict[str, Any]:
    """Return where, with what and on which data a training runs."""
    source, parts = job.divided.source, job.divided.parts
    home = str(Path.home())
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [word.replace(home, "~") if len(home) > 1 else word for word in sys.argv],
        "asked": dict(job.asked),
        "device": device,
        "processes": processes,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(PACKAGES),
        "data": {
            "name": source.name,
            "source": source.place,
            "rule": job.divided.rule,
            "notes": list(source.notes),
            "data_id": job.divided.data_id,
            "splits": {split: len(part.picks) for split, part in parts.items()},
            "skipped": [[skip.path, skip.reason] for skip in source.skipped[:100]],
        },
    }


def accuracy(score: Score) -> dict[str, Any]:
    """Return a score as JSON values, with the 95 % interval of its share."""
    return {
        "top1": score.top1,
        "correct": score.correct,
        "images": score.images,
        "interval": list(wilson(score.correct, score.images)),
        "loss": score.loss,
    }


def append_metrics(path: Path, row: Mapping[str, Any]) -> None:
    """Add a line to metrics.jsonl; it is on disk when this returns.

    Raises: MachineError if it cannot be written; nothing of it is then in the file.
    """
    file = path / METRICS
    whole = file.read_bytes().rfind(b"\n") + 1 if file.exists() else 0
    line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
    append_line(file, line, whole=whole, durable=True)


def read_metrics(path: Path) -> dict[int, dict[str, Any]]:
    """Return the latest row of every epoch, in their order; none before the first.

    Raises: RunError naming the line that is no row, unless it is a last line cut short.
    """
    file = path / METRICS
    lines = file.read_bytes().split(b"\n") if file.is_file() else [b""]
    rows: dict[int, dict[str, Any]] = {}
    for place, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
            rows[int(row["epoch"])] = row
        except (ValueError, KeyError, TypeError) as cause:
            raise RunError(f"{file}:{place}: not a row; delete the line to go on") from cause
    return dict(sorted(rows.items()))


def facts_of(
    job: Job, world: World, rows: Mapping[int, Mapping[str, Any]], *, test: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what is known of a training's weights, for people: JSON values only.

    A training is finished once all epochs are done and the test split, if there is one, is scored;
    `accuracy` has the scores of the chosen weights by split.
    """
    last, total = rows[max(rows)], job.recipe.total_epochs
    splits = {"val": last["val"][last["weights"]]} | ({"test": test} if test else {})
    env = environment(job, device=device_name(world.device), processes=world.size)
    recipe = job.recipe.to_dict()
    return {
        "made_by": "train",
        "run": job.path.name,
        "accuracy": splits,
        "training": {
            "epochs": total,
            "epochs_done": last["epoch"],
            "finished": last["epoch"] == total and (test is not None or not job.images("test")),
            "weights": last["weights"],
            "weights_chosen_on": "val",
            "seconds": sum(row["seconds"] for row in rows.values()),
            "recipe": job.asked["recipe"],
            **{name: recipe[name] for name in TOLD},
        },
        "recipe": recipe,
        "seed": job.recipe.seed,
        "processes": world.size,
        **{name: env[name] for name in ("data", "asked", "device", "time", "versions")},
    }


def write_result(job: Job, model: nn.Module, facts: Mapping[str, Any]) -> None:
    """Write the chosen weights, what is known of them, and the same in plain words."""
    save_network(job.path, replace(job.network, facts=facts), model)
    write_text(job.path / README, readme(job, facts))


class Curves:
    """The numbers of every epoch as TensorBoard reads them."""

    def __init__(self, path: Path, *, done: int) -> None:
        self.writer = SummaryWriter(str(path / EVENTS), purge_step=done + 1)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add the numbers of an epoch: loss, rate, speed, and each network's scores."""
        epoch = int(row["epoch"])
        for key in ("train_loss", "lr", "images_per_s"):
            self.writer.add_scalar(f"train/{key.removeprefix('train_')}", row[key], epoch)
        for name, score in row["val"].items():
            for key in ("top1", "loss"):
                self.writer.add_scalar(f"val/{key}_{name}", score[key], epoch)
        self.writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()
