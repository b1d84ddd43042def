"""BatchNorm statistics of the networks to judge: taken anew, as running ones lag behind."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from sparx_nas.architecture.network import Preprocessing
from sparx_nas.data import Part
from sparx_nas.train.pipeline import Reader, Reading
from sparx_nas.train.processes import World
from sparx_nas.train.trainer import Trainer
from sparx_nas.train.transforms import Transform, judging_transform
from sparx_nas.trial.batch_norm import BATCH, reestimate


def retake(trainer: Trainer, train: Part, facts: Preprocessing) -> None:
    """Give the networks of a trainer statistics of training images, as many as its recipe says.

    Frozen ones stay. Processes whose batch norms are reduced share the images; else each reads all
    of them. So the statistics are those of one process.
    """
    recipe, world = trainer.recipe, trainer.world
    if not recipe.statistics_images or recipe.batch_norm == "frozen":
        return
    readers = world if recipe.batch_norm == "sync" else World(0, 1, world.device)
    for model in trainer.models.values():
        images = drawn(train, judging_transform(facts), recipe.statistics_images, readers)
        reestimate(model, images, trainer.autocast())


def drawn(part: Part, transform: Transform, count: int, world: World) -> Iterator[Tensor]:
    """Yield a process's share of `count` images, batches (B, C, H, W), the same draw every time.

    A broken one has its neighbour stand in.
    """
    order = np.random.default_rng(0).permutation(len(part.picks))[:count]
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    cut = [(0, b[world.rank :: world.size]) for b in batches if len(b) >= world.size]
    reading = Reading(part, transform, seed=0)
    for batch in Reader(reading, workers=0, pinned=False).read(cut):
        yield batch.images.to(world.device)
