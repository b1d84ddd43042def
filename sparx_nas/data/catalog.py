"""Find and open a data set by name."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from sparx_nas.data.cifar import find_cifar, read_cifar
from sparx_nas.data.dataset import DataSet
from sparx_nas.data.digits import find_digits, read_digits
from sparx_nas.data.fashion_mnist import find_fashion, read_fashion
from sparx_nas.data.folder import find_folder, read_folder
from sparx_nas.data.source import Found, Pool, Source
from sparx_nas.data.splits import (
    LIMIT_STREAM,
    TEST_STREAM,
    VAL_STREAM,
    Picks,
    share,
    stratified,
    take_stratified,
)
from sparx_nas.data.store import Store, StreamStore, load, sample
from sparx_nas.data.timm_data import PREFIX, find_timm, read_timm
from sparx_nas.ground.errors import DataError, OptionError, did_you_mean
from sparx_nas.ground.record import ID_LENGTH

TEST_FRACTION = 0.2
"""Share of the images that becomes the test split where a data set has none of its own."""

STATISTICS, STREAMED_STATISTICS = 4096, 512
"""Most images that mean and standard deviation are taken of, in memory and streamed."""


class Reader(NamedTuple):
    """How a data set is looked for and how it is read, given its folder."""

    find: Callable[[Path | None], Found]
    read: Callable[[Path | None], Source]


READERS: Mapping[str, Reader] = {
    "digits": Reader(find_digits, read_digits),
    "fashion_mnist": Reader(find_fashion, read_fashion),
    "cifar10": Reader(partial(find_cifar, "cifar10"), partial(read_cifar, "cifar10")),
    "cifar100": Reader(partial(find_cifar, "cifar100"), partial(read_cifar, "cifar100")),
    "folder": Reader(find_folder, read_folder),
}
DATA_NAMES = (*READERS, f"{PREFIX}<name>")
"""What `--data` takes, besides the path of an image folder."""


class Part(NamedTuple):
    """The images of one split: positions in a pool."""

    pool: Pool
    picks: Picks


@dataclass(frozen=True)
class Divided:
    """A data set as stored, divided into splits; `rule` says how. No image is decoded yet."""

    source: Source
    parts: Mapping[str, Part]
    rule: str

    @cached_property
    def data_id(self) -> str:
        """16 hex digits over the images as stored, their labels, and who is in which split."""
        return _data_id(self.parts)

    def limited(
        self, limit: int | None, seed: int, splits: Collection[str] = ("train", "val", "test")
    ) -> "Divided":
        """Return the same with at most `limit` images of some splits, each class in its share.

        Raises: DataError if a class would have no image to train on.
        """
        if limit is None:
            return self
        _check_limit(self.parts["train"], limit, seed)
        parts = {
            split: _limited(part, limit, seed) if split in splits else part
            for split, part in self.parts.items()
        }
        said = " and ".join(split for split in self.parts if split in splits)
        return Divided(self.source, parts, f"{self.rule}; at most {limit} images of {said}")


def find_data(name: str, data_dir: Path | None) -> Found:
    """Say where a data set is and what can be told without decoding it.

    Raises: DataError listing where it was looked for and how to get it.
    """
    reader, place = _reader(name, data_dir)
    return reader.find(place)


def open_data(
    name: str,
    *,
    data_dir: Path | None,
    image_size: int,
    seed: int,
    val_fraction: float = 0.2,
    limit: int | None = None,
    with_test: bool = False,
) -> DataSet:
    """Open a data set, its splits decided by `seed`, its images at image_size x image_size.

    `name` is one of `DATA_NAMES` or the path of an image folder. A data set with a test split of
    its own keeps it; val is `val_fraction` of the train images (of all, for digits) unless it has
    one of its own, which an image folder has only beside a test/. `limit` keeps at most so many
    images of train and val. The test split stays whole and is loaded for the final scoring only,
    with `with_test`.

    Raises: OptionError for impossible numbers; DataError if the data are missing or damaged.
    """
    _check(image_size, seed, val_fraction, limit)
    divided = divide(name, data_dir=data_dir, seed=seed, val_fraction=val_fraction)
    return _loaded(
        divided.limited(limit, seed, ("train", "val")), image_size=image_size, with_test=with_test
    )


def divide(name: str, *, data_dir: Path | None, seed: int, val_fraction: float) -> Divided:
    """Find a data set and decide every image's split as `open_data` does; nothing is decoded.

    Raises: DataError if the data are missing or damaged.
    """
    reader, place = _reader(name, data_dir)
    source = reader.read(place)
    return Divided(source, *_split(source, seed, val_fraction))


def _reader(name: str, data_dir: Path | None) -> tuple[Reader, Path | None]:
    if name in READERS:
        return READERS[name], data_dir
    if name.startswith(PREFIX):
        return Reader(partial(find_timm, name), partial(read_timm, name)), data_dir
    if Path(name).expanduser().is_dir():
        return READERS["folder"], Path(name)
    guess = did_you_mean(name, READERS)
    raise DataError(
        f"no data set and no folder is called {name!r}.{guess}",
        hint=f"known: {', '.join(DATA_NAMES)}, or the path of an image folder",
    )


def _check(image_size: int, seed: int, val_fraction: float, limit: int | None) -> None:
    mistakes = []
    if image_size < 1:
        mistakes.append(f"image_size is {image_size}, a side in pixels is at least 1")
    if seed < 0:
        mistakes.append(f"seed is {seed}, it must not be negative")
    if not 0 < val_fraction < 1:
        mistakes.append(f"val_fraction is {val_fraction}, it lies between 0 and 1")
    if limit is not None and limit < 1:
        mistakes.append(f"limit is {limit}, it is at least 1")
    if mistakes:
        raise OptionError.of("data", mistakes)


def _split(source: Source, seed: int, val_fraction: float) -> tuple[dict[str, Part], str]:
    """Decide every image's split, and say in words how."""
    labels = source.train.labels
    rest = np.arange(len(labels))
    if source.test is None:
        count = share(TEST_FRACTION, len(rest))
        picks, rest = take_stratified(labels, count, seed=seed, stream=TEST_STREAM)
        test = Part(source.train, picks)
        rule = f"test is {count} images drawn by seed {seed}, stratified by class"
    else:
        test = Part(source.test, np.arange(len(source.test.labels)))
        rule = f"test is {source.test_origin}"
    if source.val is not None:
        val = Part(source.val, np.arange(len(source.val.labels)))
        parts = {"train": Part(source.train, rest), "val": val, "test": test}
        return parts, f"{rule}; val is val/"
    count = share(val_fraction, len(labels))
    within = min(count, len(rest))
    drawn, kept = take_stratified(labels[rest], within, seed=seed, stream=VAL_STREAM)
    train, val = (Part(source.train, rest[picks]) for picks in (kept, drawn))
    parts = {"train": train, "val": val, "test": test}
    return parts, f"{rule}; val is {count} train images drawn by seed {seed}, stratified by class"


