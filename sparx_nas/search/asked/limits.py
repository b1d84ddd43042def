"""The limits of a search: which hold, where each comes from, and whether any design keeps them."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import NoFeasibleError
from sparx_nas.space import SearchSpace
from sparx_nas.trial.measures import amount

DRAWS = 2_000
"""Seeded draws of a space too large to enumerate before nothing counts as within the limits."""

HOPELESS = 0.9
"""Share of the least cost of the extreme designs below which nobody looks for a smaller one."""


def in_force(own: Mapping[str, int], asked: Mapping[str, int]) -> dict[str, int]:
    """Return the limits of a space and those asked for together, the tighter of two."""
    return {
        key: min(limits[key] for limits in (own, asked) if key in limits)
        for key in dict.fromkeys((*own, *asked))
    }


def sources(own: Mapping[str, int], asked: Mapping[str, int]) -> dict[str, str]:
    """Say of each limit in force whether it is the space's own or was asked for."""
    said = {}
    for key in in_force(own, asked):
        if key not in own or asked.get(key, own[key]) < own[key]:
            said[key] = "--constraint"
        elif key in asked and asked[key] > own[key]:
            said[key] = (
                f"the space's; --constraint asks for {amount(key, asked[key])}, which is looser"
            )
        else:
            said[key] = "the space's"
    return said


def limit_words(limits: Mapping[str, int], whence: Mapping[str, str]) -> str:
    """Write limits with where they come from: `params <= 4.50 M (the space's)`."""
    words = [
        f"{key} <= {amount(key, most)}" + (f" ({whence[key]})" if key in whence else "")
        for key, most in limits.items()
    ]
    return ", ".join(words) or "none"


def check_limits(space: SearchSpace, limits: Mapping[str, int]) -> None:
    """Make sure that some design of a space keeps the limits, at once if one of the extremes does.

    Raises: NoFeasibleError with what the designs of the space cost; after some seconds where a
    limit is near the least of them.
    """
    seen: list[Mapping[str, Any]] = []
    extremes = [*space.corners(), *space.baselines.values()]
    for architecture in chain(extremes, _others(space, limits, seen)):
        cost = space.cost(architecture).to_dict()
        if all(cost[key] <= most for key, most in limits.items()):
            return
        seen.append(cost)
    asked = ", ".join(f"{key} <= {amount(key, most)}" for key, most in limits.items())
    spans = ", ".join(
        f"{key} from {_exact(key, min(cost[key] for cost in seen), most)} to "
        f"{amount(key, max(cost[key] for cost in seen))}"
        for key, most in limits.items()
    )
    at = f"{space.target['image_size']} px and {space.target['num_classes']:,} classes"
    raise NoFeasibleError(
        f"no architecture of {space.name} is within {asked}: its designs have {spans}, at {at}",
        hint="raise the limit, or take another space; --list-spaces says what each costs",
    )


def _others(
    space: SearchSpace, limits: Mapping[str, int], seen: list[Mapping[str, Any]]
) -> Iterator[Architecture]:
    """Yield the rest of a space, or draws of a large one; nothing where the extremes say enough."""
    if not _hopeless(limits, seen):
        everything = space.enumerate()
        yield from space.draws(DRAWS, seed=0) if everything is None else everything


def _hopeless(limits: Mapping[str, int], seen: list[Mapping[str, Any]]) -> bool:
    """Tell whether a limit lies far below the least cost seen."""
    return any(most < HOPELESS * min(cost[key] for cost in seen) for key, most in limits.items())


def _exact(key: str, value: int, limit: int) -> str:
    """Write the least cost, in full where rounding would hide that it is over the limit."""
    return f"{value:,}" if amount(key, value) == amount(key, limit) else amount(key, value)
