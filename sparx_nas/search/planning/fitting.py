"""Which space limits call for: the paper's family, its widths scaled to fit just below them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sparx_nas.architecture.named import named
from sparx_nas.cost import estimate
from sparx_nas.ground.errors import NoFeasibleError
from sparx_nas.ground.quantities import si
from sparx_nas.space import SearchSpace
from sparx_nas.space.fields import USUAL_TARGET
from sparx_nas.space.scaling import LEAST, Scaling, scaled_design

SIZES = ("mamba_t", "mamba_s", "mamba_b")
"""Spaces by their depth: those of the family that SparX was published with."""
WIDEST = 1.25
"""From this scale on the next deeper size is taken instead; the deepest is never widened."""
AS_PUBLISHED = 1.1
"""Up to this scale the published widths are kept."""
DRAWS, COUNTABLE = 300, 2000


def fitting(limits: Mapping[str, int], *, classes: int, in_chans: int) -> Scaling:
    """Return the largest scaled space whose published design keeps all limits.

    Raises: NoFeasibleError with the range there is, if the smallest does not.
    """
    chans = in_chans if in_chans != USUAL_TARGET["in_chans"] else None
    smallest = Scaling(name=SIZES[0], scale=LEAST, classes=classes, in_chans=chans)
    if not limits:
        return replace(smallest, scale=1.0)
    if not _fits(smallest, limits):
        raise _too_tight(smallest, limits)
    for name in SIZES:
        scale = _largest(replace(smallest, name=name), limits)
        if scale < WIDEST:
            break
    kept = 1 <= scale < AS_PUBLISHED or scale >= WIDEST
    return replace(smallest, name=name, scale=1.0 if kept else scale)


def published_cost(scaling: Scaling) -> Mapping[str, Any]:
    """Count the published design of a scaled space at its target."""
    target = USUAL_TARGET | {
        key: value
        for key, value in (("num_classes", scaling.classes), ("in_chans", scaling.in_chans))
        if value is not None
    }
    design = named(f"sparx_{scaling.name}")
    return estimate(scaled_design(design, scaling.scale), **target).to_dict()


def feasible(space: SearchSpace, limits: Mapping[str, int]) -> int:
    """Return about how many designs of a space besides its baselines keep the limits."""
    distinct, _ = space.distinct()
    all_of_them = space.enumerate(COUNTABLE)
    looked_at = all_of_them or list(space.draws(DRAWS, 0))
    fit = sum(_keeps(space.cost(design).to_dict(), limits) for design in looked_at)
    kept = sum(_keeps(space.cost(a).to_dict(), limits) for a in space.baselines.values())
    return max(0, distinct * fit // len(looked_at) - kept)


def _fits(scaling: Scaling, limits: Mapping[str, int]) -> bool:
    """Tell whether the published design keeps all limits."""
    return _keeps(published_cost(scaling), limits)


def _keeps(cost: Mapping[str, Any], limits: Mapping[str, int]) -> bool:
    """Tell whether a cost keeps all limits."""
    return all(cost[key] <= limit for key, limit in limits.items())


def _largest(smallest: Scaling, limits: Mapping[str, int]) -> float:
    """Return the largest scale, in hundredths, at which the published design keeps the limits.

    Costs grow with the scale, so halving finds it.
    """
    low, high = round(100 * LEAST), round(100 * WIDEST)
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(replace(smallest, scale=middle / 100), limits):
            low = middle
        else:
            high = middle - 1
    return low / 100


def _too_tight(smallest: Scaling, limits: Mapping[str, int]) -> NoFeasibleError:
    """Say what there is."""
    least = published_cost(smallest)
    most = published_cost(replace(smallest, name=SIZES[-1], scale=1.0))
    ranges = [
        f"{key}<={si(limit)}: published SparX has {si(least[key])} ({smallest}) "
        f"to {si(most[key])} ({SIZES[-1]})"
        for key, limit in limits.items()
        if least[key] > limit
    ]
    return NoFeasibleError(
        "no space that can be planned keeps the limits; " + "; ".join(ranges),
        hint="raise the limit, or name a space of your own with --space",
    )
