"""Whether the measures agree on which edges matter: rank correlations with their intervals."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sparx_nas.ground.quantities import Z95
from sparx_nas.importance.measures import Edge

LEAST_EDGES = 4
WORDS: Mapping[str, str] = {"mass": "mass", "gradient": "gradient", "ablation_nll": "ablation"}
"""The measures that are compared, and what a sentence calls them."""
STRENGTHS = ((0.8, "strongly"), (0.5, "moderately"), (0.0, "weakly"))
"""From which correlation on a word holds, of one that is beyond chance."""
CHANCE, OPPOSED, UNKNOWN = "not beyond chance", "in opposite order", "not known"

Values = Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Spearman's rank correlation of two measures over `n` edges, with its 95 % interval.

    None where it is not defined: too few edges, or a measure that is the same for all of them.
    """

    measures: tuple[str, str]
    spearman: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def word(self) -> str:
        """How the two agree: a word of `STRENGTHS`, or `CHANCE`, `OPPOSED` or `UNKNOWN`."""
        if self.spearman is None or self.low is None or self.high is None:
            return UNKNOWN
        if self.high < 0:
            return OPPOSED
        if self.low <= 0:
            return CHANCE
        return next(word for bound, word in STRENGTHS if self.spearman >= bound)


def comparable(edges: Sequence[Edge]) -> dict[str, list[float | None]]:
    """Return what is ranked: each measure in a unit that means the same in every ganglion.

    A share falls as a ganglion has more sources, for whichever measure, and that would pass for
    agreement. So mass counts in equal shares (1 is an even part), and the gradient in nats. The
    mass of an only source is 1 whatever was learnt: it is None.
    """
    degree = Counter(edge.target for edge in edges)
    return {
        "mass": [
            edge.mass * degree[edge.target] if degree[edge.target] > 1 else None for edge in edges
        ],
        "gradient": [edge.gradient_raw for edge in edges],
        "ablation_nll": [edge.ablation_nll for edge in edges],
    }


def agreements(values: Mapping[str, Values]) -> list[Agreement]:
    """Compare every pair of measures over the edges that have both."""
    return [_agreement((a, b), values[a], values[b]) for a, b in combinations(values, 2)]


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation; ties share their mean rank; None if either is constant.

    O(n log n).
    """
    x, y = _ranks(a), _ranks(b)
    x, y = x - x.mean(), y - y.mean()
    size = math.sqrt(float(x @ x) * float(y @ y))
    return max(-1.0, min(1.0, float(x @ y) / size)) if size else None


def interval(correlation: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a rank correlation over n >= 4 independent pairs.

    Fisher's z with the variance of Bonett and Wright (Psychometrika 65, 2000). Of a perfect order
    z is infinite, so its near end is that of an order one swap of neighbours away. Edges of one
    ganglion are not quite independent, so it is rather too narrow.
    """
    swapped = 1 - 12 / (n * (n * n - 1))
    centre = max(-swapped, min(swapped, correlation))
    half = Z95 * math.sqrt((1 + centre * centre / 2) / (n - 3))
    low, high = (math.tanh(math.atanh(centre) + sign * half) for sign in (-1, 1))
    return min(low, correlation), max(high, correlation)


def sentence(found: Sequence[Agreement]) -> str:
    """Say in words how far the measures agree, pair by pair."""
    words = {pair.word for pair in found}
    most = max(pair.n for pair in found)
    if most < LEAST_EDGES:
        edges = f"{most} edge{'s' if most != 1 else ''}"
        return f"Whether the measures agree cannot be told from {edges}; it takes {LEAST_EDGES}."
    pairs = [_pair(pair) + (f", {pair.word}" if len(words) > 1 else "") for pair in found]
    return f"{_verdict(words)}: {'; '.join(pairs)}."


def _verdict(words: set[str]) -> str:
    """Return what the words of all pairs come to."""
    if words <= {CHANCE, UNKNOWN}:
        return "It cannot be told whether the measures agree"
    if words <= {CHANCE, UNKNOWN, OPPOSED}:
        return "The three measures contradict each other"
    if len(words) > 1:
        return "The three measures agree in part"
    return f"The three measures agree {words.pop()}"


def _agreement(names: tuple[str, str], a: Values, b: Values) -> Agreement:
    """Compare two measures."""
    both = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    n = len(both)
    correlation = None
    if n >= LEAST_EDGES:
        correlation = spearman([x for x, _ in both], [y for _, y in both])
    low, high = (None, None) if correlation is None else interval(correlation, n)
    return Agreement(measures=names, spearman=correlation, low=low, high=high, n=n)


def _pair(pair: Agreement) -> str:
    """Write one pair with its correlation, interval and edges."""
    names = " and ".join(WORDS[name] for name in pair.measures)
    if pair.spearman is None:
        why = "too few" if pair.n < LEAST_EDGES else "one is the same for all"
        return f"{names} ({pair.n} edges, {why})"
    bounds = f"95 % interval {pair.low:.2f} to {pair.high:.2f}, {pair.n} edges"
    return f"{names} {pair.spearman:.2f} ({bounds})"


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    means: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return means[inverse]
