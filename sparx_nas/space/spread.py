"""A few designs of a space that stand for its range of cost."""

from sparx_nas.architecture import Architecture
from sparx_nas.space.search_space import SearchSpace

DRAWN = 300
"""Random designs that the few are picked from."""


def spread(space: SearchSpace, count: int, *, seed: int = 0) -> dict[str, Architecture]:
    """Return `count` distinct designs by name: the baselines, then others evenly spaced by MACs.

    Fewer where the space has no more within its limits. The others are called `design 1` and so on,
    from the cheapest; the same arguments give the same designs.
    """
    found = dict(list(space.baselines.items())[:count])
    known = {design.id for design in found.values()}
    drawn = {design.id: design for design in (space.sample(seed + i) for i in range(DRAWN))}
    others = [design for key, design in drawn.items() if key not in known]
    rest = sorted(others, key=lambda design: (space.cost(design).macs, design.id))
    left = min(count - len(found), len(rest))
    places = [round(i * (len(rest) - 1) / max(left - 1, 1)) for i in range(left)]
    return found | {f"design {i}": rest[place] for i, place in enumerate(places, 1)}
