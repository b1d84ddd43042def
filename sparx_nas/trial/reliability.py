"""How much of a score belongs to its design, and how much to the seed it was trained with.

One-way random-effects model: a score is the mean of its design plus what the seed does. Where
designs share seeds, what a seed does to all of them counts as noise, too. Designs may have
different numbers of trainings. Sources: Shrout and Fleiss, Psychological Bulletin 86 (1979),
ICC(1, 1) and ICC(1, k); for unequal numbers the harmonic mean, Thomas and Hultquist, Annals of
Statistics 6 (1978).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, harmonic_mean, variance

from scipy.special import fdtri


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Spread of scores between designs and between the seeds of one.

    `within` is the standard deviation between trainings of one design with `freedom` degrees of
    freedom, `between` that of the designs' true means, 0 where less than the noise is seen. `one`
    is the intraclass correlation of a single training, with its 95 % interval from `low` to `high`:
    the share of the variance of scores that is between designs.
    """

    within: float
    between: float
    one: float
    low: float
    high: float
    designs: int
    trainings: int

    @property
    def freedom(self) -> int:
        """Degrees of freedom of `within`."""
        return self.trainings - self.designs

    def of_mean(self, seeds: int) -> tuple[float, float, float]:
        """Return estimate, low and high of the reliability of a mean over so many seeds."""
        one, low, high = (stepped_up(share, seeds) for share in (self.one, self.low, self.high))
        return one, low, high


def reliability(scores: Sequence[Sequence[float]]) -> Reliability | None:
    """Return the reliability of scores, one sequence of trainings for each design.

    Designs with a score that is no number are left out. None where nothing can be told, of which
    `untold` gives the reason.
    """
    if untold(scores):
        return None
    groups = _usable(scores)
    trainings = sum(map(len, groups))
    inside = sum(variance(group) * (len(group) - 1) for group in groups if len(group) > 1)
    inside /= trainings - len(groups)
    size = harmonic_mean(map(len, groups))
    outside = size * variance(map(fmean, groups))
    freedom, ratio = (len(groups) - 1, trainings - len(groups)), outside / inside
    quantiles = (float(fdtri(*freedom, p)) for p in (0.975, 0.025))
    ends = [_share(r, size) for r in (ratio, *(ratio / q for q in quantiles))]
    return Reliability(
        within=math.sqrt(inside),
        between=math.sqrt(max(0.0, (outside - inside) / size)),
        one=ends[0],
        low=max(0.0, ends[1]),
        high=max(0.0, ends[2]),
        designs=len(groups),
        trainings=trainings,
    )


def untold(scores: Sequence[Sequence[float]]) -> str:
    """Say why the reliability of scores cannot be told, as a clause; "" where it can."""
    groups = _usable(scores)
    repeated = [group for group in groups if len(group) > 1]
    if not repeated:
        return "no design was trained with two seeds (--seeds)"
    if len(groups) < 3:
        return f"it takes three designs, and {len(groups)} were trained"
    if not any(variance(group) for group in repeated):
        return "all seeds of a design scored the same"
    return ""


def _usable(scores: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """Return the designs that were scored, all of it in numbers."""
    return [group for group in scores if group and all(map(math.isfinite, group))]


def _share(ratio: float, size: float) -> float:
    """Turn a ratio of mean squares into an intraclass correlation."""
    return (ratio - 1) / (ratio - 1 + size)


def stepped_up(share: float, seeds: int) -> float:
    """Return the reliability of a mean from that of one training (Spearman and Brown)."""
    return seeds * share / (1 + (seeds - 1) * share) if share > 0 else share
