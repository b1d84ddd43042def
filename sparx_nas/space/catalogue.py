"""Find space files by name or path, and read one into a `SearchSpace`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sparx_nas.ground.errors import SpaceError, did_you_mean
from sparx_nas.ground.tree import Mistakes, read_tree
from sparx_nas.space.baselines import read_baselines
from sparx_nas.space.free import FreeStage
from sparx_nas.space.possible import Row
from sparx_nas.space.published import PublishedStage
from sparx_nas.space.reading import Draft, read_draft
from sparx_nas.space.scaling import read_scaling, scaled_text
from sparx_nas.space.search_space import SearchSpace, StageSpace, assemble

SUFFIXES = (".yaml", ".yml")
FOLDER = "search_spaces"


@dataclass(frozen=True)
class SpaceInfo:
    """A space that can be asked for by name; `source` says who put it there."""

    name: str
    about: str
    path: Path
    source: Literal["shipped", "yours"]


def load_space(name_or_path: str | Path) -> SearchSpace:
    """Read a space: by name among those shipped and those in `./search_spaces`, or by path.

    What holds a slash or ends in .yaml or .yml is a path. `NAME@SCALE` is a named space with its
    widths scaled, `NAME@SCALE:CLASSES` one whose target has so many classes, too.

    Raises: SpaceError if there is none, if two differ under one name, or with every mistake of
    the file, each with its line.
    """
    asked = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in asked or "\\" in asked or asked.endswith(SUFFIXES):
        return parse_space(_text(Path(name_or_path)), asked)
    if "@" in asked:
        scaling = read_scaling(asked)
        return parse_space(scaled_text(load_space(scaling.name), scaling), asked)
    path = _find(asked)
    return parse_space(_text(path), str(path))


def list_spaces() -> list[SpaceInfo]:
    """List the spaces that can be asked for by name, shipped ones first, each kind by name.

    A file with mistakes is listed and says so.
    """
    return [SpaceInfo(path.stem, _about(path), path, source) for path, source in _files()]


def parse_space(text: str, place: str) -> SearchSpace:
    """Read the text of a space file; `place` is how messages call it.

    Raises: SpaceError listing every mistake with its line.
    """
    mistakes = Mistakes(place)
    tree = read_tree(text, mistakes)
    if tree is None:
        mistakes.raise_all()
        raise AssertionError("a file without a tree has a mistake")
    draft = read_draft(tree, mistakes)
    stages = tuple(_stage(row, draft) for row in draft.rows)
    designs = read_baselines(draft.baselines, draft.rows, stages, mistakes)
    mistakes.raise_all()
    return SearchSpace(
        name=draft.name,
        about=draft.about,
        path=place,
        source_text=text,
        wiring=draft.wiring,
        stages=tuple(stage for stage in stages if stage),
        settings=draft.settings,
        limits=draft.limits,
        target=draft.target,
        proxy=draft.proxy,
        baselines={name: assemble(parts, draft.settings) for name, parts in designs.items()},
    )


def _stage(row: Row, draft: Draft) -> StageSpace | None:
    """Build the choices of a stage, if its row is sound."""
    if not row.sound or not draft.wiring:
        return None
    if draft.wiring == "free":
        return FreeStage(row.number, row.choices, ganglia=row.ganglia)
    return PublishedStage(row.number, row.choices)


def _folders() -> Sequence[tuple[Path, Literal["shipped", "yours"]]]:
    """Return where spaces are found by name; a folder that is both counts as shipped."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / FOLDER if (package / FOLDER).is_dir() else package.parent / FOLDER
    here = Path.cwd() / FOLDER
    same = here.resolve() == shipped
    return ((shipped, "shipped"),) if same else ((shipped, "shipped"), (here, "yours"))


def _files() -> list[tuple[Path, Literal["shipped", "yours"]]]:
    """Return the files of all spaces that have a name."""
    return [
        (path, source)
        for folder, source in _folders()
        for path in sorted(folder.iterdir() if folder.is_dir() else ())
        if path.suffix in SUFFIXES and path.is_file()
    ]


def _find(name: str) -> Path:
    """Return the file of a name.

    Raises: SpaceError if there is none, or two that differ.
    """
    paths = [path for path, _ in _files()]
    found = [path for path in paths if path.stem == name]
    if not found:
        near = did_you_mean(name, [path.stem for path in paths])
        raise SpaceError(f"unknown space '{name}'.{near}", hint="--list-spaces")
    if len({path.read_bytes() for path in found}) > 1:
        places = " and ".join(str(path) for path in found)
        raise SpaceError(f"{len(found)} spaces are named '{name}': {places}", hint="give the path")
    return found[0]


def _text(path: Path) -> str:
    """Read a file.

    Raises: SpaceError if it is missing, a folder, or no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        names = [str(path.with_name(p.name)) for p in path.parent.glob("*.y*ml")]
        near = did_you_mean(str(path), names)
        raise SpaceError(f"there is no file {path}.{near}", hint="--list-spaces") from error
    except OSError as error:
        raise SpaceError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path} is not a text file, so it is no space") from error


def _about(path: Path) -> str:
    """Return what a file says of itself, or that it has mistakes."""
    mistakes = Mistakes(str(path))
    try:
        tree = read_tree(_text(path), mistakes)
    except SpaceError:
        tree = None
    about = tree.value.get("about") if tree else None
    if tree is None or mistakes.found or about is None or not isinstance(about.value, str):
        return "has mistakes; --explain lists them"
    return about.value.strip()
