"""How far scores of a run can be off: by the seed, and by the sample of images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from scipy.special import ndtri, stdtrit

from sparx_nas.ground.quantities import Z95, wilson
from sparx_nas.trial.reliability import Reliability

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What seeds do to validation top-1 (a fraction) and to the score that the run goes by.

    Both are None where no design was trained twice: what seeds do is unknown then. `images` holds
    the number of images of each split.
    """

    top1: Reliability | None = None
    score: Reliability | None = None
    images: Mapping[str, int] = field(default_factory=dict)

    def interval(self, top1s: Sequence[float], split: str = "val") -> Interval | None:
        """Return the 95 % interval of the mean of a design's trainings, in [0, 1].

        It holds the noise of seeds, where it is known, and that of a split's images (Wilson), as
        independent of each other. None if the size of the split is unknown, or nothing was scored.
        """
        n = self.size(split)
        if not n or not top1s:
            return None
        mean = fmean(top1s)
        low, high = wilson(round(mean * n), n)
        seeds = _half(self.top1, 1 / len(top1s)) if self.top1 else 0.0
        return (
            max(0.0, mean - math.hypot(mean - low, seeds)),
            min(1.0, mean + math.hypot(high - mean, seeds)),
        )

    def loss_interval(self, losses: Sequence[float], error: float) -> Interval | None:
        """Return the 95 % interval of a mean loss, as `interval`, where the loss is the score.

        `error` is the standard error over images, 0 where it was not recorded: None then.
        """
        if not losses or not error or not math.isfinite(error):
            return None
        seeds = _half(self.score, 1 / len(losses)) if self.score else 0.0
        mean, half = fmean(losses), math.hypot(Z95 * error, seeds)
        return mean - half, mean + half

    def difference(self, a: Sequence[float], b: Sequence[float], split: str) -> Interval | None:
        """Return the 95 % interval of a's mean top-1 minus b's; None where the noise is unknown.

        It holds for other images, too: the noise of a's and of b's is added, though both were
        scored on the same ones, which can only make it narrower than it is here. Images by the
        square-and-add of Wilson intervals: Newcombe, Statistics in Medicine 17 (1998), method 10.
        """
        n = self.size(split)
        if not n or not a or not b or self.top1 is None:
            return None
        mine, others = fmean(a), fmean(b)
        (low, high), (least, most) = (wilson(round(m * n), n) for m in (mine, others))
        seeds = _half(self.top1, 1 / len(a) + 1 / len(b))
        return (
            mine - others - math.hypot(mine - low, most - others, seeds),
            mine - others + math.hypot(high - mine, others - least, seeds),
        )

    def alike(self, a: Sequence[float], b: Sequence[float]) -> bool:
        """Tell whether seeds alone may have put two designs' scores apart, on the same images.

        Other images are another matter, and `difference` holds them, too.

        False where what seeds do is unknown.
        """
        if self.score is None or not a or not b:
            return False
        return abs(fmean(a) - fmean(b)) <= _half(self.score, 1 / len(a) + 1 / len(b))

    def size(self, split: str) -> int:
        """Return the number of images of a split, 0 if it is unknown."""
        size = self.images.get(split)
        return size if isinstance(size, int) else 0


def above_chance(top1s: Sequence[float], level: float, images: int) -> bool:
    """Tell whether accuracies on so many images are above that of always naming one class.

    Their mean is, or the best of them, after a correction for how many there are (Bonferroni).
    """
    corrected = -float(ndtri(0.025 / len(top1s)))
    mean, best = fmean(top1s), max(top1s)
    return level < max(
        wilson(round(mean * images), images)[0], wilson(round(best * images), images, corrected)[0]
    )


def _half(scores: Reliability, share: float) -> float:
    """Return the half width that seeds make, for a share of one training's variance."""
    return float(stdtrit(scores.freedom, 0.975)) * scores.within * math.sqrt(share)
