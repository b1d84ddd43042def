"""Read the baselines of a space file: designs that its own choices can express."""

from collections.abc import Mapping, Sequence
from typing import Any

from sparx_nas.ground.tree import Entry, Mistakes, Scalar, section, shown
from sparx_nas.space.fields import NO_START, NO_WINDOW, PUBLISHED, STAGE_FIELDS, checked
from sparx_nas.space.possible import Row
from sparx_nas.space.published import published_design
from sparx_nas.space.reading import check_start
from sparx_nas.space.search_space import StageSpace
from sparx_nas.space.stage import StageDesign

REQUIRED = ("sparx", "plain", "dense")
WORDS: Mapping[str, Mapping[str, Scalar]] = {
    "plain": {"start": NO_START},
    "dense": {"stride": 1, "start": 1, "window": NO_WINDOW, "density": 1.0},
}
"""What may stand for the fields of a stage."""


def read_baselines(
    entry: Entry | None,
    rows: Sequence[Row],
    stages: Sequence[StageSpace | None],
    mistakes: Mistakes,
) -> dict[str, tuple[StageDesign, ...]]:
    """Return the stages of each baseline, noting those that the space cannot express.

    A stage that is None has mistakes of its own; what baselines say of it is read, not judged.
    """
    if entry is None:
        return {}
    names = tuple(entry.value) if isinstance(entry.value, dict) else REQUIRED
    found: dict[str, tuple[StageDesign, ...]] = {}
    for name, item in section(entry, names, mistakes, required=REQUIRED).items():
        if not isinstance(item.value, list):
            mistakes.add(item, f"is {shown(item)}; it is a list with an entry for each stage.")
            continue
        if rows and len(item.value) != len(rows):
            mistakes.add(item, f"has {len(item.value)} entries for {len(rows)} stages.")
        designs = [
            _design(part, row, stage, mistakes)
            for part, row, stage in zip(item.value, rows, stages, strict=False)
        ]
        found[name] = tuple(design for design in designs if design)
    return found


def _design(
    entry: Entry, row: Row, stage: StageSpace | None, mistakes: Mistakes
) -> StageDesign | None:
    """Read one stage of a baseline; None where it, or the stage's own row, has mistakes."""
    before = len(mistakes.found)
    given = _fields(entry, mistakes)
    if stage is None or len(mistakes.found) > before:
        return None
    values: dict[str, Any] = {
        name: choices[0] for name, choices in row.choices.items() if len(choices) == 1
    }
    values |= {name: row.choices[name][0] for name in ("depth", "width")}
    values = {**PUBLISHED, **values, **given}
    if values["start"] != NO_START and values["start"] > values["depth"]:
        mistakes.add(entry, f"start is {values['start']}; the stage has {values['depth']} layers.")
        return None
    design = published_design(values)
    if stage.encode(design) is None:
        mistakes.add(entry, f"the space cannot express this: {_reason(values, given, row)}.")
    return design


def _fields(entry: Entry, mistakes: Mistakes) -> Mapping[str, Any]:
    """Return the fields that a baseline gives for a stage."""
    if isinstance(entry.value, str) and entry.value in WORDS:
        return WORDS[entry.value]
    if not isinstance(entry.value, dict):
        mistakes.add(entry, f"is {shown(entry)}; it is plain, dense or fields of a stage.")
        return {}
    inner = section(entry, tuple(STAGE_FIELDS), mistakes)
    given = {name: checked(value, STAGE_FIELDS[name], mistakes) for name, value in inner.items()}
    check_start(given, entry, mistakes)
    return given


def _reason(values: Mapping[str, Any], given: Mapping[str, Any], row: Row) -> str:
    """Say which values of a baseline are not among the choices of its stage."""
    if not row.ganglia:
        return "'ganglia: no' keeps the stage plain"
    missing = [
        f"{name} is {values[name]}{'' if name in given else ' (left out)'}, "
        f"the choices are {', '.join(str(choice) for choice in choices)}"
        for name, choices in row.choices.items()
        if values[name] not in choices
    ]
    return "; ".join(missing)
