"""Batches: which images a process reads in which step, and how they are read.

An image's augmentation is decided by seed, epoch and its number alone, so neither the number of
processes nor that of reading workers changes any.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sparx_nas.command.stopping import stand_apart
from sparx_nas.data import Part
from sparx_nas.data.source import ArrayPool, Pool
from sparx_nas.data.splits import Picks
from sparx_nas.ground.errors import DataError, OptionError
from sparx_nas.train.recipe import Recipe
from sparx_nas.train.transforms import IMAGE_STREAM, ORDER_STREAM, Transform, seed_all

WHOLE = 1 << 16
"""A side that no JPEG is reduced for while decoding: crops see all of its pixels."""
NEIGHBOURS = 16
"""How many images after a broken one are tried in its place."""

Key = tuple[int, Picks]
"""An epoch, and the positions of images in their split."""


class Batch(NamedTuple):
    """Images (B, C, H, W), labels (B), and what was broken, as (name, reason)."""

    images: Tensor
    labels: Tensor
    broken: list[tuple[str, str]]


def share(batch: Picks, part: int, of: int) -> Picks:
    """Return one of `of` parts of a batch: image i always together with its partner B - 1 - i.

    Within a part partners stand the same way, so mixing and parting again find them.
    """
    half = (len(batch) + 1) // 2
    pairs = np.array_split(np.arange(half), of)[part]
    partners = len(batch) - 1 - pairs[::-1]
    together: Picks = batch[np.concatenate([pairs, partners[partners >= half]])]
    return together


def steps_per_epoch(images: int, recipe: Recipe) -> int:
    """Return how many whole batches an epoch has; what is left over waits for another epoch.

    Raises: DataError if there is not even one.
    """
    if images < recipe.batch_size:
        raise DataError(
            f"batch_size is {recipe.batch_size}, but there are only {images} train images",
            hint=f"--batch-size {images} or less, and --lr to go with it",
        )
    return images // recipe.batch_size


def check_shares(recipe: Recipe, processes: int) -> None:
    """Refuse a batch of which some process would have no image in some pass.

    Raises: OptionError with the smallest batch that would do.
    """
    parts = recipe.accumulate * processes
    pairs = (recipe.batch_size + 1) // 2
    if pairs // recipe.accumulate < processes:
        raise OptionError(
            f"batch_size {recipe.batch_size} is too small for {parts} parts of 2 images: "
            f"{processes} processes, {recipe.accumulate} passes each",
            hint=f"--batch-size {2 * parts} or more, or fewer processes",
        )


def epoch_keys(images: int, recipe: Recipe, epoch: int, *, rank: int, size: int) -> list[Key]:
    """Return what a process reads in an epoch, pass by pass; every epoch is shuffled anew."""
    order = np.random.default_rng([ORDER_STREAM, recipe.seed, epoch]).permutation(images)
    keys = []
    for step in range(steps_per_epoch(images, recipe)):
        batch = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        passes = [share(batch, i, recipe.accumulate) for i in range(recipe.accumulate)]
        keys += [(epoch, share(one, rank, size)) for one in passes]
    return keys


class Reading(Dataset[Batch]):
    """Decode and transform the images of a key.

    With a `seed` each image draws from its own; a broken one has its next readable neighbour stand
    in. Without, nothing is drawn and a broken image is left out.
    """

    def __init__(self, part: Part, transform: Transform, *, seed: int | None) -> None:
        self.part, self.transform, self.seed = part, transform, seed

    def __getitem__(self, key: Key) -> Batch:
        epoch, positions = key
        broken: list[tuple[str, str]] = []
        read = [self._one(epoch, int(position), broken) for position in positions]
        kept = [item for item in read if item is not None]
        labels = torch.tensor([label for _, label in kept], dtype=torch.int64)
        images = torch.stack([image for image, _ in kept]) if kept else torch.empty(0)
        return Batch(images, labels, broken)

    def _one(
        self, epoch: int, position: int, broken: list[tuple[str, str]]
    ) -> tuple[Tensor, int] | None:
        """Return an image and its label, or None for a broken one that is judged.

        Raises: DataError if a training image and all its neighbours are broken.
        """
        pool, picks = self.part
        for place in range(position, position + (1 if self.seed is None else NEIGHBOURS)):
            index = int(picks[place % len(picks)])
            if self.seed is not None:
                seed_all(IMAGE_STREAM, self.seed, epoch, index)
            try:
                return self.transform(picture(pool, index)), int(pool.labels[index])
            # A decoder may raise anything on a broken file; the reason is reported.
            except Exception as cause:
                reason = f"{type(cause).__name__}: {cause}".splitlines()[0]
                broken.append((_name(pool, index), reason))
        if self.seed is None:
            return None
        raise DataError(f"{broken[0][0]} and {NEIGHBOURS - 1} images after it cannot be read")


class Reader:
    """Read the keys of one epoch after another, by worker processes that stay."""

    def __init__(self, reading: Reading, *, workers: int, pinned: bool) -> None:
        self.keys: list[Key] = []
        self.loader: DataLoader[Batch] = DataLoader(
            reading,
            sampler=_Keys(self.keys),
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pinned,
            generator=torch.Generator(),
            worker_init_fn=_begin,
        )

    def read(self, keys: Sequence[Key]) -> Iterator[Batch]:
        """Yield a batch a key, in their order."""
        self.keys[:] = keys
        yield from self.loader


def _begin(_: int) -> None:
    """Begin a worker process: signals are for its parent."""
    stand_apart()


class _Keys(Sequence[Key]):
    """The list of keys as it is when an epoch begins; torch wants a sampler, not a list."""

    def __init__(self, keys: list[Key]) -> None:
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Key:  # type: ignore[override]
        return self.keys[index]


def picture(pool: Pool, index: int) -> Image.Image:
    """Return an image of a pool at its full size, grey or RGB.

    Raises: whatever a decoder raises on a broken file.
    """
    if not isinstance(pool, ArrayPool):
        return pool.picture(index, WHOLE)
    pixels = pool.pixels[index]
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _name(pool: Pool, index: int) -> str:
    """Return what to call an image in a report."""
    return f"image {index}" if isinstance(pool, ArrayPool) else pool.name(index)
