"""How an image folder is laid out: which of its folders are parts, and which are classes."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparx_nas.data.decode import SUFFIXES
from sparx_nas.data.source import Skipped, readable
from sparx_nas.ground.errors import DataError

PARTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""What the folder of a part may be called, in small or capital letters."""

LEFT_BEHIND = ("__MACOSX", "@eaDir")
"""Folders that archives and file servers leave; they hold no pictures of a person."""

HINT = (
    "an image folder holds train/<class>/ and val/<class>/, or nothing but <class>/ with images; "
    "--data takes its path, or --data folder and --data-dir do"
)
SHOWN = 5
"""How many folders a message names."""


@dataclass(frozen=True)
class Layout:
    """An image folder: the folder of each part by its name, and the classes of train.

    The folder of train is the root itself where class folders lie right in it.
    """

    root: Path
    parts: Mapping[str, Path]
    classes: tuple[str, ...]

    def called(self, part: str) -> str:
        """Return what the folder of a part is called, for people."""
        folder = self.parts[part]
        return "the folder" if folder == self.root else f"{readable(folder.name)}/"


@dataclass(frozen=True)
class ClassFolder:
    """All files below a class folder, in a fixed order, and what was not entered, and why.

    `direct` tells whether an image lies right in it; `within` names the folders of images in it.
    """

    files: tuple[Path, ...]
    skipped: tuple[Skipped, ...]
    direct: bool
    within: tuple[str, ...]


def lay_out(data_dir: Path | None) -> Layout:
    """Tell parts from classes by the names of folders and by what is in them.

    Raises: DataError if there is no such folder, or none that can be told apart.
    """
    root = _root(data_dir)
    folders = folders_in(root)
    named = {name: part for name in folders if (part := _part_of(name)) is not None}
    flat = [name for name in named if _is_flat(root / name)]
    parts: dict[str, list[str]] = {}
    for name, part in named.items():
        if name not in flat:
            parts.setdefault(part, []).append(name)
    if "train" in parts:
        parts |= {named[name]: [*parts.get(named[name], ()), name] for name in flat}
        _refuse_two_of_a_kind(root, parts)
        places = {part: root / parts[part][0] for part in PARTS if part in parts}
        return Layout(root, places, tuple(folders_in(places["train"])))
    if parts:
        there = _listed([name for names in parts.values() for name in names])
        raise DataError(
            f"{readable(root)}: there is {there}, but no train/",
            hint="put the class folders to learn from into train/",
        )
    if len(flat) > 1 or (flat and len(folders) == 1):
        raise DataError(
            f"{readable(root)}: {_listed(flat)} hold images, but no class folders",
            hint="put the images of each class into a folder of its name",
        )
    if not folders:
        raise _without_folders(root)
    return Layout(root, {"train": root}, tuple(folders))


def folders_in(place: Path) -> list[str]:
    """List the folders right in a folder, sorted, links among them; hidden ones are left out."""
    with os.scandir(place) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not _hidden(entry.name))


def stray_images(layout: Layout) -> list[Skipped]:
    """List the images that lie in no class folder, and the folders that are no part."""
    strays = [
        Skipped(readable(entry.relative_to(layout.root)), "in no class folder")
        for folder in layout.parts.values()
        for entry in sorted(folder.iterdir())
        if not _hidden(entry.name) and is_image(entry) and entry.is_file()
    ]
    if layout.parts["train"] == layout.root:
        return strays
    others = [layout.root / n for n in folders_in(layout.root) if _part_of(n) is None]
    return strays + [
        Skipped(f"{readable(folder.name)}/", "is neither train/ nor val/ nor test/")
        for folder in others
        if any(_visible_images(one) for one in _with_inner(folder))
    ]


Seen = dict[tuple[int, int], Path]
"""Folders entered so far, by device and inode."""


def class_folder(root: Path, folder: Path, seen: Seen) -> ClassFolder:
    """Walk all that lies below a class folder, linked folders too, each folder once.

    `seen` is added to; a folder in it is listed as skipped.
    """
    files: list[Path] = []
    skipped: list[Skipped] = []

    def unread(error: OSError) -> None:
        place = readable(Path(error.filename).relative_to(root))
        skipped.append(Skipped(f"{place}/", f"cannot be opened: {error.strerror}"))

    for path, folders, names in os.walk(folder, followlinks=True, onerror=unread):
        folders[:] = [
            name
            for name in sorted(folders)
            if not _hidden(name) and _is_new(root, Path(path, name), seen, skipped)
        ]
        files += (Path(path, name) for name in sorted(names) if not _hidden(name))
    inside = [file.relative_to(folder).parts for file in files if is_image(file)]
    within = dict.fromkeys(parts[0] for parts in inside if len(parts) > 1)
    direct = any(len(parts) == 1 for parts in inside)
    return ClassFolder(tuple(files), tuple(skipped), direct, tuple(within))


