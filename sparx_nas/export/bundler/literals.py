"""Values as Python source, laid out for people."""

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

WIDTH = 100
STEP = "    "
Path = tuple[str | int, ...]
Remark = Callable[[Path, Any], str]
"""Says behind an entry of a tuple what it means, or ""; a path is names of fields and places."""


def literal(
    value: Any, *, margin: str = "", taken: int = 0, remarks: Remark | None = None, path: Path = ()
) -> str:
    """Write a value of frozen dataclasses, tuples, texts, numbers, booleans and None.

    What does not fit behind `taken` columns is written an entry a line, as are the values of
    which `remarks` has something to say.
    """
    rows = [((*path, key or place), key, part) for place, (key, part) in enumerate(_entries(value))]
    said = [remarks(at, part) if remarks and not key else "" for at, key, part in rows]
    flat = _flat(value)
    # A comma follows.
    fits = len(margin) + taken + len(flat) + 1 <= WIDTH
    if not rows or (fits and not _remarked(value, path, remarks)):
        return flat
    inner, lines = margin + STEP, []
    for (at, key, part), remark in zip(rows, said, strict=True):
        head = f"{key}=" if key else ""
        text = literal(part, margin=inner, taken=len(head), remarks=remarks, path=at)
        lines.append(f"{inner}{head}{text}," + (f"  # {remark}" if remark else ""))
    opening, closing = _brackets(value)
    return "\n".join([opening, *lines, f"{margin}{closing}"])


def _remarked(value: Any, path: Path, remarks: Remark | None) -> bool:
    """Tell whether anything in a value has a remark."""
    if remarks is None:
        return False
    rows = [((*path, key or place), key, part) for place, (key, part) in enumerate(_entries(value))]
    return any(
        (not key and remarks(at, part)) or _remarked(part, at, remarks) for at, key, part in rows
    )


def _entries(value: Any) -> Iterable[tuple[str, Any]]:
    """Return what a value holds, with the names of a dataclass's fields."""
    if is_dataclass(value):
        return [(f.name, getattr(value, f.name)) for f in fields(value)]
    return [("", part) for part in value] if isinstance(value, tuple) else []


def _brackets(value: Any) -> tuple[str, str]:
    """Return what stands before and behind the entries."""
    return (f"{type(value).__name__}(", ")") if is_dataclass(value) else ("(", ")")


def _flat(value: Any) -> str:
    """Write a value in one line, texts in double quotes."""
    rows = list(_entries(value))
    if not rows and not isinstance(value, tuple) and not is_dataclass(value):
        return f'"{value}"' if _plain(value) else repr(value)
    opening, closing = _brackets(value)
    parts = [f"{key}={_flat(part)}" if key else _flat(part) for key, part in rows]
    comma = "," if isinstance(value, tuple) and len(parts) == 1 else ""
    return f"{opening}{', '.join(parts)}{comma}{closing}"


def _plain(value: Any) -> bool:
    """Tell whether a value is a text that needs no escapes in double quotes."""
    return isinstance(value, str) and repr(value) == f"'{value}'" and '"' not in value


def words_and_types(value: Any) -> tuple[set[str], set[str]]:
    """Return all texts in a value, and the names of the dataclasses in it."""
    words = {value} if isinstance(value, str) else set()
    types = {type(value).__name__} if is_dataclass(value) else set()
    for _, part in _entries(value):
        more_words, more_types = words_and_types(part)
        words, types = words | more_words, types | more_types
    return words, types
