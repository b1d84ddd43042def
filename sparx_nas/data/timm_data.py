"""Data sets by timm's names (`timm:torch/cifar10`, `timm:hfds/...`), read through timm.

timm's train split gives train and val, its validation split is the test split. timm is told not to
download; what a `hfds/` name fetches is up to the `datasets` package.
"""

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sparx_nas.data.decode import decode, to_rgb, upright
from sparx_nas.data.source import Found, Source, digest_files, readable
from sparx_nas.data.splits import Labels
from sparx_nas.ground.errors import DataError
from sparx_nas.ground.timm_import import prepare_timm

PREFIX = "timm:"
NEVER_MIRRORED = frozenset({"torch/mnist", "torch/qmnist", "torch/kmnist"})
SPLITS = {"train": "train", "test": "validation"}
STREAMED = ("tfds", "wds", "hfids")
"""Kinds of data sets that timm reads only from their beginning to their end."""
PACKAGES: Mapping[str, str] = {"hfds": "datasets"}
"""What timm reads a kind of data sets with that needs no folder."""
HINT = "data set names are those of timm.data.create_dataset; --data-dir is their root"


@dataclass(frozen=True)
class TimmPool:
    """One split of a timm data set; `files` lie below `root`, empty if items are no files."""

    dataset: Any
    root: Path
    files: tuple[str, ...]
    labels: Labels

    def digest(self) -> bytes:
        """Hash the labels, the files as in an image folder, and pixels that timm has in memory.

        Data that are neither, such as a tar file, count by their labels only.
        """
        hashed = hashlib.sha256(self.labels.astype("<i8").data)
        if self.files:
            sizes = [(self.root / file).stat().st_size for file in self.files]
            hashed.update(digest_files(self.root, self.files, sizes, self.labels))
        pixels = getattr(self.dataset, "data", None)
        if pixels is not None:
            hashed.update(np.ascontiguousarray(np.asarray(pixels)).data)
        return hashed.digest()

    def name(self, index: int) -> str:
        """Return the file of an item below the split's root, or its number."""
        return readable(self.files[index]) if self.files else f"item {index}"

    def picture(self, index: int, side: int) -> Image.Image:
        """Decode an item; past timm's own loading, which puts its neighbour for a broken one."""
        if hasattr(self.dataset, "reader"):
            with self.dataset.reader[index][0] as file:
                return decode(file, side)
        return to_rgb(upright(self.dataset[index][0]))


def find_timm(name: str, data_dir: Path | None) -> Found:
    """Open both splits through timm and count them; no image is decoded.

    Raises: DataError if timm cannot open them.
    """
    _check_name(name, data_dir)
    train, test = (_pool(name, data_dir, split) for split in SPLITS)
    return Found(
        name=name,
        place=_place(data_dir),
        data_dir=None if data_dir is None else data_dir.expanduser().absolute(),
        images={"train": len(train.labels), "test": len(test.labels)},
        num_classes=len(_classes(train)),
        in_chans=3,
    )


def read_timm(name: str, data_dir: Path | None) -> Source:
    """Open both splits through timm.

    Raises: DataError if timm cannot open them, or they disagree on the classes or share files.
    """
    _check_name(name, data_dir)
    train, test = (_pool(name, data_dir, split) for split in SPLITS)
    classes = _classes(train)
    mistakes = []
    if test.labels.max() >= len(classes) or _class_map(test.dataset) != _class_map(train.dataset):
        mistakes.append("train and validation do not have the same classes")
    shared = {train.root / file for file in train.files} & {test.root / f for f in test.files}
    if shared:
        mistakes.append(f"train and validation share {len(shared)} files, {min(shared)} the first")
    if mistakes:
        raise DataError.of(f"{name} in {_place(data_dir)}", mistakes, hint=HINT)
    return Source(
        name=name,
        place=_place(data_dir),
        classes=classes,
        in_chans=3,
        flips=name.removeprefix(PREFIX).lower() not in NEVER_MIRRORED,
        train=train,
        test=test,
    )


