"""Image folders: `train/<class>/*`, `val/<class>/*` and `test/<class>/*`, or `<class>/*` alone.

With test/, val/ is the val split. Without, val/ is the test split, which a search must not see,
and the val split is taken from train/. What there is no folder for is drawn from train by seed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sparx_nas.data.file_pool import FilePool
from sparx_nas.data.layout import (
    HINT,
    ClassFolder,
    Layout,
    Seen,
    class_folder,
    folders_in,
    is_image,
    lay_out,
    nested_mistakes,
    nested_note,
    stray_images,
)
from sparx_nas.data.overlap import shared
from sparx_nas.data.source import Found, Skipped, Source, readable
from sparx_nas.ground.errors import DataError

MOST_SHARED = 0.1
"""Share of a part's images that train may have as well; they are left out of train."""


def find_folder(data_dir: Path | None) -> Found:
    """Count classes and files; nothing is opened.

    Raises: DataError if classes and parts cannot be told apart.
    """
    layout = lay_out(data_dir)
    found = {part: _class_folders(layout, part, _Report()) for part in layout.parts}
    counts = {
        part: sum(is_image(file) for one in classes.values() for file in one.files)
        for part, classes in found.items()
    }
    return Found(
        name="folder",
        place=readable(layout.root),
        data_dir=layout.root,
        images=counts if len(counts) > 1 else {"all": counts["train"]},
        num_classes=len(layout.classes),
        in_chans=3,
    )


def read_folder(data_dir: Path | None, *, with_test: bool = True) -> Source:
    """List the image files of each part and class; hidden files are passed over.

    Without `with_test` a test/ is passed over as well.

    Raises: DataError naming the classes without an image, those outside train/, those that look
    like folders of classes, and parts that are the same images, all at once.
    """
    layout = lay_out(data_dir)
    if not with_test:
        kept = {part: folder for part, folder in layout.parts.items() if part != "test"}
        layout = replace(layout, parts=kept)
    report = _Report(skipped=stray_images(layout))
    pools = {part: _listed_part(layout, part, report) for part in layout.parts}
    _note_classes(layout, pools, report)
    if not report.mistakes:
        pools = _apart(layout, pools, report)
    if report.mistakes:
        raise DataError.of(readable(layout.root), report.mistakes, hint=report.hint)
    val = layout.called("val") if "val" in pools else ""
    test = layout.called("test") if "test" in pools else f"{val}, for there is no test/"
    return Source(
        name="folder",
        place=readable(layout.root),
        classes=tuple(readable(name) for name in layout.classes),
        in_chans=3,
        flips=True,
        train=pools["train"],
        val=pools.get("val") if "test" in pools else None,
        val_origin=val,
        test=pools.get("test", pools.get("val")),
        test_origin=test,
        skipped=tuple(report.skipped),
        notes=tuple(report.notes),
    )


@dataclass
class _Report:
    """What is gathered while a folder is read: what is left out, remarks, mistakes and a fix."""

    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    hint: str = HINT


def _class_folders(layout: Layout, part: str, report: _Report) -> dict[str, ClassFolder]:
    """Walk the class folders that a part has, and note those that are one folder."""
    place = layout.parts[part]
    seen: Seen = {}
    for folder in (layout.root, place):
        stat = folder.stat()
        seen[stat.st_dev, stat.st_ino] = folder
    there = [name for name in layout.classes if (place / name).is_dir()]
    for name in there:
        stat = (place / name).stat()
        first = seen.setdefault((stat.st_dev, stat.st_ino), place / name)
        if first != place / name:
            called = readable(os.path.relpath(first, layout.root))
            report.mistakes.append(f"class {readable(name)!r} is {called}/ by a link")
    return {name: class_folder(layout.root, place / name, seen) for name in there}


