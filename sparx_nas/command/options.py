"""Options, each said once: what it may be, what `--help` says of it, what it is if nobody gives it.

A dataclass is a table of them; a field made by `option` can be given as a flag and in a YAML file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from typing import Any, Literal, NamedTuple

from sparx_nas.command.checks import Check, yes_or_no
from sparx_nas.ground.errors import OptionError

HINT = "--help lists every option"

Kind = Literal["one", "pair", "words", "repeated", "both"]
"""A value, or a switch where `metavar` is ""; two values with a comma; several words; a flag that
may be repeated; a switch that is on by default and has a flag to turn it off."""
LISTS = ("pair", "words", "repeated")
"""What a file may give as a list; its check reads the items with commas between them."""

Raw = str | Sequence[str] | Mapping[str, Any]
"""A value as it was given: text, a list of texts, or a mapping of such."""


class Given(NamedTuple):
    """An option as it was given, unchecked; `place` is how messages call it."""

    place: str
    raw: Raw


class Option(NamedTuple):
    """How an option is read, and how `--help` shows it.

    `metavar` stands for its value, `default` says what it is if nobody gives it.
    """

    check: Check
    metavar: str
    help: str
    default: str
    kind: Kind = "one"

    def read(self, raw: Raw) -> Any:
        """Return the value that was given.

        Raises: ValueError saying what it should be.
        """
        if isinstance(raw, Mapping):
            raise ValueError("is a mapping; it is one value.")
        if not isinstance(raw, str) and self.kind not in LISTS:
            raise ValueError("is a list; it is a single value.")
        return self.check(raw if isinstance(raw, str) else ",".join(raw))


# A row of a table: its columns are told apart by their place.
def option(
    default: Any, check: Check, metavar: str, help: str, said: str | None = None, kind: Kind = "one"
) -> Any:
    """Return a field of a dataclass that is an option; `said` says its default where it is given.

    The default may be a class, which is called for one.
    """
    shown = _spelled(default) if said is None else said
    told = {"option": Option(check, metavar, help, shown, kind)}
    if isinstance(default, type):
        return field(default_factory=default, metadata=told)
    return field(default=default, metadata=told)


def switch(help: str, said: str | None = None, *, on: bool = False) -> Any:
    """Return a field that a flag alone turns on; one that is `on` has a flag to turn it off."""
    return option(on, yes_or_no, "", help, said, "both" if on else "one")


def options_of(table: type) -> dict[str, Option]:
    """Return the options of a dataclass by name."""
    return {f.name: f.metadata["option"] for f in fields(table) if "option" in f.metadata}


def flag_of(name: str) -> str:
    """Return how an option is typed."""
    return f"--{name.replace('_', '-')}"


def raw_of(value: Any) -> Raw:
    """Spell a value of a command line or of YAML as text, lists and mappings as such of texts."""
    if isinstance(value, Mapping):
        return {key: raw_of(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_item(inner) for inner in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_all(
    given: Mapping[str, Given], options: Mapping[str, Option], mistakes: list[str]
) -> dict[str, Any]:
    """Return the values of what was given, adding what is wrong to `mistakes`."""
    found = {}
    for name, (place, raw) in given.items():
        try:
            found[name] = options[name].read(raw)
        except ValueError as wrong:
            mistakes += [f"{place} {line}" for line in str(wrong).split("\n")]
    return found


def exclusions(given: Mapping[str, Given], rules: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return what cannot be asked for at once; a rule is two options and why, if that is said."""
    return [
        f"{given[a].place} and {given[b].place} cannot both be given{why and f': {why}'}."
        for a, b, why in rules
        if a in given and b in given
    ]


def refuse(mistakes: Sequence[str], where: str, *, hint: str = "") -> None:
    """Raise: OptionError with all mistakes, if there are any; of several `where` is the head."""
    if len(mistakes) == 1:
        raise OptionError(mistakes[0].rstrip("."), hint=hint)
    if mistakes:
        items = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise OptionError(f"{where}\n{items}", hint=hint)


def _item(value: Any) -> str:
    """Spell an item of a list; `{name: macs, direction: min}`, an objective, is `macs:min`."""
    if isinstance(value, Mapping) and set(value) == {"name", "direction"}:
        return f"{value['name']}:{value['direction']}"
    return str(value)


def _spelled(default: Any) -> str:
    """Spell a default as a user would type it."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return "none" if default is None else str(default)