def _check_name(name: str, data_dir: Path | None) -> None:
    """Refuse what timm cannot have, before it is loaded and asked.

    Raises: DataError with what is missing: a name, a package, or the folder.
    """
    kind, slash, rest = name.removeprefix(PREFIX).partition("/")
    kind = kind.lower() if slash else ""
    if not (rest if slash else name.removeprefix(PREFIX)).strip():
        raise DataError(f"{name!r} names no data set of timm", hint=HINT)
    if kind in STREAMED:
        raise DataError(
            f"{name}: timm only streams {kind}/ data; a search reads images in any order",
            hint="give its images as a folder: --data path/to/folder",
        )
    package = PACKAGES.get(kind)
    if package and importlib.util.find_spec(package) is None:
        raise DataError(
            f"{name} is read by the package {package}, which is not installed",
            hint=f"pip install {package}, or give the images as a folder: --data path/to/folder",
        )
    if package:
        return
    if data_dir is None:
        raise DataError(
            f"{name}: timm reads it from a folder, and downloads nothing here",
            hint="--data-dir says which folder; a folder of class folders is --data path/to/folder",
        )
    if not data_dir.expanduser().exists():
        raise DataError(f"{name}: there is no {readable(data_dir.absolute())}", hint=HINT)


def _place(data_dir: Path | None) -> str:
    return "timm's default place" if data_dir is None else readable(data_dir.absolute())


def _pool(name: str, data_dir: Path | None, split: str) -> TimmPool:
    prepare_timm()
    from timm.data import create_dataset

    timm_name = name.removeprefix(PREFIX)
    root = None if data_dir is None else str(data_dir.expanduser().absolute())
    where = f"{name} ({SPLITS[split]} split) in {_place(data_dir)}"
    try:
        dataset = create_dataset(timm_name, root=root, split=SPLITS[split], download=False)
        labels = np.array(_targets(dataset))
    # timm has a reader per kind of data set, and each fails in its own way.
    except Exception as cause:
        reason = f"timm cannot open it: {type(cause).__name__}: {cause}"
        raise DataError(f"{where}: {reason}", hint=HINT) from cause
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(f"{where}: it does not give every image one class number", hint=HINT)
    place, files = _files(dataset)
    return TimmPool(dataset, place, files, labels.astype(np.int64))


def _targets(dataset: Any) -> list[int]:
    """Return the class number of every item without decoding any.

    Raises: TypeError if the data set can only be streamed or does not tell.
    """
    reader = getattr(dataset, "reader", dataset)
    if hasattr(reader, "iter_targets"):
        return list(reader.iter_targets())
    if hasattr(reader, "targets") and hasattr(dataset, "__getitem__"):
        return [int(target) for target in reader.targets]
    if hasattr(reader, "samples") and hasattr(dataset, "__getitem__"):
        return [int(target) for _, target in reader.samples]
    raise TypeError("its labels cannot be listed; a search needs random access, not a stream")


def _files(dataset: Any) -> tuple[Path, tuple[str, ...]]:
    """Return the folder of a split and the paths of its items in it, none if they are no files."""
    reader = getattr(dataset, "reader", dataset)
    files = [sample[0] for sample in getattr(reader, "samples", ()) if isinstance(sample, tuple)]
    if not files or not all(isinstance(file, str) for file in files):
        return Path(), ()
    return Path(reader.root), tuple(os.path.relpath(file, reader.root) for file in files)


def _class_map(dataset: Any) -> Mapping[str, int] | None:
    reader = getattr(dataset, "reader", dataset)
    found = getattr(reader, "class_to_idx", None) or getattr(reader, "class_name_to_idx", None)
    return found if isinstance(found, Mapping) else None


def _classes(train: TimmPool) -> tuple[str, ...]:
    named = {number: name for name, number in (_class_map(train.dataset) or {}).items()}
    count = max([int(train.labels.max()), *named]) + 1
    return tuple(str(named.get(number, number)) for number in range(count))
