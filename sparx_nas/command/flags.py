"""The flags of a command line: groups, help and spelling; values stay as they were typed."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import field, make_dataclass
from typing import Annotated, Any

import tyro

from sparx_nas.command.options import Given, Option, flag_of, raw_of

WIDTH = 80
"""Columns of a description at most."""
MARGIN = "  "
NOT_GIVEN = "\0"
"""What an absent flag holds: no command line can."""


def parse_flags(
    groups: Mapping[str, Mapping[str, Option]], argv: Sequence[str], *, prog: str, description: str
) -> dict[str, Given]:
    """Return the options that stand on a command line, by name and unchecked.

    `groups` are those of the help. `--help` and unknown flags end the process (exit 0, 2).
    """
    kinds = {
        group: make_dataclass(group, [(name, *_row(name, row)) for name, row in options.items()])
        for group, options in groups.items()
    }
    parser: Any = make_dataclass(
        "Flags", [(group, kind, field(default_factory=kind)) for group, kind in kinds.items()]
    )
    config = (tyro.conf.OmitArgPrefixes,)
    found = tyro.cli(
        parser, args=list(argv), prog=prog, description=filled(description), config=config
    )
    given = {}
    for group, options in groups.items():
        for name, row in options.items():
            value = getattr(getattr(found, group), name)
            if _is_given(name, row, value, argv):
                given[name] = Given(flag_of(name), raw_of(value))
    return given


def filled(description: str) -> str:
    """Return a description whose paragraphs, apart by blank lines, fit the terminal and 80 columns.

    tyro wraps options only, and joins lines but where one begins with a blank.
    """
    wrap = textwrap.TextWrapper(
        width=min(WIDTH, shutil.get_terminal_size().columns),
        subsequent_indent=MARGIN,
    )
    return "\n\n".join(wrap.fill(part) for part in description.strip().split("\n\n"))


def _is_given(name: str, row: Option, value: Any, argv: Sequence[str]) -> bool:
    """Tell whether a flag that holds this value was typed."""
    if row.kind == "both":
        return bool({flag_of(name), flag_of(f"no-{name}")} & set(argv))
    return value not in (NOT_GIVEN, (), False)


def _row(name: str, row: Option) -> tuple[Any, Any]:
    """Return the annotation of a flag, and what it holds when it is not given.

    Annotations are plain classes: tyro checks others with a package that takes 0.1 s to load.
    """
    shown = tyro.conf.arg(
        help=row.help,
        metavar=row.metavar or None,
        help_behavior_hint=f"(default: {row.default})" if row.default else "",
        aliases=("-v",) if name == "verbose" else None,
    )
    if row.kind == "both":
        return Annotated[bool, shown], True
    if not row.metavar:
        return Annotated[bool, shown, tyro.conf.FlagCreatePairsOff], False
    if row.kind == "repeated":
        return Annotated[tuple, shown, tyro.conf.UseAppendAction], ()
    if row.kind == "words":
        return Annotated[tuple, shown], ()
    return Annotated[str, shown], NOT_GIVEN
