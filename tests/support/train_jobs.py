"""Support of the tests of full training: a tiny network, its jobs, and steps taken by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.train.job import Job, prepare
from sparx_nas.train.options import read_options
from sparx_nas.train.pipeline import Reader, Reading
from sparx_nas.train.processes import World
from sparx_nas.train.statistics import retake
from sparx_nas.train.trainer import Trainer
from sparx_nas.train.transforms import training_transform

ONE = World(0, 1, torch.device("cpu"))
QUICK: Mapping[str, Any] = {
    "epochs": 2,
    "warmup_epochs": 1,
    "batch_size": 16,
    "image_size": 8,
    "width": 1,
    "limit": 64,
    "drop_path": 0,
    "statistics_images": 0,
}


def tiny() -> Architecture:
    """Return a network of four stages with two ganglia, 16 k parameters."""
    graph = ConnectivityGraph.from_ganglia(
        [1, 2, 2, 1], {"2.2": ["2.0", "2.1"], "3.2": ["3.0", "3.1"]}
    )
    return Architecture(graph=graph, widths=(8, 8, 16, 16), reductions=(1, 1, 1, 1))


def words(folder: Path, **fields: Any) -> list[str]:
    """Return a command line that trains the tiny network on a few digits, with more fields."""
    arch = folder / "tiny.json"
    if not arch.exists():
        tiny().save(arch)
    given = {"arch": arch, "data": "digits", "device": "cpu", "output": folder} | QUICK | fields
    flags = [(f"--{name.replace('_', '-')}", str(value)) for name, value in given.items()]
    return [word for flag in flags for word in flag]


def job(folder: Path, **fields: Any) -> Job:
    """Prepare such a training."""
    return prepare(read_options(words(folder, **fields), "train"))


@dataclass
class Taken:
    """What some steps came to: the mean losses of epochs, and the tensors by name."""

    losses: list[float]
    state: dict[str, torch.Tensor]


def take(job: Job, world: World = ONE, *, epochs: int = 1) -> Taken:
    """Train a job for some epochs, without a folder, and retake statistics as it says."""
    trainer = Trainer(job.network, job.recipe, world, images=job.images("train"))
    transform = training_transform(job.recipe, job.facts)
    reading = Reading(job.divided.parts["train"], transform, seed=job.recipe.seed)
    reader = Reader(reading, workers=0, pinned=False)
    losses = []
    for _ in range(epochs):
        loss = trainer.run_epoch(
            reader.read(trainer.keys()), asked=lambda: False, report=lambda *_: None
        )
        assert loss is not None
        losses.append(loss)
    retake(trainer, reader)
    state = {
        f"{kind}/{name}": tensor.clone()
        for kind, model in trainer.models.items()
        for name, tensor in model.state_dict().items()
    }
    return Taken(losses, state)
