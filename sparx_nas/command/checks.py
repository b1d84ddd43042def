"""What an option or a field may be: checks that turn text into a value or say what it should be.

A check raises ValueError; its text follows the option's name in a message.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparx_nas.ground.errors import did_you_mean

Check = Callable[[str], Any]


def whole(low: int, high: int = 10**9, *, auto: bool = False) -> Check:
    """Return a check for a whole number in [low, high], or `auto`, read as None."""
    expected = f"a whole number from {low}" + (f" to {high}" if high < 10**9 else "")
    expected += " or 'auto'" if auto else ""

    def check(text: str) -> int | None:
        if auto and text == "auto":
            return None
        if not re.fullmatch(r"[+-]?\d+", text) or not low <= int(text) <= high:
            raise ValueError(f"is {text!r}; it is {expected}.{_near_auto(text, auto)}")
        return int(text)

    return check


def number(
    low: float, high: float, *, open_low: bool = False, open_high: bool = False, auto: bool = False
) -> Check:
    """Return a check for a number between two, or `auto`, read as None."""
    floor = f"above {low:g}" if open_low else f"from {low:g}"
    ceiling = f"below {high:g}" if open_high else f"up to {high:g}"
    expected = f"a number {floor} and {ceiling}" + (", or 'auto'" if auto else "")

    def check(text: str) -> float | None:
        if auto and text == "auto":
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        above = value > low if open_low else value >= low
        below = value < high if open_high else value <= high
        if not (above and below):
            raise ValueError(f"is {text!r}; it is {expected}.{_near_auto(text, auto)}")
        return value

    return check


def one_of(*known: str) -> Check:
    """Return a check for one of a few words."""

    def check(text: str) -> str:
        if text not in known:
            near = did_you_mean(text, known)
            raise ValueError(f"is {text!r}; it is one of {', '.join(known)}.{near}")
        return text

    return check


def stride(text: str) -> int:
    """Check for a stride of the stem."""
    return int(one_of("4", "2", "1")(text))


def some_text(text: str) -> str:
    """Check for text that is not empty."""
    if not text.strip():
        raise ValueError("is empty.")
    return text.strip()


def path(text: str) -> Path:
    """Check for a path, `~` being the home directory."""
    return Path(some_text(text)).expanduser()


def anywhere(path: str) -> str:
    """Return a path that means the same in any working directory."""
    return str(Path(path).expanduser().absolute())


def file_word(text: str) -> str:
    """Check for a word that can name a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise ValueError(f"is {text!r}; it is letters, digits, '.', '_' and '-', at most 100.")
    return text


def yes_or_no(text: str) -> bool:
    """Check for a boolean as YAML files spell it."""
    if text not in ("true", "false"):
        raise ValueError(f"is {text!r}; it is true or false.")
    return text == "true"


def _near_auto(text: str, auto: bool) -> str:
    """Suggest `auto` where it may have been meant."""
    return did_you_mean(text, ["auto"]) if auto else ""
