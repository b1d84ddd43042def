"""What is asked at which fidelity, and what the answers say of a score there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from sparx_nas.trial.reliability import Reliability, reliability

WANTED = 0.6
"""Reliability of a score that a search needs at least."""
MOST_SEEDS = 8
"""Trainings of a candidate that may still be proposed."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One training: its design's name, seed, validation top-1 and loss, wall seconds."""

    design: str
    seed: int
    top1: float
    loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Level:
    """One fidelity: epochs of so many training images, and what its trainings came to.

    `measure` is the score whose reliability is asked for: `val_loss` or `top1`.
    """

    epochs: int
    images: int
    answers: tuple[Answer, ...]
    measure: str = "val_loss"

    @property
    def top1(self) -> float:
        """Mean validation top-1."""
        return fmean(answer.top1 for answer in self.answers)

    @property
    def seconds(self) -> float:
        """Median wall seconds of a training."""
        return median(answer.seconds for answer in self.answers)

    @property
    def scores(self) -> Reliability | None:
        """How much of the score is the design's."""
        groups: dict[str, list[float]] = {}
        for answer in self.answers:
            score = answer.loss if self.measure == "val_loss" else answer.top1
            groups.setdefault(answer.design, []).append(score)
        return reliability(list(groups.values()))

    @property
    def seeds(self) -> int | None:
        """How many trainings a score has to be the mean of.

        None where more than may be asked, or where the reliability may as well be 0.
        """
        found = self.scores
        if found is None or found.low <= 0:
            return None
        needed = math.ceil(WANTED * (1 - found.one) / (found.one * (1 - WANTED)) - 1e-9)
        return max(1, needed) if needed <= MOST_SEEDS else None


def proposed(levels: Sequence[Level]) -> Level | None:
    """Return the level whose score is reliable for the least time; None where none is."""
    able = [level for level in levels if level.seeds is not None]
    return min(able, key=lambda level: (level.seeds or 1) * level.seconds, default=None)


def next_epochs(levels: Sequence[Level], most: int) -> int | None:
    """Return the epochs of the next level: twice those of the last; None beyond the most."""
    epochs = 2 * levels[-1].epochs if levels else 1
    return epochs if epochs <= most else None


def predicted(levels: Sequence[Level], epochs: int, designs: int, seeds: int, places: int) -> float:
    """Return the seconds that a level will take, from the last one; 0 for the first."""
    if not levels:
        return 0.0
    last = levels[-1]
    return last.seconds * epochs / last.epochs * designs * seeds / places
