"""What the readers of the single data sets hand over: images as they are stored, not split yet."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sparx_nas.data.splits import Labels

HASHED_WHOLE = 20_000
"""Up to so many files the data's identity covers their contents, beyond it only their sizes."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A data set seen on disk, nothing decoded.

    `place` says where, for people; `data_dir` is absolute and opens the same data from any working
    directory (None where the data come with a package). `images` counts the images of each part as
    stored, before any split; empty where counting is not cheap.
    """

    name: str
    place: str
    data_dir: Path | None
    images: Mapping[str, int]
    num_classes: int | None
    in_chans: int | None


@dataclass(frozen=True)
class Skipped:
    """A file that holds no readable image, and why."""

    path: str
    reason: str


class PicturePool(Protocol):
    """Images that are decoded one by one."""

    @property
    def labels(self) -> Labels:
        """Class number of every image."""

    def digest(self) -> bytes:
        """Identify the images and labels without decoding."""

    def name(self, index: int) -> str:
        """Return what to call an image in a report."""

    def picture(self, index: int, side: int) -> Image.Image:
        """Decode one image to RGB, not much smaller than asked; any exception means it is broken.

        A JPEG may come reduced, its shorter side still at least `side` pixels.
        """


@dataclass(frozen=True)
class ArrayPool:
    """Images that lie in memory: `pixels` is (n, H, W, channels)."""

    pixels: NDArray[np.uint8]
    labels: Labels

    def digest(self) -> bytes:
        """Hash shape, pixels and labels."""
        hashed = hashlib.sha256(repr(self.pixels.shape).encode())
        hashed.update(np.ascontiguousarray(self.pixels).data)
        hashed.update(self.labels.astype("<i8").data)
        return hashed.digest()


Pool = ArrayPool | PicturePool


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set as stored.

    `train` is what train is taken from; val as well unless `val` is given, and test too unless
    `test` is, which `val_origin` and `test_origin` put in words. `flips` says whether a mirrored
    image is still of its class. `skipped` lists files left out at sight, `notes` are remarks on how
    the images were told apart.
    """

    name: str
    place: str
    classes: tuple[str, ...]
    in_chans: int
    flips: bool
    train: Pool
    val: Pool | None = None
    test: Pool | None = None
    val_origin: str = "the data set's own"
    test_origin: str = "the data set's own"
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def digest_files(root: Path, files: Sequence[str], sizes: Sequence[int], labels: Labels) -> bytes:
    """Hash the paths relative to `root`, sizes and labels, and of a small set the contents."""
    hashed = hashlib.sha256()
    for file, size, label in zip(files, sizes, labels, strict=True):
        hashed.update(os.fsencode(file) + f"\0{size}\0{label}\0".encode())
        if len(files) <= HASHED_WHOLE:
            hashed.update(_content_digest(root / file))
    return hashed.digest()


def _content_digest(file: Path) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return b"unreadable"


def readable(path: str | Path) -> str:
    """Spell a file name so that it can be written as UTF-8, whatever bytes it has on disk."""
    return os.fsencode(path).decode("utf-8", "replace")


def search_places(
    data_dir: Path | None, layouts: Sequence[str], defaults: Sequence[Path] = ()
) -> list[Path]:
    """List the folders to look in: those under `data_dir` if given, else the default places."""
    roots = [data_dir] if data_dir is not None else [*defaults, Path("data")]
    places = [root.expanduser().absolute() / layout for root in roots for layout in layouts]
    return list(dict.fromkeys(places))
