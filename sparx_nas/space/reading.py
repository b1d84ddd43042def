"""Read the sections of a space file; every mistake is noted and the rest still read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sparx_nas.architecture.families import FAMILIES, MixerSettings
from sparx_nas.ground.tree import Entry, Mistakes, Scalar, section, shown
from sparx_nas.space.fields import (
    LIMITS,
    MIXER,
    MIXER_BY_STAGE,
    NO_START,
    PROXY,
    PUBLISHED,
    SETTINGS,
    STAGE_FIELDS,
    STAGE_SETTINGS,
    TARGET,
    USUAL_TARGET,
    Check,
    amount,
    checked,
    checked_choices,
    file_word,
    one_of,
    text,
    yes_or_no,
)
from sparx_nas.space.possible import Row, note_impossible
from sparx_nas.space.published import LARGEST_TABLE, combinations

SCHEMA = 1
REQUIRED = ("schema", "name", "about", "backbone", "wiring", "stages", "baselines")
SECTIONS = (*REQUIRED, *SETTINGS, "mixer", *STAGE_SETTINGS, "limits", "target", "proxy")
WIRINGS = ("published", "free")
FREE_FIELDS = ("depth", "width", "stage_input", "ganglia")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A space file without its baselines.

    `settings` are arguments of `Architecture`.
    """

    name: str
    about: str
    wiring: str
    rows: tuple[Row, ...]
    settings: Mapping[str, Any]
    limits: Mapping[str, int]
    target: Mapping[str, int]
    proxy: Mapping[str, Scalar]
    baselines: Entry | None


def read_draft(tree: Entry, mistakes: Mistakes) -> Draft:
    """Read everything but the baselines."""
    top = section(tree, SECTIONS, mistakes, required=REQUIRED)
    heads: dict[str, Check] = {
        "schema": one_of(SCHEMA),
        "name": file_word,
        "about": text,
        "wiring": one_of(*WIRINGS),
    }
    head = {key: checked(top[key], check, mistakes) for key, check in heads.items() if key in top}
    rows = _rows(top.get("stages"), head.get("wiring"), mistakes)
    settings = _settings(top, len(rows), mistakes)
    note_impossible(top, rows, settings, mistakes)
    return Draft(
        name=head.get("name") or "",
        about=head.get("about") or "",
        wiring=head.get("wiring") or "",
        rows=rows,
        settings=settings,
        limits=_values(top.get("limits"), dict.fromkeys(LIMITS, amount), mistakes),
        target=USUAL_TARGET | _values(top.get("target"), TARGET, mistakes),
        proxy=_values(top.get("proxy"), PROXY, mistakes),
        baselines=top.get("baselines"),
    )


def check_start(given: Collection[str], where: Entry, mistakes: Mistakes) -> None:
    """Note where a field of a ganglion is set, and not at which layer ganglia start."""
    ganglion_fields = [key for key in given if key in PUBLISHED]
    if ganglion_fields and "start" not in given:
        mistakes.add(
            where,
            f"start: missing; {ganglion_fields[0]} matters only where ganglia start at a layer.",
        )


def _values(entry: Entry | None, checks: Mapping[str, Check], mistakes: Mistakes) -> dict[str, Any]:
    """Read an optional mapping of single values."""
    if entry is None:
        return {}
    inner = section(entry, tuple(checks), mistakes)
    found = {key: checked(value, checks[key], mistakes) for key, value in inner.items()}
    return {key: value for key, value in found.items() if value is not None}


def _rows(entry: Entry | None, wiring: str | None, mistakes: Mistakes) -> tuple[Row, ...]:
    """Read the stages; without a known wiring the fields of either are accepted."""
    if entry is None:
        return ()
    if not isinstance(entry.value, list) or not entry.value:
        mistakes.add(entry, f"is {shown(entry)}; it is a list with a row for each stage.")
        return ()
    known = {"published": tuple(STAGE_FIELDS), "free": FREE_FIELDS}
    fields = known.get(wiring or "", (*STAGE_FIELDS, "ganglia"))
    return tuple(_row(number, item, fields, mistakes) for number, item in enumerate(entry.value, 1))


