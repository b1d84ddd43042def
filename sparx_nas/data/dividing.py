"""A data set divided: which of its images train, which choose, which judge."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sparx_nas.data.file_pool import FilePool
from sparx_nas.data.source import Pool, Source
from sparx_nas.data.splits import (
    LIMIT_STREAM,
    TEST_STREAM,
    VAL_STREAM,
    Picks,
    share,
    stratified,
    take_stratified,
)
from sparx_nas.ground.errors import DataError
from sparx_nas.ground.record import ID_LENGTH

TEST_FRACTION = 0.2
"""Share of the images that becomes the test split where a data set has none of its own."""

SHOWN = 5
"""How many classes a message names."""


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


def divided_by_seed(source: Source, seed: int, val_fraction: float) -> Divided:
    """Decide every image's split: as stored where a data set has it, else drawn by the seed.

    Raises: DataError naming the classes of a folder that would have no image to learn from.
    """
    parts, rule = _split(source, seed, val_fraction)
    drawn = [split for split in parts if parts[split].pool is source.train]
    without = {split: _without(source, parts, split) for split in drawn}
    # Only a folder can be given more images; what is archived stays as it is.
    if without["train"] and isinstance(source.train, FilePool):
        raise DataError(
            f"{source.name} in {source.place}: {without['train']} would have no image in train",
            hint="a class takes an image for each of train, val and test",
        )
    notes = [f"{split} has no image of {names}" for split, names in without.items() if names]
    return Divided(replace(source, notes=(*source.notes, *notes)), parts, rule)


def _without(source: Source, parts: Mapping[str, Part], split: str) -> str:
    """Name the classes that have images to draw from, and none in a split; a few of many."""
    pool, picks = parts[split]
    gone = np.setdiff1d(source.train.labels, pool.labels[picks]).tolist()
    names = [f"class {source.classes[label]!r}" for label in gone[:SHOWN]]
    return ", ".join([*names, f"{len(gone) - SHOWN} more"] if len(gone) > SHOWN else names)


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
        return parts, f"{rule}; val is {source.val_origin}"
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


def _data_id(parts: Mapping[str, Part]) -> str:
    """Hash the images as stored, their labels, and who is in which split."""
    digests = {id(part.pool): part.pool.digest() for part in parts.values()}
    hashed = hashlib.sha256()
    for split, part in sorted(parts.items()):
        hashed.update(split.encode() + digests[id(part.pool)])
        hashed.update(np.ascontiguousarray(part.picks, "<i8").data)
    return hashed.hexdigest()[:ID_LENGTH]
