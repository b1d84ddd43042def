"""CIFAR-10 and CIFAR-100 from the official python archives, packed or extracted.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

import io
import pickle
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparx_nas.data.source import ArrayPool, Found, Source, search_places
from sparx_nas.ground.errors import DataError

SIDE = 32


@dataclass(frozen=True, kw_only=True)
class Format:
    """Names within one of the two archives; `images` counts what the official files hold."""

    archive: str
    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    labels: bytes
    names: bytes
    num_classes: int
    images: Mapping[str, int]


FORMATS = {
    "cifar10": Format(
        archive="cifar-10-python.tar.gz",
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test="test_batch",
        meta="batches.meta",
        labels=b"labels",
        names=b"label_names",
        num_classes=10,
        images={"train": 50_000, "test": 10_000},
    ),
    "cifar100": Format(
        archive="cifar-100-python.tar.gz",
        folder="cifar-100-python",
        train=("train",),
        test="test",
        meta="meta",
        labels=b"fine_labels",
        names=b"fine_label_names",
        num_classes=100,
        images={"train": 50_000, "test": 10_000},
    ),
}


def find_cifar(name: str, data_dir: Path | None) -> Found:
    """Look for the archive or the extracted folder.

    Raises: DataError listing the places looked in.
    """
    kind = FORMATS[name]
    place = _locate(name, data_dir)
    return Found(
        name=name,
        place=str(place),
        data_dir=place,
        images=kind.images,
        num_classes=kind.num_classes,
        in_chans=3,
    )


def read_cifar(name: str, data_dir: Path | None) -> Source:
    """Read the batches, without extracting the archive.

    Raises: DataError naming every batch that is missing or damaged and what is wrong with it.
    """
    kind = FORMATS[name]
    place = _locate(name, data_dir)
    try:
        files = _batches(kind, place)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as cause:
        message = f"{place}: not a whole archive: {cause}"
        raise DataError(message, hint=_hint(kind)) from cause
    mistakes: list[str] = []
    classes = _class_names(kind, files, mistakes)
    read = {file: _read_batch(kind, file, files, mistakes) for file in (*kind.train, kind.test)}
    if mistakes:
        raise DataError.of(f"{name} in {place}", mistakes, hint=_hint(kind))
    return Source(
        name=name,
        place=str(place),
        classes=classes,
        in_chans=3,
        flips=True,
        train=_joined([read[file] for file in kind.train]),
        test=_joined([read[kind.test]]),
    )


def _hint(kind: Format) -> str:
    return (
        f"get {kind.archive} (the python version) from "
        "https://www.cs.toronto.edu/~kriz/cifar.html and give the file, its folder or the "
        "extracted folder as --data-dir"
    )


def _locate(name: str, data_dir: Path | None) -> Path:
    kind = FORMATS[name]
    if data_dir is not None and data_dir.is_file():
        return data_dir.absolute()
    places = search_places(data_dir, ("", name, kind.folder))
    for place in places:
        for folder in (place, place / kind.folder):
            if any((folder / file).is_file() for file in (kind.test, *kind.train)):
                return folder
        if (place / kind.archive).is_file():
            return place / kind.archive
    wanted = f"neither {kind.archive} nor {kind.folder}/ is in these folders"
    raise DataError.of(f"{name}: {wanted}", [str(place) for place in places], hint=_hint(kind))


def _batches(kind: Format, place: Path) -> dict[str, bytes]:
    wanted = {*kind.train, kind.test, kind.meta}
    if place.is_dir():
        return {file: (place / file).read_bytes() for file in wanted if (place / file).is_file()}
    found: dict[str, bytes] = {}
    with tarfile.open(place) as archive:
        for member in archive:
            path = Path(member.name)
            if member.isfile() and path.name in wanted and path.parent.name == kind.folder:
                content = archive.extractfile(member)
                assert content is not None
                found[path.name] = content.read()
    return found


def _read_batch(
    kind: Format, file: str, files: Mapping[str, bytes], mistakes: list[str]
) -> ArrayPool | None:
    batch = _unpickled(file, files, mistakes)
    if batch is None:
        return None
    pixels, labels = batch.get(b"data"), batch.get(kind.labels)
    if not isinstance(pixels, np.ndarray) or not isinstance(labels, list):
        mistakes.append(f"{file}: has no b'data' array and {kind.labels!r} list")
    elif pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3 * SIDE * SIDE) or not labels:
        mistakes.append(
            f"{file}: data is {pixels.dtype} {pixels.shape} for {len(labels)} labels, expected "
            f"uint8 (n, {3 * SIDE * SIDE}) for n labels"
        )
    elif wrong := [n for n in labels if type(n) is not int or not 0 <= n < kind.num_classes]:
        mistakes.append(f"{file}: label {wrong[0]!r} is not in 0..{kind.num_classes - 1}")
    else:
        images = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        return ArrayPool(images, np.array(labels, dtype=np.int64))
    return None


def _class_names(kind: Format, files: Mapping[str, bytes], mistakes: list[str]) -> tuple[str, ...]:
    meta = _unpickled(kind.meta, files, mistakes)
    if meta is None:
        return ()
    names = meta.get(kind.names)
    if not isinstance(names, list) or len(names) != kind.num_classes:
        mistakes.append(f"{kind.meta}: {kind.names!r} does not list {kind.num_classes} names")
        return ()
    return tuple(n.decode() if isinstance(n, bytes) else str(n) for n in names)


def _joined(pools: list[ArrayPool | None]) -> ArrayPool:
    whole = [pool for pool in pools if pool is not None]
    return ArrayPool(
        np.concatenate([pool.pixels for pool in whole]),
        np.concatenate([pool.labels for pool in whole]),
    )


def _unpickled(file: str, files: Mapping[str, bytes], mistakes: list[str]) -> dict[Any, Any] | None:
    """Load the dictionary in a batch file, or note why not."""
    if file not in files:
        mistakes.append(f"{file} is missing")
        return None
    try:
        content = _BatchUnpickler(io.BytesIO(files[file]), encoding="bytes").load()
    # A damaged pickle stops at any instruction, so with any exception.
    except Exception as cause:
        size = len(files[file])
        mistakes.append(f"{file}: no whole batch in its {size} bytes: {cause or type(cause)}")
        return None
    if isinstance(content, dict):
        return content
    mistakes.append(f"{file}: holds a {type(content).__name__}, not a dictionary")
    return None


def _dtype(spec: Any, align: Any = False, copy: Any = False) -> np.dtype[Any]:
    """Rebuild the one dtype of a batch; it holds the flags as numbers, of which numpy would warn.

    Raises: UnpicklingError for any other dtype.
    """
    if np.dtype(spec) != np.uint8:
        raise pickle.UnpicklingError(f"it holds an array of {spec!r}, not of bytes")
    return np.dtype(np.uint8, bool(align), bool(copy))


def _latin1(text: str, encoding: str) -> bytes:
    """Rebuild bytes as Python 3 wrote them for Python 2.

    Raises: UnpicklingError for another encoding, for some of them unpack data.
    """
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it wants to decode {encoding!r}")
    return text.encode("latin1")


_ARRAY: NDArray[np.uint8] = np.zeros(1, np.uint8)
_REBUILD_ARRAY = _ARRAY.__reduce__()[0]
_REBUILD_BUFFER = _ARRAY.__reduce_ex__(5)[0]
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _REBUILD_ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _REBUILD_ARRAY,
    ("numpy.core.numeric", "_frombuffer"): _REBUILD_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _REBUILD_BUFFER,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): bytes,
    ("builtins", "bytes"): bytes,
}
"""Everything a batch may name; whatever else a pickle asks for is refused, for it could be code."""


class _BatchUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch needs")
        return ALLOWED[module, name]