def _check_limit(train: Part, limit: int, seed: int) -> None:
    """Refuse a limit that leaves a class without a training image."""
    labels = train.pool.labels[train.picks]
    order = stratified(labels, seed=seed, stream=LIMIT_STREAM)
    classes, firsts = np.unique(labels[order], return_index=True)
    if without := int((firsts >= limit).sum()):
        raise DataError(
            f"{limit} training images leave {without} of {len(classes)} classes without one",
            hint=f"{firsts.max() + 1} is the least that gives every class an image",
        )


def _limited(part: Part, limit: int, seed: int) -> Part:
    labels = part.pool.labels[part.picks]
    drawn, _ = take_stratified(labels, limit, seed=seed, stream=LIMIT_STREAM)
    return Part(part.pool, part.picks[drawn])


def _loaded(divided: Divided, *, image_size: int, with_test: bool) -> DataSet:
    """Read the images of the splits and gather the facts."""
    source, parts = divided.source, divided.parts
    wanted = [split for split in parts if with_test or split != "test"]
    stores = {split: load(parts[split].pool, parts[split].picks, image_size) for split in wanted}
    _check_stores(source, parts, stores)
    mean, std = _statistics(stores["train"])
    sizes = {split: len(part.picks) for split, part in parts.items()}
    return DataSet(
        name=source.name,
        source=source.place,
        rule=divided.rule,
        classes=source.classes,
        in_chans=source.in_chans,
        image_size=image_size,
        mean=mean,
        std=std,
        splits=sizes | {split: len(store.labels) for split, store in stores.items()},
        data_id=divided.data_id,
        flips=source.flips,
        unusable=source.skipped,
        stores=stores,
    )


def _check_stores(source: Source, parts: Mapping[str, Part], stores: Mapping[str, Store]) -> None:
    """Refuse splits without an image, and classes whose train images are all broken.

    Raises: DataError naming all of them.
    """
    mistakes = []
    for split, store in stores.items():
        if len(store.labels) == 0:
            reason = f": {store.skipped[0].reason}" if store.skipped else ""
            mistakes.append(f"no image is left for the {split} split{reason}")
    train = parts["train"]
    wanted = set(train.pool.labels[train.picks].tolist())
    lost = sorted(wanted - set(stores["train"].labels.tolist()))
    mistakes += [f"every train image of class {source.classes[n]!r} is broken" for n in lost]
    if mistakes:
        raise DataError.of(
            f"{source.name} in {source.place}", mistakes, hint="replace or remove what is broken"
        )


def _statistics(train: Store) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, of pixels in [0, 1]."""
    count = STREAMED_STATISTICS if isinstance(train, StreamStore) else STATISTICS
    pixels = sample(train, count).to(torch.float64).transpose(0, 1).flatten(1) / 255
    mean, std = pixels.mean(dim=1), pixels.std(dim=1, unbiased=False).clamp(min=1 / 255)
    return tuple(mean.tolist()), tuple(std.tolist())


def _data_id(parts: Mapping[str, Part]) -> str:
    """Hash the images as stored, their labels, and who is in which split."""
    digests = {id(part.pool): part.pool.digest() for part in parts.values()}
    hashed = hashlib.sha256()
    for split, part in sorted(parts.items()):
        hashed.update(split.encode() + digests[id(part.pool)])
        hashed.update(np.ascontiguousarray(part.picks, "<i8").data)
    return hashed.hexdigest()[:ID_LENGTH]
