"""The images of a full training: which data, which splits, what they are normalised by."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sparx_nas.data import Divided, Part, divide
from sparx_nas.data.folder import read_folder
from sparx_nas.data.source import ArrayPool
from sparx_nas.data.store import MemoryStore, load
from sparx_nas.ground.errors import DataError, OptionError
from sparx_nas.train.recipe import IMAGENET_MEAN, IMAGENET_STD, Recipe

IMAGENET = "imagenet"
STATISTICS, DECODED_STATISTICS = 4096, 512
"""Most images that mean and deviation are taken of, in memory and of files."""


def open_images(name: str, data_dir: Path | None, recipe: Recipe) -> Divided:
    """Find a data set and divide it: train teaches, val judges epochs, test is for the end.

    `imagenet` is a folder with train/<class>/ and val/<class>/ of which nothing is held out: val/
    judges, and there is no test split.

    Raises: DataError if the data are missing or damaged, or a split is empty.
    """
    if name == IMAGENET:
        source = replace(read_folder(data_dir, with_test=False), name=IMAGENET)
        if source.test is None:
            raise DataError(f"{source.place} has no val/, which judges a training on {IMAGENET}")
        pools = {"train": source.train, "val": source.test}
        parts = {split: Part(pool, np.arange(len(pool.labels))) for split, pool in pools.items()}
        divided = Divided(source, parts, "val is val/; nothing is held out of train/")
    else:
        divided = divide(
            name, data_dir=data_dir, seed=recipe.split_seed, val_fraction=recipe.val_fraction
        )
    divided = divided.limited(recipe.limit, recipe.split_seed)
    empty = [split for split, part in divided.parts.items() if not len(part.picks)]
    if empty:
        raise DataError(f"{name} in {divided.source.place}: no image is left for {empty[0]}")
    return divided


def normalisation(divided: Divided, recipe: Recipe) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of each channel, of pixels in [0, 1].

    Those of ImageNet, or of train images at the recipe's size: evenly spaced ones of a large set.

    Raises: OptionError for ImageNet's on grey images; DataError if no train image can be read.
    """
    channels = divided.source.in_chans
    if recipe.normalize == IMAGENET:
        if channels != len(IMAGENET_MEAN):
            raise OptionError(
                f"normalize is imagenet, but {divided.source.name} has {channels} channel",
                hint="--normalize data",
            )
        return IMAGENET_MEAN, IMAGENET_STD
    pool, picks = divided.parts["train"]
    most = STATISTICS if isinstance(pool, ArrayPool) else DECODED_STATISTICS
    spaced = np.linspace(0, len(picks) - 1, min(most, len(picks))).astype(np.int64)
    store = load(pool, picks[spaced], recipe.image_size)
    if not isinstance(store, MemoryStore) or not len(store.labels):
        raise DataError(f"no train image of {divided.source.place} can be read")
    pixels = store.pixels.double().transpose(0, 1).flatten(1) / 255
    mean, std = pixels.mean(dim=1), pixels.std(dim=1, unbiased=False).clamp(min=1 / 255)
    return tuple(mean.tolist()), tuple(std.tolist())