def nested_mistakes(found: Mapping[str, ClassFolder]) -> list[str]:
    """Say which class folders hold folders of images that look like classes or parts themselves.

    Folders that are called the same in several classes (`<class>/images/`) are no classes.
    """
    mistakes = []
    common = Counter(name for one in found.values() for name in one.within)
    for name, one in found.items():
        said = f"class {readable(name)!r} holds {_listed(one.within)}"
        alone = [inner for inner in one.within if common[inner] == 1]
        if any(_part_of(inner) is not None for inner in one.within):
            mistakes.append(f"{said}; the folders of parts stand outside of those of classes")
        elif any(inner in found for inner in one.within):
            mistakes.append(f"{said}, and a class is called so")
        elif alone and not one.direct and 2 * len(alone) >= len(one.within):
            mistakes.append(f"{said} and no image right in it; are these the classes?")
    return mistakes


def nested_note(layout: Layout, part: str, found: Mapping[str, ClassFolder]) -> list[str]:
    """Say which folders within class folders were read as of the class."""
    place = layout.parts[part].relative_to(layout.root)
    inner = [str(place / name / sub) for name, one in found.items() for sub in one.within]
    if not inner:
        return []
    return [f"images in folders within a class folder are of that class: {_listed(inner)}"]


def is_image(file: Path) -> bool:
    """Tell by its suffix whether a file should be an image."""
    return file.suffix.lower() in SUFFIXES


def _root(data_dir: Path | None) -> Path:
    """Return the absolute path of an image folder.

    Raises: DataError if there is none.
    """
    if data_dir is None:
        raise DataError("an image folder needs its place", hint=HINT)
    root = data_dir.expanduser().absolute()
    if not root.is_dir():
        raise DataError(f"there is no folder {readable(root)}", hint=HINT)
    return root


def _part_of(name: str) -> str | None:
    """Return which part a folder's name means."""
    return next((part for part, words in PARTS.items() if name.lower() in words), None)


def _hidden(name: str) -> bool:
    """Tell whether a file or folder is passed over without a word."""
    return name.startswith(".") or name in LEFT_BEHIND


def _is_flat(folder: Path) -> bool:
    """Tell whether images lie right in a folder and no folder does."""
    return not folders_in(folder) and bool(_visible_images(folder))


def _visible_images(folder: Path) -> list[str]:
    """List the names of the images right in a folder."""
    return [file.name for file in folder.iterdir() if not _hidden(file.name) and is_image(file)]


def _with_inner(folder: Path) -> list[Path]:
    """Return a folder and those right in it; none where it cannot be opened."""
    try:
        return [folder, *(folder / name for name in folders_in(folder))]
    except OSError:
        return []


def _refuse_two_of_a_kind(root: Path, parts: Mapping[str, Sequence[str]]) -> None:
    """Refuse folders of which two mean the same part, or that are the same folder.

    Raises: DataError naming them.
    """
    mistakes = [
        f"{_listed(names)} both mean {part}" for part, names in parts.items() if len(names) > 1
    ]
    real: dict[str, str] = {}
    for name in (name for names in parts.values() for name in names):
        first = real.setdefault(os.path.realpath(root / name), name)
        if first != name:
            mistakes.append(f"{readable(name)}/ is {readable(first)}/ by a link")
    if mistakes:
        hint = "leave one of the two out; without val/ and test/ both are drawn from train/ by seed"
        raise DataError.of(readable(root), mistakes, hint=hint)


def _without_folders(root: Path) -> DataError:
    """Say what is there instead of class folders."""
    images = len(_visible_images(root))
    if not images:
        return DataError(f"{readable(root)} holds neither class folders nor images", hint=HINT)
    return DataError(
        f"{readable(root)} holds {images:,} images, but no class folders",
        hint="put the images of each class into a folder of its name",
    )


def _is_new(root: Path, folder: Path, seen: Seen, skipped: list[Skipped]) -> bool:
    """Tell whether a folder was not entered before, and note it; one that was is skipped."""
    try:
        stat = folder.stat()
    except OSError as cause:
        reason = f"cannot be opened: {cause.strerror}"
    else:
        first = seen.setdefault((stat.st_dev, stat.st_ino), folder)
        if first == folder:
            return True
        reason = f"{readable(os.path.relpath(first, root))}/ once more, by a link"
    skipped.append(Skipped(f"{readable(folder.relative_to(root))}/", reason))
    return False


def _listed(names: Sequence[str]) -> str:
    """Name folders, the first few of many."""
    said = [f"{readable(name)}/" for name in names[:SHOWN]]
    if len(names) > SHOWN:
        return f"{', '.join(said)} and {len(names) - SHOWN} more"
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)
