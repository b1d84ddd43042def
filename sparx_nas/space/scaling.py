"""A space with its widths scaled, for the classes at hand: `mamba_t@0.62:5` by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.plan import scaled_width
from sparx_nas.ground.errors import SpaceError
from sparx_nas.space.search_space import SearchSpace

LEAST, MOST = 0.1, 2.0
"""Scales that there are; steps are hundredths, for widths move by 8."""
SPELLING = re.compile(r"([^@]+)@(\d+(?:\.\d{1,2})?)(?::(\d{1,7}))?(?::(\d{1,4}))?")


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Which space, times what, for how many classes and channels; None is as in the space."""

    name: str
    scale: float
    classes: int | None = None
    in_chans: int | None = None

    def __str__(self) -> str:
        """Spell it as `--space` takes it."""
        tail = [n for n in (self.classes, self.in_chans) if n is not None]
        return ":".join([f"{self.name}@{self.scale:g}", *map(str, tail)])

    @property
    def words(self) -> str:
        """Say it in a sentence."""
        times = "" if self.scale == 1 else f" with its widths times {self.scale:g}"
        return f"{self.name}{times}" + (f", for {self.classes} classes" if self.classes else "")


def read_scaling(asked: str) -> Scaling:
    """Read `NAME@SCALE`, `NAME@SCALE:CLASSES` or `NAME@SCALE:CLASSES:CHANNELS`.

    Raises: SpaceError if it is none of them, or out of range.
    """
    match = SPELLING.fullmatch(asked)
    hint = "such as mamba_t@0.62, or mamba_t@0.62:5 for five classes"
    if not match:
        raise SpaceError(f"'{asked}' is no scaled space; it is NAME@SCALE[:CLASSES]", hint=hint)
    scale, counts = float(match[2]), [int(n) if n else None for n in match.groups()[2:]]
    if not LEAST <= scale <= MOST:
        raise SpaceError(f"'{asked}' scales by {scale:g}; it is from {LEAST:g} to {MOST:g}")
    if 0 in counts:
        raise SpaceError(f"'{asked}' has no classes or channels; leave them out", hint=hint)
    return Scaling(name=match[1], scale=scale, classes=counts[0], in_chans=counts[1])


def scaled_design(design: Architecture, scale: float) -> Architecture:
    """Scale the widths of a design, to multiples of 8 that its heads divide."""
    heads = heads_of(getattr(design.mixer, "heads", ()), len(design.widths))
    parts = zip(design.widths, heads, strict=True)
    return replace(design, widths=tuple(scaled_width(w, scale, h) for w, h in parts))


def scaled_text(space: SearchSpace, scaling: Scaling) -> str:
    """Return a file like the space's with widths scaled, the target's classes set, limits gone.

    The space's limits were made for its own widths, and there is one text for each `scaling`.
    """
    content: dict[str, Any] = yaml.safe_load(space.source_text)
    heads = heads_of(getattr(space.settings.get("mixer"), "heads", ()), len(content["stages"]))
    rows = [content["stages"], *content["baselines"].values()]
    for stages in rows:
        for row, head in zip(stages, heads, strict=True):
            if isinstance(row, dict) and "width" in row:
                row["width"] = _scaled(row["width"], scaling.scale, head)
    if scaling.scale != 1:
        content["name"] = f"{space.name}_x{scaling.scale:g}".replace(".", "_")
    content["about"] = f"{scaling.words}: {space.about}"
    content.pop("limits", None)
    given = {"num_classes": scaling.classes, "in_chans": scaling.in_chans}
    content["target"] = {**space.target, **{k: n for k, n in given.items() if n is not None}}
    body = yaml.safe_dump(
        content, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )
    return f"# {scaling.words}: --space {scaling} makes it anew.\n{body}"


def heads_of(heads: Sequence[int], stages: int) -> tuple[int, ...]:
    """Return the heads of every stage, 0 where there is no attention."""
    return tuple(heads) if heads else (0,) * stages


def _scaled(width: Any, scale: float, heads: int) -> Any:
    """Scale a width, or a list of choices, of which equal ones become one."""
    if not isinstance(width, list):
        return scaled_width(width, scale, heads)
    return list(dict.fromkeys(scaled_width(choice, scale, heads) for choice in width))
