"""What the options of a search alone may be: objectives, limits, times, storages; see `checks`."""

import re

from sparx_nas.command.checks import Check
from sparx_nas.ground.errors import did_you_mean
from sparx_nas.trial.measures import MEASURES, SCORES
from sparx_nas.trial.values import Objective

BYTE_KEYS = ("activation_bytes", "weight_bytes")
CONSTRAINTS = ("params", "macs", *BYTE_KEYS, "published_flops")
COUNT_SUFFIXES = {"": 1, "K": 10**3, "k": 10**3, "M": 10**6, "G": 10**9}
BYTE_SUFFIXES = COUNT_SUFFIXES | {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def url(text: str) -> str:
    """Check for a storage URL."""
    if not re.match(r"[a-z][a-z0-9+]*://", text):
        raise ValueError(f"is {text!r}; it is a URL such as sqlite:///study.db.")
    return text


def seconds(text: str) -> float:
    """Read a time such as `90s`, `30m`, `1h30m`."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    total = sum(float(amount) * SECONDS[unit] for amount, unit in parts)
    if "".join(amount + unit for amount, unit in parts) != text or not total:
        raise ValueError(f"is {text!r}; it is a time with its unit: 90s, 30m, 2h or 1h30m.")
    return total


def objectives(text: str) -> tuple[Objective, ...]:
    """Read the axes of the search: names apart by commas or blanks, `:max` or `:min` allowed."""
    words = [word for word in re.split(r"[,\s]+", text) if word]
    found: list[Objective] = []
    mistakes = []
    for word in words:
        name, _, said = word.partition(":")
        measure = MEASURES.get(name)
        if measure is None:
            known = ", ".join(MEASURES)
            mistakes.append(f"has {name!r}; known are {known}.{did_you_mean(name, MEASURES)}")
        elif said and said != measure.direction:
            mistakes.append(f"says {word!r}, but {name} has the direction {measure.direction!r}.")
        elif name in [objective.name for objective in found]:
            mistakes.append(f"has {name!r} twice.")
        else:
            found.append(Objective(name=name, direction=measure.direction))
    if not mistakes and not any(objective.name in SCORES for objective in found):
        either = " and ".join(SCORES)
        mistakes.append(f"leaves out {either}, without one of which there is nothing to train for.")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return tuple(found)


def constraints(text: str) -> dict[str, int]:
    """Read limits such as `params<=30M`; of two on one measure the tighter holds."""
    out: dict[str, int] = {}
    mistakes = []
    for rule in (part.strip() for part in text.split(",")):
        try:
            key, limit = _rule(rule)
            out[key] = min(limit, out.get(key, limit))
        except ValueError as wrong:
            mistakes.append(str(wrong))
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return out


def _rule(rule: str) -> tuple[str, int]:
    """Read one limit."""
    match = re.fullmatch(r"(\w+)\s*([<>=!]+)\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*([A-Za-z]*)", rule)
    if not match:
        raise ValueError(f"is {rule!r}; it is a measure, <= and an amount, such as 'params<=30M'.")
    key, relation, amount, suffix = match.groups()
    if key not in CONSTRAINTS:
        near = did_you_mean(key, CONSTRAINTS)
        raise ValueError(f"{rule!r} limits {key!r}; known are {', '.join(CONSTRAINTS)}.{near}")
    if relation != "<=":
        raise ValueError(f"{rule!r} has {relation!r}; a limit is an upper one, with '<='.")
    known = BYTE_SUFFIXES if key in BYTE_KEYS else COUNT_SUFFIXES
    if suffix not in known:
        words = ", ".join(word for word in known if word not in ("", "k"))
        raise ValueError(f"{rule!r} has the suffix {suffix!r}; known are {words}.")
    limit = round(float(amount) * known[suffix])
    if limit < 1:
        raise ValueError(f"{rule!r} lets nothing through.")
    return key, limit


def zero_or(low: int) -> Check:
    """Return a check for 0, or a whole number from `low`."""

    def check(text: str) -> int:
        if not text.isdecimal() or 0 < int(text) < low:
            raise ValueError(f"is {text!r}; it is 0, or a whole number from {low}.")
        return int(text)

    return check