def _row(number: int, item: Entry, fields: tuple[str, ...], mistakes: Mistakes) -> Row:
    """Read one stage."""
    before = len(mistakes.found)
    inner = section(item, fields, mistakes, required=("depth", "width"))
    ganglia = True
    if "ganglia" in inner:
        ganglia = checked(inner.pop("ganglia"), yes_or_no, mistakes) is not False
    given = {
        key: checked_choices(inner[key], check, mistakes)
        for key, check in STAGE_FIELDS.items()
        if key in inner
    }
    if "start" in fields:
        check_start(given, item, mistakes)
    usual = {key: (value,) for key, value in PUBLISHED.items() if key in fields}
    choices = {key: (usual | given)[key] for key in STAGE_FIELDS if key in usual | given}
    _check_row(number, choices, inner, mistakes)
    return Row(
        number=number,
        choices=choices,
        ganglia=ganglia,
        width_line=inner.get("width", item).line,
        sound=len(mistakes.found) == before,
    )


def _check_row(
    number: int,
    choices: Mapping[str, tuple[Any, ...]],
    places: Mapping[str, Entry],
    mistakes: Mistakes,
) -> None:
    """Note choices that are each possible but not with the stage's others."""
    depths = choices.get("depth", ())
    for start in choices.get("start", ()) if depths else ():
        if start != NO_START and start > max(depths):
            mistakes.add(
                places["start"],
                f"is {start}, but the stage has {max(depths)} layers; 'none' is for no ganglia.",
            )
    if "density" in choices and combinations(choices) > LARGEST_TABLE:
        mistakes.add_line(
            places["depth"].line,
            f"stages[{number}]: its choices have {combinations(choices):,} combinations; "
            f"at most {LARGEST_TABLE:,} are tabulated. Leave some out, or use 'wiring: free'.",
        )


def _settings(top: Mapping[str, Entry], stages: int, mistakes: Mistakes) -> dict[str, Any]:
    """Read the settings that every candidate shares."""
    found = {
        key: checked(top[key], check, mistakes) for key, check in SETTINGS.items() if key in top
    }
    for key, check in STAGE_SETTINGS.items():
        if key in top:
            found[key] = _per_stage(top[key], check, stages, mistakes)
    family = FAMILIES.get(str(found.get("backbone")))
    if family and ("mixer" in top or any(hasattr(family.settings, k) for k in MIXER_BY_STAGE)):
        # Where the section is left out its line is that of the backbone, which asks for it.
        entry = top.get("mixer", Entry("mixer", top["backbone"].line, {}))
        found["mixer"] = _mixer(entry, family.settings, stages, mistakes)
    return {key: value for key, value in found.items() if value is not None}


def _mixer(entry: Entry, usual: MixerSettings, stages: int, mistakes: Mistakes) -> MixerSettings:
    """Read the settings of the mixer; those with mistakes are left out."""
    before, checks = len(mistakes.found), MIXER[type(usual)]
    inner = section(entry, tuple(checks), mistakes)
    found: dict[str, Any] = {
        key: _per_stage(value, checks[key], stages, mistakes)
        if key in MIXER_BY_STAGE
        else checked(value, checks[key], mistakes)
        for key, value in inner.items()
    }
    by_stage = [key for key in checks if key in MIXER_BY_STAGE]
    for key in by_stage if stages and isinstance(entry.value, dict) else ():
        if key not in inner and len(getattr(usual, key)) != stages:
            text = f"mixer.{key}: missing; {stages} stages need an entry each."
            mistakes.add_line(entry.line, text)
    given = {key: value for key, value in found.items() if value is not None}
    if len(mistakes.found) > before:
        # With ones, which fit any widths, no mistake is told again at every stage.
        given = dict.fromkeys(by_stage, (1,) * stages) | given
    return type(usual)(**given)


def _per_stage(
    entry: Entry, check: Check, stages: int, mistakes: Mistakes
) -> tuple[Any, ...] | None:
    """Read a setting of the stages: one entry each, or one for all; None after a mistake."""
    before = len(mistakes.found)
    if isinstance(entry.value, list) and len(entry.value) != stages:
        mistakes.add(entry, f"has {len(entry.value)} entries for {stages} stages.")
        return None
    items = entry.value if isinstance(entry.value, list) else [entry] * stages
    values = tuple(checked(item, check, mistakes) for item in items)
    return values if len(mistakes.found) == before else None
