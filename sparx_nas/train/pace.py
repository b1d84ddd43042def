"""How long a training would take, from a few steps on its own images."""

import time
from dataclasses import dataclass, replace

import psutil
import torch

from sparx_nas.cost import CostEstimate
from sparx_nas.ground.quantities import counted, duration
from sparx_nas.train.job import Job
from sparx_nas.train.pipeline import Reader, Reading
from sparx_nas.train.processes import World
from sparx_nas.train.trainer import Trainer
from sparx_nas.train.transforms import training_transform

TIMED = 3
"""Steps that are timed, after one that is not."""
MOST_MACS = {"cpu": 10**10, "cuda": 10**13}
"""Of the forward pass of such a step: a second or two."""
BACKWARD = 2
"""Work of the backward pass over that of the forward pass."""
MEMORY_SHARE = 0.25
"""Part of the free memory that a timed step may take."""


@dataclass(frozen=True)
class Pace:
    """Seconds that an image takes in training and to be read, of steps of so many images."""

    train_s: float
    read_s: float
    images: int


def measure(job: Job, world: World, cost: CostEstimate) -> Pace:
    """Train a few small steps; `cost` is that of an image."""
    size = step_size(job, world, cost)
    recipe = replace(job.recipe, batch_size=size, accumulate=1)
    trainer = Trainer(job.network, recipe, world, images=size)
    transform = training_transform(recipe, job.facts)
    reading = Reading(job.divided.parts["train"], transform, seed=recipe.seed)
    reader = Reader(reading, workers=0, pinned=False)
    times = []
    for _ in range(1 + TIMED):
        begun = time.perf_counter()
        batches = list(reader.read(trainer.keys()))
        read = time.perf_counter()
        trainer.run_epoch(iter(batches), asked=lambda: False, report=lambda *_: None)
        times.append((read - begun, time.perf_counter() - read))
    read_s, train_s = (min(column) / size for column in zip(*times[1:], strict=True))
    return Pace(train_s, read_s, size)


def step_size(job: Job, world: World, cost: CostEstimate) -> int:
    """Return how many images a timed step has: as the training's, where time and memory allow."""
    device = world.device
    free = psutil.virtual_memory().available
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    fit = int(MEMORY_SHARE * free / cost.activation_bytes)
    in_pass = job.recipe.batch_size // job.recipe.accumulate
    return max(2, min(in_pass, fit, MOST_MACS[device.type] // cost.macs))


def seconds(job: Job, pace: Pace, steps: int, workers: int) -> float:
    """Return how long the whole training takes; scores and statistics are forward passes."""
    recipe = job.recipe
    trained, frozen = steps * recipe.batch_size, recipe.batch_norm == "frozen"
    seen = job.images("val") + (0 if frozen else min(recipe.statistics_images, trained))
    networks = 2 if recipe.ema else 1
    work = pace.train_s * (trained + networks * seen / (1 + BACKWARD))
    reading = pace.read_s * (trained + seen)
    # Workers read while the network works; without any, one waits for the other.
    epoch = max(work, reading / workers) if workers else work + reading
    return recipe.total_epochs * epoch


def time_words(job: Job, world: World, cost: CostEstimate, steps: int, workers: int) -> str:
    """Say how long a training would take, and how that was predicted; or why it cannot be told."""
    if world.size > 1:
        return f"not predicted for {world.size} processes; a dry run of one process times itself"
    if job.recipe.amp == "fp16" and world.device.type == "cpu":
        return "not predicted: amp is fp16, which needs a GPU"
    pace = measure(job, world, cost)
    apart = f" by each of {counted(workers, 'worker')}, meanwhile" if workers else " before that"
    return (
        f"about {duration(seconds(job, pace, steps, workers))}: {1 / pace.train_s:.3g} images/s "
        f"are trained and {1 / pace.read_s:.3g} read{apart}, timed just now over {TIMED} steps of "
        f"{pace.images} images; scores and statistics are counted as forward passes"
    )
