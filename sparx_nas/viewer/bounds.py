"""How large what a page sends may be: looked at before any of it is worked with.

A few hundred bytes can ask for a network of millions of layers, so sizes are checked on the JSON
values themselves, in one pass over them.
"""

from collections.abc import Mapping
from typing import Any

from sparx_nas.ground.errors import ArchitectureError

DEEPEST = 64
"""Layers of a stage that the explorer takes; the published models have up to 21."""
MOST_LAYERS = 256
"""Layers of all stages together."""
MOST_STAGES = 8
MOST_FIELDS = 64
LARGEST = 65_536
"""Of any number in a design: widths, heads, kernels."""
LARGEST_SENT = 10**9
"""Of any other number: of trials, of layers in an operation."""
LONGEST = 200
"""Characters of a text: a name, a layer, a choice."""
NESTED = 6


def check_sent(value: Any) -> None:
    """Refuse a request with a text, a number or a depth of nesting that nothing here has.

    Raises: ArchitectureError naming the place in the request.
    """
    _check(value, "the request", LARGEST_SENT, NESTED)


def check_design(value: Mapping[str, Any], where: str) -> None:
    """Refuse a design with more or deeper stages, or larger numbers, than can be drawn.

    What is of another kind than a design is left to those who read it.

    Raises: ArchitectureError naming the field and the largest that is taken.
    """
    _check_length(where, value, MOST_FIELDS)
    check_ganglia(value.get("ganglia"), where)
    _check_depths(value.get("depths"), where)
    for name, field in value.items():
        place = f"{where}: {name[:LONGEST]}"
        _check(name, place, LARGEST, NESTED)
        if isinstance(field, list | tuple):
            _check_length(place, field, MOST_STAGES)
        _check(field, place, LARGEST, NESTED)


def check_ganglia(ganglia: Any, where: str) -> None:
    """Refuse a wiring with more layers, or more sources of a layer, than there can be.

    Raises: ArchitectureError naming the layer.
    """
    if not isinstance(ganglia, Mapping):
        return
    _check_length(f"{where}: ganglia", ganglia, MOST_LAYERS)
    for layer, sources in ganglia.items():
        if isinstance(sources, list | tuple):
            _check_length(f"{where}: ganglia of {str(layer)[:LONGEST]}", sources, DEEPEST)


def _check_depths(depths: Any, where: str) -> None:
    """Refuse stages that are too deep, each or together.

    Raises: ArchitectureError saying how many layers were asked for.
    """
    numbers = [d for d in depths if type(d) is int] if isinstance(depths, list | tuple) else []
    deepest, together = max(numbers, default=0), sum(numbers)
    if deepest > DEEPEST:
        said = f"{deepest:,} layers in a stage; {DEEPEST} is the most here"
        raise ArchitectureError(f"{where}: {said}")
    if together > MOST_LAYERS:
        said = f"{together:,} layers in all stages; {MOST_LAYERS} is the most here"
        raise ArchitectureError(f"{where}: {said}")


def _check_length(place: str, value: Any, most: int) -> None:
    """Refuse what has too many entries.

    Raises: ArchitectureError naming the place.
    """
    if len(value) > most:
        raise ArchitectureError(f"{place}: {len(value):,} entries; {most} is the most here")


def _check(value: Any, place: str, largest: float, levels: int) -> None:
    """Look at a JSON value and all that is in it.

    Raises: ArchitectureError for what is too long, too large, too deep or no number.
    """
    if isinstance(value, str):
        if len(value) > LONGEST:
            said = f"a text of {len(value):,} characters; {LONGEST} is the most here"
            raise ArchitectureError(f"{place}: {said}")
    elif isinstance(value, int | float):
        # What is no number is not within anything either.
        if not abs(value) <= largest:
            raise ArchitectureError(f"{place}: it takes numbers up to {largest:,}")
    elif isinstance(value, Mapping | list | tuple):
        if not levels:
            raise ArchitectureError(f"{place}: more than {NESTED} tables or lists in each other")
        inner = [*value, *value.values()] if isinstance(value, Mapping) else value
        for one in inner:
            _check(one, place, largest, levels - 1)
