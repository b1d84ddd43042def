"""What designs are worth, from a few trainings of each: means that borrow strength from each other.

The model is that of Fay and Herriot, Journal of the American Statistical Association 74 (1979): the
mean of a design's trainings is its true mean plus noise of known variance (that between seeds, over
the number of trainings), and true means scatter around a linear function of what is known of the
designs anyway. A true mean is then estimated between its trainings and that line, nearer to the
line the fewer trainings there are. Errors: Prasad and Rao, same journal 85 (1990), without the
term for the scatter's own uncertainty, which is of the order of one over the number of designs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The true mean of a design's score, over all seeds, and how far off it may be.

    `mean` is the estimate, with the standard error `error`; `raw` is the plain mean of `trainings`
    scores. `weight` is what of the estimate comes from the design's own trainings; the rest, the
    shrinkage, from designs like it.
    """

    mean: float
    error: float
    raw: float
    trainings: int
    weight: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return self.mean - 1.96 * self.error, self.mean + 1.96 * self.error


@dataclass(frozen=True, kw_only=True)
class Truths:
    """The truths of all designs, in one order, and the spreads that they were estimated with.

    `within` is the standard deviation between trainings of a design, `scatter` that of true means
    around the line, `between` that of true means around their average.
    """

    means: Floats
    errors: Floats
    raw: Floats
    weights: Floats
    counts: NDArray[np.int64]
    within: float
    scatter: float
    between: float

    def of(self, place: int) -> Truth:
        """Return the truth of one design."""
        values = (self.means, self.errors, self.raw, self.weights)
        mean, error, raw, weight = (float(array[place]) for array in values)
        count = int(self.counts[place])
        return Truth(mean=mean, error=error, raw=raw, weight=weight, trainings=count)


def truths(scores: Sequence[Sequence[float]], known: Floats) -> Truths:
    """Estimate true means; `known` holds a row a design, of what may foretell its score.

    Takes a design with two trainings at least, and more designs than columns.
    """
    counts = np.array([len(group) for group in scores])
    raw = np.array([np.mean(group) for group in scores])
    spread = sum(float(np.var(group)) * len(group) for group in scores)
    within = spread / float((counts - 1).sum())
    noise = within / counts
    line = np.column_stack([np.ones(len(raw)), (known - known.mean(0)) / _nonzero(known.std(0))])
    scatter = _scatter(raw, noise, line)
    slopes, uncertainty = _fitted(raw, scatter + noise, line)
    weights = scatter / (scatter + noise)
    means = weights * raw + (1 - weights) * (line @ slopes)
    of_line = np.einsum("ij,jk,ik->i", line, uncertainty, line)
    return Truths(
        means=means,
        errors=np.sqrt(weights * noise + (1 - weights) ** 2 * of_line),
        raw=raw,
        weights=weights,
        counts=counts,
        within=float(np.sqrt(within)),
        scatter=float(np.sqrt(scatter)),
        between=float(np.sqrt(max(0.0, np.var(raw, ddof=1) - noise.mean()))),
    )


def _scatter(raw: Floats, noise: Floats, line: Floats) -> float:
    """Return the variance of true means around the line: the root of Fay and Herriot's equation."""
    freedom = line.shape[0] - line.shape[1]

    def excess(scatter: float) -> float:
        total = scatter + noise
        slopes, _ = _fitted(raw, total, line)
        return float(np.sum((raw - line @ slopes) ** 2 / total) - freedom)

    if excess(0.0) <= 0:
        return 0.0
    root: float = brentq(excess, 0.0, 10 * float(np.var(raw)) + float(noise.max()))
    return root


def _fitted(raw: Floats, variances: Floats, line: Floats) -> tuple[Floats, Floats]:
    """Fit a line by weighted least squares; return coefficients and their covariance."""
    covariance: Floats = np.linalg.inv(line.T @ (line / variances[:, None]))
    return covariance @ (line.T @ (raw / variances)), covariance


def _nonzero(values: Floats) -> Floats:
    """Return values to divide by: 1 in place of 0."""
    return np.where(values > 0, values, 1.0)
