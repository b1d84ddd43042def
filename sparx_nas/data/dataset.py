"""An opened data set: its facts for the record, and its batches for training and scoring."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparx_nas.data.source import Skipped
from sparx_nas.data.store import Motion, Store, StreamStore
from sparx_nas.ground.errors import DataError

COPIES_STREAM = 4
"""First seed of augmented copies, so that they are those of no epoch of a training."""

SKIPPED_LISTED = 100
"""How many skipped files a record names; it counts them all."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Images with fixed train, val and test splits.

    `source` says where it was found, `rule` how the splits were made, `notes` what else is to be
    known of that. `mean` and `std` are per
    channel, of the train split, of pixels in [0, 1]. `splits` holds the number of images of each
    split; that of a split that is not loaded counts files nobody has tried to decode. `data_id` is
    16 hex digits over images, labels and splits, the test split among them whether it is loaded or
    not; the image size does not change it. `workers` is the number of processes that decode a set
    too large to keep in memory; 0 decodes in this one.
    """

    name: str
    source: str
    rule: str
    classes: tuple[str, ...]
    in_chans: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    splits: Mapping[str, int]
    data_id: str
    flips: bool
    unusable: tuple[Skipped, ...]
    stores: Mapping[str, Store] = field(repr=False, compare=False)
    notes: tuple[str, ...] = ()
    workers: int = 0

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files left out so far: those that are no images at sight, and those that broke."""
        broken = [skip for store in self.stores.values() for skip in store.skipped]
        return (*self.unusable, *broken)

    def describe(self) -> dict[str, Any]:
        """Return the JSON form of all facts, for the record of a run."""
        skipped = self.skipped
        return {
            "name": self.name,
            "source": self.source,
            "rule": self.rule,
            "notes": list(self.notes),
            "num_classes": self.num_classes,
            "commonest_class": self._commonest("val"),
            "classes": list(self.classes),
            "in_chans": self.in_chans,
            "image_size": self.image_size,
            "mean": list(self.mean),
            "std": list(self.std),
            "splits": dict(self.splits),
            "data_id": self.data_id,
            "mirrored": self.flips,
            "streamed": any(isinstance(store, StreamStore) for store in self.stores.values()),
            "skipped_count": len(skipped),
            "skipped": [[skip.path, skip.reason] for skip in skipped[:SKIPPED_LISTED]],
        }

    def _commonest(self, split: str) -> float:
        """Return the share of the class that a split has most images of."""
        labels = self.stores[split].labels
        return float(torch.bincount(labels).max() / len(labels))

    def batches(
        self,
        split: str,
        batch_size: int,
        *,
        seed: int,
        epoch: int,
        train: bool,
        device: torch.device | str,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised float32 images (B, C, H, W) and int64 labels (B) on the device.

        With `train`, images are shuffled and lightly augmented, decided by seed and epoch alone,
        and a last batch below half the size is left out unless it is the only one; else they come
        as stored, all of them.

        Raises: DataError if the split is not loaded.
        """
        count = len(self._store(split).labels)
        rng = np.random.default_rng([seed, epoch])
        groups = _groups(rng.permutation(count) if train else np.arange(count), batch_size, train)
        yield from self._read(split, groups, Motion(rng, self.flips) if train else None, device)

    def drawn(
        self, split: str, count: int, batch_size: int, *, device: torch.device | str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of `count` images as stored, all about as large, the same every time.

        Raises: DataError if the split is not loaded.
        """
        order = np.random.default_rng(0).permutation(len(self._store(split).labels))[:count]
        groups = np.array_split(order, max(1, -(-len(order) // batch_size)))
        yield from self._read(split, groups, None, device)

    def copies(
        self, split: str, count: int, batch_size: int, *, device: torch.device | str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of `count` augmented copies of all images, the same copies every time.

        Raises: DataError if the split is not loaded.
        """
        groups = _groups(np.arange(len(self._store(split).labels)), batch_size, False)
        for copy in range(count):
            motion = Motion(np.random.default_rng([COPIES_STREAM, copy]), self.flips)
            yield from self._read(split, groups, motion, device)

    def _store(self, split: str) -> Store:
        """Return the images of a split.

        Raises: DataError if it is not loaded.
        """
        if split not in self.stores:
            raise DataError(
                f"the {split} split of {self.name} is not loaded",
                hint="only the final scoring opens it, by open_data(..., with_test=True)",
            )
        return self.stores[split]

    def _read(
        self,
        split: str,
        groups: list[np.ndarray[Any, Any]],
        motion: Motion | None,
        device: torch.device | str,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield groups of a split's images, normalised."""
        on = torch.device(device)
        mean, std = (_channels(values, on) for values in (self.mean, self.std))
        store = self._store(split)
        for images, labels in store.read(groups, motion=motion, device=on, workers=self.workers):
            yield (images.float() - mean) / std, labels

    def batch_count(self, split: str, batch_size: int, *, train: bool) -> int:
        """Return how many batches an epoch has."""
        return len(_groups(np.arange(self.splits[split]), batch_size, train))


def _groups(order: np.ndarray[Any, Any], size: int, train: bool) -> list[np.ndarray[Any, Any]]:
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    if train and len(groups) > 1 and len(groups[-1]) < min(size, max(2, size / 2)):
        groups.pop()
    return groups


def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device).mul(255).view(1, -1, 1, 1)
