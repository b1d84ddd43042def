"""Fashion-MNIST from its four IDX files, gzipped or not.

Source: H. Xiao, K. Rasul, R. Vollgraf, arXiv 1708.07747; the format is that of LeCun's MNIST page.
"""

import gzip
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparx_nas.data.source import ArrayPool, Found, Source, search_places
from sparx_nas.ground.errors import DataError

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
STEMS = {
    "train images": "train-images{}idx3-ubyte",
    "train labels": "train-labels{}idx1-ubyte",
    "test images": "t10k-images{}idx3-ubyte",
    "test labels": "t10k-labels{}idx1-ubyte",
}
DEFAULTS = (Path("/usr/share/datasets/fashion-mnist"),)
LAYOUTS = ("", "fashion-mnist", "fashion_mnist", "FashionMNIST/raw")
HINT = (
    "`apt-get install dataset-fashion-mnist` (Debian, Ubuntu), or give a folder with the four IDX "
    "files of https://github.com/zalandoresearch/fashion-mnist as --data-dir"
)
UNSIGNED_BYTE = 8
"""The type code of an IDX file whose values are bytes."""


def find_fashion(data_dir: Path | None) -> Found:
    """Look for the four files.

    Raises: DataError listing the places looked in, or the files missing from the best one.
    """
    place, files = _locate(data_dir)
    counts = {part: _count(files[f"{part} images"]) for part in ("train", "test")}
    return Found(
        name="fashion_mnist",
        place=str(place),
        data_dir=place,
        images=counts,
        num_classes=len(CLASSES),
        in_chans=1,
    )


def read_fashion(data_dir: Path | None) -> Source:
    """Read the four files.

    Raises: DataError naming every file that is damaged and what is wrong with it.
    """
    place, files = _locate(data_dir)
    mistakes: list[str] = []
    arrays: dict[str, NDArray[np.uint8]] = {}
    for part, file in files.items():
        try:
            arrays[part] = read_idx(file, axes=3 if part.endswith("images") else 1)
        except DataError as cause:
            mistakes.append(str(cause))
    for part in ("train", "test"):
        mistakes += _pair_mistakes(part, arrays, files)
    if mistakes:
        raise DataError.of(f"Fashion-MNIST in {place}", mistakes, hint=HINT)
    pools = {
        part: ArrayPool(
            arrays[f"{part} images"][..., None], arrays[f"{part} labels"].astype(np.int64)
        )
        for part in ("train", "test")
    }
    return Source(
        name="fashion_mnist",
        place=str(place),
        classes=CLASSES,
        in_chans=1,
        flips=True,
        train=pools["train"],
        test=pools["test"],
    )


def read_idx(file: Path, *, axes: int) -> NDArray[np.uint8]:
    """Read an IDX file of bytes with so many axes.

    Raises: DataError saying what about the file is not as its header says.
    """
    content = _content(file)
    head = 4 + 4 * axes
    if len(content) < head:
        raise DataError(f"{file.name}: {len(content)} bytes, shorter than an IDX header ({head})")
    magic = bytes((0, 0, UNSIGNED_BYTE, axes))
    if content[:4] != magic:
        raise DataError(f"{file.name}: starts with {content[:4].hex()}, expected {magic.hex()}")
    shape = tuple(int(n) for n in np.frombuffer(content[4:head], ">u4"))
    if len(content) - head != math.prod(shape):
        sizes = " x ".join(map(str, shape))
        raise DataError(
            f"{file.name}: {len(content) - head} bytes after the header, which says {sizes} = "
            f"{math.prod(shape)}"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _locate(data_dir: Path | None) -> tuple[Path, dict[str, Path]]:
    places = search_places(data_dir, LAYOUTS, DEFAULTS)
    nearest: tuple[Path, dict[str, Path]] | None = None
    for place in places:
        files = {part: file for part, stem in STEMS.items() if (file := _spelled(place, stem))}
        if len(files) == len(STEMS):
            return place, files
        if files and (nearest is None or len(files) > len(nearest[1])):
            nearest = place, files
    if nearest is None:
        raise DataError.of(
            "Fashion-MNIST is in none of these folders", [str(place) for place in places], hint=HINT
        )
    missing = [f"{STEMS[part].format('-')}.gz" for part in STEMS if part not in nearest[1]]
    raise DataError.of(
        f"Fashion-MNIST in {nearest[0]}", [f"{name} is missing" for name in missing], hint=HINT
    )


def _spelled(place: Path, stem: str) -> Path | None:
    for mark in ("-", "."):
        for suffix in (".gz", ""):
            file = place / (stem.format(mark) + suffix)
            if file.is_file():
                return file
    return None


def _content(file: Path) -> bytes:
    try:
        return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except EOFError as cause:
        raise DataError(f"{file.name}: the gzip stream ends early") from cause
    except (OSError, zlib.error) as cause:
        raise DataError(f"{file.name}: {cause}") from cause


def _count(file: Path) -> int:
    """Return the number of images an IDX file announces, reading its header only."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as content:
            return int.from_bytes(content.read(8)[4:], "big")
    except (OSError, EOFError, zlib.error) as cause:
        raise DataError(f"{file}: {cause or 'the gzip stream ends early'}", hint=HINT) from cause


def _pair_mistakes(
    part: str, arrays: Mapping[str, NDArray[np.uint8]], files: Mapping[str, Path]
) -> list[str]:
    images, labels = arrays.get(f"{part} images"), arrays.get(f"{part} labels")
    if images is None or labels is None:
        return []
    where = f"{files[f'{part} images'].name} and {files[f'{part} labels'].name}"
    if len(images) != len(labels):
        return [f"{where}: {len(images)} images, but {len(labels)} labels"]
    if images.size == 0:
        return [f"{where}: no images"]
    if labels.max() >= len(CLASSES):
        return [f"{where}: label {labels.max()}, but the classes are 0..{len(CLASSES) - 1}"]
    return []