def _listed_part(layout: Layout, part: str, report: _Report) -> FilePool:
    """List the images of a part, and note what is skipped and what looks wrong."""
    found = _class_folders(layout, part, report)
    nested = nested_mistakes(found) if part == "train" else []
    report.mistakes += nested
    report.notes += nested_note(layout, part, found)
    if nested and len(found) == 1:
        inner = layout.parts[part] / next(iter(found))
        report.hint = f"if the data are there, --data {readable(inner)}"
    files: list[str] = []
    sizes: list[int] = []
    labels: list[int] = []
    for label, name in enumerate(layout.classes):
        one = found.get(name)
        report.skipped += one.skipped if one else ()
        for file in one.files if one else ():
            relative = str(file.relative_to(layout.root))
            reason, size = _sight(file)
            if reason:
                report.skipped.append(Skipped(readable(relative), reason))
                continue
            files.append(relative)
            sizes.append(size)
            labels.append(label)
    return FilePool(layout.root, tuple(files), tuple(sizes), np.array(labels, dtype=np.int64))


def _note_classes(layout: Layout, pools: Mapping[str, FilePool], report: _Report) -> None:
    """Note too few classes, classes without images, and classes that train does not have."""
    names, said = layout.classes, layout.called("train")
    if len(names) < 2:
        folders = "1 class folder" if len(names) == 1 else "0 class folders"
        report.mistakes.append(f"{said} has {folders}, 2 are needed")
    present = set(pools["train"].labels.tolist())
    report.mistakes += [
        f"class {readable(name)!r} has no image in {said}"
        for label, name in enumerate(names)
        if label not in present
    ]
    for part in [part for part in pools if part != "train"]:
        said_here = layout.called(part)
        strange = [name for name in folders_in(layout.parts[part]) if name not in names]
        report.mistakes += [
            f"class {readable(n)!r} is in {said_here}, but not in {said}" for n in strange
        ]
        if not pools[part].files:
            report.mistakes.append(f"{said_here} has no image of the classes in {said}")
            continue
        there = set(pools[part].labels.tolist())
        without = [repr(readable(n)) for label, n in enumerate(names) if label not in there]
        if without:
            report.notes.append(f"{said_here} has no image of {', '.join(without)}")


def _apart(layout: Layout, pools: Mapping[str, FilePool], report: _Report) -> dict[str, FilePool]:
    """Leave out what another part holds as well, so that no image that judges was learned from.

    A part of which train has more than `MOST_SHARED` is a mistake.
    """
    out = dict(pools)
    for first, second in (("train", "test"), ("train", "val"), ("val", "test")):
        if first not in out or second not in out:
            continue
        pool, other = out[first], out[second]
        twins, looked_for = shared(pool, other)
        if not twins:
            continue
        here, there = layout.called(first), layout.called(second)
        index, twin = next(iter(twins.items()))
        if len(set(twins.values())) > MOST_SHARED * looked_for:
            report.mistakes.append(
                f"{len(set(twins.values())):,} of {looked_for:,} images of {there} are in {here} "
                f"as well: {other.name(twin)} is {pool.name(index)}"
            )
            report.hint = f"take {there} away, and what judges is drawn from {here} by seed"
            continue
        report.skipped += [
            Skipped(pool.name(index), f"the same image as {other.name(twin)}")
            for index, twin in twins.items()
        ]
        out[first] = pool.only(np.setdiff1d(np.arange(len(pool.files)), list(twins)))
    left = set(out["train"].labels.tolist())
    report.mistakes += [
        f"every image of class {readable(name)!r} in train is in another part as well"
        for label, name in enumerate(layout.classes)
        if label not in left and not report.mistakes
    ]
    return out


def _sight(file: Path) -> tuple[str, int]:
    """Return why a file cannot be an image, or nothing, and its size in bytes."""
    if not is_image(file):
        return f"{file.suffix or 'a name without a suffix'} is no image format read here", 0
    try:
        size = file.stat().st_size
    except OSError as cause:
        return f"cannot be opened: {cause.strerror}", 0
    return ("" if size else "empty file"), size
