"""Try a file's settings and widths on small networks, so that no candidate fails later."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.families import FAMILIES
from sparx_nas.architecture.graph import ConnectivityGraph, StageGraph
from sparx_nas.architecture.patterns import dense_stage, plain_stage
from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.ground.tree import Entry, Mistakes, Scalar
from sparx_nas.space.fields import NO_START


@dataclass(frozen=True, kw_only=True)
class Row:
    """The choices of one stage as the file gives them, defaults filled in; `number` is from 1.

    `ganglia` is False where a free stage is kept plain; `width_line` is where its widths stand.
    Unless `sound`, the row has mistakes, and choices may be missing.
    """

    number: int
    choices: Mapping[str, tuple[Scalar, ...]]
    ganglia: bool
    width_line: int
    sound: bool

    @property
    def may_have_ganglia(self) -> bool:
        """Tell whether any choice gives the stage a ganglion."""
        return self.ganglia and self.choices.get("start") != (NO_START,)


def note_impossible(
    top: Mapping[str, Entry],
    rows: Sequence[Row],
    settings: Mapping[str, Any],
    mistakes: Mistakes,
) -> None:
    """Note each setting, and then each width of a stage, that no network can have."""
    count = len(rows) or 1
    before = len(mistakes.found)
    usual = _usual_widths(settings, count)
    for line, setting in _one_by_one(top, settings):
        _try(line, (plain_stage(1),) * count, usual, setting, mistakes)
    shared = settings if len(mistakes.found) == before else {}
    for row in rows:
        for width in row.choices.get("width", ()):
            stages, widths = [plain_stage(1)] * count, list(usual)
            stages[row.number - 1] = dense_stage(1) if row.may_have_ganglia else plain_stage(1)
            widths[row.number - 1] = int(width)
            _try(row.width_line, tuple(stages), tuple(widths), shared, mistakes)


def _one_by_one(
    top: Mapping[str, Entry], settings: Mapping[str, Any]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield every setting by itself, beside the family and the heads, with its line."""
    family = {key: settings[key] for key in ("backbone",) if key in settings}
    mixer: Any = settings.get("mixer")
    heads = {"heads": mixer.heads} if hasattr(mixer, "heads") else {}
    shared = family | ({"mixer": type(mixer)(**heads)} if heads else {})
    for key, value in settings.items():
        if key != "mixer":
            yield top[key].line, shared | {key: value}
            continue
        written = top[key].value if key in top else {}
        for name, entry in written.items() if isinstance(written, dict) else ():
            if hasattr(value, name):
                one = type(value)(**(heads | {name: getattr(value, name)}))
                yield entry.line, shared | {key: one}


def _usual_widths(settings: Mapping[str, Any], stages: int) -> tuple[int, ...]:
    """Return widths that nothing is wrong with, whatever the heads."""
    family = FAMILIES.get(str(settings.get("backbone")))
    mixer = settings.get("mixer") or (family.settings if family else None)
    heads = tuple(getattr(mixer, "heads", ()))
    return tuple(64 * h for h in heads) if len(heads) == stages else (64,) * stages


def _try(
    line: int,
    stages: tuple[StageGraph, ...],
    widths: tuple[int, ...],
    settings: Mapping[str, Any],
    mistakes: Mistakes,
) -> None:
    """Note why these make no architecture, if they make none."""
    try:
        Architecture(graph=ConnectivityGraph(stages), widths=widths, **settings)
    except ArchitectureError as error:
        mistakes.add_line(line, str(error).removeprefix("architecture: "))
