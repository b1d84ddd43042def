"""BatchNorm statistics of the networks to judge: taken anew, as running ones lag behind."""

from collections.abc import Iterator

from torch import Tensor

from sparx_nas.train.batch_norm import average_statistics
from sparx_nas.train.pipeline import Reader, epoch_keys
from sparx_nas.train.trainer import Trainer
from sparx_nas.trial.batch_norm import reestimate


def retake(trainer: Trainer, reader: Reader) -> None:
    """Give the networks of a trainer statistics of training images, as many as its recipe says.

    They are taken as running ones are, of batches as they are trained on, but of one state of the
    weights. Frozen ones stay. `reader` reads training images.
    """
    recipe, world = trainer.recipe, trainer.world
    if not recipe.statistics_images or recipe.batch_norm == "frozen":
        return
    models = list(trainer.models.values())
    reestimate(models, _passes(trainer, reader), trainer.autocast())
    if recipe.batch_norm == "local":
        for model in models:
            average_statistics(model, world.size)


def _passes(trainer: Trainer, reader: Reader) -> Iterator[Tensor]:
    """Yield this process's share of the images, batches (B, C, H, W), those of the first epoch."""
    recipe, world = trainer.recipe, trainer.world
    count = -(-recipe.statistics_images * recipe.accumulate // recipe.batch_size)
    keys = epoch_keys(trainer.images, recipe, 0, rank=world.rank, size=world.size)[:count]
    for number, batch in enumerate(reader.read(keys)):
        x, labels = batch.images.to(world.device), batch.labels.to(world.device)
        yield trainer.mixing(x, labels, epoch=0, step=number // recipe.accumulate)[0]
