"""What each value of a space file may be: checks that return the value or say what it should be."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from sparx_nas.architecture.buildable import ACTIVATIONS
from sparx_nas.architecture.families import (
    FAMILIES,
    ConvSettings,
    MambaSettings,
    MixerSettings,
    PvtSettings,
    SwinSettings,
)
from sparx_nas.ground.errors import did_you_mean
from sparx_nas.ground.tree import Entry, Mistakes, Scalar, shown

Check = Callable[[Any], Any]
NO_START = "none"
NO_WINDOW = "all"
DEEPEST = 64
SUFFIXES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


class WrongValueError(ValueError):
    """A value that its field cannot have; the text follows the field's name in a message."""


def whole(low: int, high: int, *, word: str = "") -> Check:
    """Return a check for a whole number in [low, high], or one word instead."""
    expected = f"a whole number from {low} to {high}" + (f", or {word!r}" if word else "")

    def check(value: Any) -> Scalar:
        if word and value == word:
            return word
        if type(value) is not int or not low <= value <= high:
            near = did_you_mean(value, [word]) if word and isinstance(value, str) else ""
            raise WrongValueError(f"is {shown(value)}; it is {expected}.{near}")
        return value

    return check


def number(high: float, *, word: str = "") -> Check:
    """Return a check for a number in (0, high], or one word instead (read as None)."""
    expected = f"a number above 0 and at most {high:g}" + (f", or {word!r}" if word else "")

    def check(value: Any) -> float | None:
        if word and value == word:
            return None
        if type(value) not in (int, float) or not 0 < value <= high:
            raise WrongValueError(f"is {shown(value)}; it is {expected}.")
        return float(value)

    return check


def one_of(*known: Scalar) -> Check:
    """Return a check for one of a few values."""
    expected = ", ".join(str(value) for value in known)

    def check(value: Any) -> Scalar:
        for choice in known:
            if type(value) is type(choice) and value == choice:
                return choice
        words = [choice for choice in known if isinstance(choice, str)]
        near = did_you_mean(value, words) if isinstance(value, str) else ""
        raise WrongValueError(f"is {shown(value)}; it is one of {expected}.{near}")

    return check


def text(value: Any) -> str:
    """Check for one line of text."""
    if not isinstance(value, str) or not value.strip() or "\n" in value.strip():
        raise WrongValueError(f"is {shown(value)}; it is one line of text.")
    return value.strip()


def file_word(value: Any) -> str:
    """Check for a word that can name a folder."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
        raise WrongValueError(f"is {shown(value)}; it is letters, digits, '_' and '-', at most 64.")
    return value


def yes_or_no(value: Any) -> bool:
    """Check for a boolean."""
    if not isinstance(value, bool):
        raise WrongValueError(f"is {shown(value)}; it is yes or no.")
    return value


def amount(value: Any) -> int:
    """Check for a count that may be written with a suffix: 31M is 31,000,000."""
    written = value if isinstance(value, str) else ""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", written)
    if match and match[2] not in SUFFIXES:
        near = " Suffixes are capital letters." if match[2].upper() in SUFFIXES else ""
        raise WrongValueError(
            f"is {value!r}; a suffix is K, M or G (10^3, 10^6, 10^9), not {match[2]!r}.{near}"
        )
    if match:
        value = float(match[1]) * SUFFIXES[match[2]]
    if type(value) not in (int, float) or not math.isfinite(value) or value < 1:
        raise WrongValueError(f"is {shown(value)}; it is a count such as 31000000, 31M or 6.5G.")
    count: int = round(value)
    return count


STAGE_FIELDS: dict[str, Check] = {
    "depth": whole(1, DEEPEST),
    "width": whole(2, 16384),
    "stride": whole(1, DEEPEST),
    "start": whole(1, DEEPEST, word=NO_START),
    "window": whole(1, DEEPEST, word=NO_WINDOW),
    "density": number(1),
    "keep": one_of("nearest", "spread"),
    "stage_input": one_of("first", "window"),
}
"""Choices of a stage, in the order of its genes. `start` is the first layer, from 1, that may be
a ganglion."""

PUBLISHED: dict[str, Scalar] = {
    "stride": 1,
    "start": NO_START,
    "window": NO_WINDOW,
    "density": 1.0,
    "keep": "nearest",
    "stage_input": "first",
}
"""What a field is where a stage or a baseline leaves it out."""

LIMITS = ("params", "macs", "activation_bytes")
TARGET: dict[str, Check] = {
    "image_size": whole(1, 8192),
    "num_classes": whole(1, 10**7),
    "in_chans": whole(1, 1024),
}
USUAL_TARGET = {"image_size": 224, "num_classes": 1000, "in_chans": 3}
"""What the network is for where the file does not say it."""

PROXY: dict[str, Check] = {
    "data": text,
    "images": whole(0, 10**9),
    "epochs": whole(1, 100_000),
    "batch_size": whole(1, 1_000_000),
    "image_size": whole(1, 8192),
    "width": number(16),
    "stem_stride": one_of(4, 2, 1),
    "seeds": whole(1, 1000),
}
MIXER: Mapping[type[MixerSettings], Mapping[str, Check]] = {
    MambaSettings: {
        "state_dim": whole(1, 1024),
        "dt_rank": whole(1, 16384, word="auto"),
        "conv_kernel": whole(0, 63),
        "act": one_of(*ACTIVATIONS),
    },
    SwinSettings: {"heads": whole(1, 1024), "window": whole(1, 1024)},
    PvtSettings: {"heads": whole(1, 1024), "spatial_reductions": whole(1, 1024)},
    ConvSettings: {"kernel": whole(1, 63), "act": one_of(*ACTIVATIONS)},
}
"""Settings of the mixer, by the kind that a family has."""
MIXER_BY_STAGE = ("heads", "spatial_reductions")
"""Those with one entry a stage, or one for all."""
SETTINGS: dict[str, Check] = {
    "backbone": one_of(*FAMILIES),
    "stem": one_of(*dict.fromkeys(stem for f in FAMILIES.values() for stem in f.stems)),
    "mlp_act": one_of(*ACTIVATIONS),
    "norm": one_of("group", "layer"),
}
STAGE_SETTINGS: dict[str, Check] = {
    "expand": number(64),
    "mlp_ratio": number(64),
    "layer_scale": number(1000, word=NO_START),
    "reductions": whole(1, 1024),
}
"""Settings with one entry a stage, or one for all."""


def checked(entry: Entry, check: Check, mistakes: Mistakes) -> Any:
    """Return the value of an entry, or None after noting what is wrong with it."""
    try:
        return check(entry.value)
    except WrongValueError as wrong:
        mistakes.add(entry, str(wrong))
        return None


def checked_choices(entry: Entry, check: Check, mistakes: Mistakes) -> tuple[Scalar, ...]:
    """Return the choices of a field: a list, or one value; empty after noting any mistake."""
    if not isinstance(entry.value, list):
        value = checked(entry, check, mistakes)
        return () if value is None else (value,)
    if not entry.value:
        mistakes.add(entry, "is an empty list; it needs at least one choice.")
    values: list[Scalar] = []
    for item in entry.value:
        value = checked(item, check, mistakes)
        if value is not None and value in values:
            mistakes.add(item, f"{value!r} is in the list twice.")
        elif value is not None:
            values.append(value)
    return tuple(values) if len(values) == len(entry.value) else ()
