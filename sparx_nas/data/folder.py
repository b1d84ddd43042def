"""Image folders: `train/<class>/*`, `val/<class>/*` and, if there is one, `test/<class>/*`.

With `test/`, val/ is the val split. Without, val/ is the test split, which a search must not see,
and the val split is taken from train/.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sparx_nas.data.decode import SUFFIXES, decode
from sparx_nas.data.source import Found, Skipped, Source, digest_files, readable
from sparx_nas.data.splits import Labels
from sparx_nas.ground.errors import DataError

HINT = "give a folder that holds train/<class>/ and val/<class>/ with images as --data-dir"


@dataclass(frozen=True)
class FilePool:
    """Image files: paths relative to `root`, sizes in bytes, labels."""

    root: Path
    files: tuple[str, ...]
    sizes: tuple[int, ...]
    labels: Labels

    def digest(self) -> bytes:
        """Hash relative paths, sizes and labels, and of a small set the contents."""
        return digest_files(self.root, self.files, self.sizes, self.labels)

    def name(self, index: int) -> str:
        """Return the relative path of an image."""
        return readable(self.files[index])

    def picture(self, index: int, side: int) -> Image.Image:
        """Decode an image file."""
        return decode(self.root / self.files[index], side)


def find_folder(data_dir: Path | None) -> Found:
    """Count classes and files; nothing is opened.

    Raises: DataError if train/ or val/ is missing.
    """
    root = _root(data_dir)
    parts = [part for part in ("train", "val", "test") if (root / part).is_dir()]
    counts = {part: sum(1 for _ in _image_files(root / part)) for part in parts}
    return Found(
        name="folder",
        place=readable(root),
        data_dir=root,
        images=counts,
        num_classes=len(_class_folders(root / "train")),
        in_chans=3,
    )


def read_folder(data_dir: Path | None, *, with_test: bool = True) -> Source:
    """List the image files of each part and class; hidden files are passed over.

    Without `with_test` a test/ is passed over as well.

    Raises: DataError naming the classes without an image and those outside train/, all at once.
    """
    root = _root(data_dir)
    names = _class_folders(root / "train")
    skipped: list[Skipped] = []
    train = _list_part(root, "train", names, skipped)
    val = _list_part(root, "val", names, skipped)
    judged = with_test and (root / "test").is_dir()
    test = _list_part(root, "test", names, skipped) if judged else None
    mistakes = [] if len(names) > 1 else [f"train/ has {len(names)} class folders, 2 are needed"]
    present = set(train.labels.tolist())
    mistakes += [
        f"class {readable(name)!r} has no image in train/"
        for label, name in enumerate(names)
        if label not in present
    ]
    for part, pool in (("val", val), ("test", test)):
        if pool is None:
            continue
        strange = [name for name in _class_folders(root / part) if name not in names]
        mistakes += [f"class {readable(n)!r} is in {part}/, but not in train/" for n in strange]
        if not pool.files:
            mistakes.append(f"{part}/ has no image of the classes in train/")
    if mistakes:
        raise DataError.of(readable(root), mistakes, hint=HINT)
    return Source(
        name="folder",
        place=readable(root),
        classes=tuple(readable(name) for name in names),
        in_chans=3,
        flips=True,
        train=train,
        val=val if test is not None else None,
        test=test if test is not None else val,
        test_origin="test/" if test is not None else "val/, for there is no test/",
        skipped=tuple(skipped),
    )


def _root(data_dir: Path | None) -> Path:
    if data_dir is None:
        raise DataError("an image folder needs its place", hint=HINT)
    root = data_dir.expanduser().absolute()
    if not root.is_dir():
        raise DataError(f"there is no folder {readable(root)}", hint=HINT)
    missing = [part for part in ("train", "val") if not (root / part).is_dir()]
    if missing:
        raise DataError.of(
            readable(root), [f"there is no {part}/ in it" for part in missing], hint=HINT
        )
    return root


def _class_folders(part: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in os.scandir(part)
        if entry.is_dir() and not entry.name.startswith(".")
    )


def _files(folder: Path) -> Iterator[Path]:
    """Walk all files below a folder in a fixed order, hidden files and folders left out."""
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(path, name) for name in sorted(files) if not name.startswith("."))


def _image_files(part: Path) -> Iterator[Path]:
    for name in _class_folders(part):
        yield from (file for file in _files(part / name) if file.suffix.lower() in SUFFIXES)


def _list_part(root: Path, part: str, names: list[str], skipped: list[Skipped]) -> FilePool:
    files: list[str] = []
    sizes: list[int] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        for file in _files(root / part / name):
            relative = str(file.relative_to(root))
            reason, size = _sight(file)
            if reason:
                skipped.append(Skipped(readable(relative), reason))
                continue
            files.append(relative)
            sizes.append(size)
            labels.append(label)
    return FilePool(root, tuple(files), tuple(sizes), np.array(labels, dtype=np.int64))


def _sight(file: Path) -> tuple[str, int]:
    """Return why a file cannot be an image, or nothing, and its size in bytes."""
    if file.suffix.lower() not in SUFFIXES:
        return f"{file.suffix or 'a name without a suffix'} is no image format read here", 0
    try:
        size = file.stat().st_size
    except OSError as cause:
        return f"cannot be opened: {cause.strerror}", 0
    return ("" if size else "empty file"), size
