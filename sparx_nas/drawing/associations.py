"""Which features of a wiring go with accuracy at equal cost, over the trials of one search.

A search chooses what it tries and trains each wiring once, so what is found is an association
among those wirings and no cause; with few of them there is nothing to be told, and that is said.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sparx_nas.architecture.graph import ConnectivityGraph, measures
from sparx_nas.ground.quantities import Z95, counted

Vector = NDArray[np.float64]
Fit = tuple[float, float, float]
"""A slope by unit of the feature, its standard error, and the degrees of freedom of that."""

LEAST_WIRINGS = 12
"""Distinct wirings that a regression needs."""
ERROR = 0.05
"""How often one or more of all intervals may miss."""
LEAST_APART = 0.01
"""Share of a feature's variance that cost must leave; below it wirings of equal cost hardly differ
in the feature, and a slope would be an extrapolation."""
SAME = 0.999
"""Correlation from which on two features are one."""
WORDS: Mapping[str, tuple[str, str]] = {
    "density of": ("A denser {} goes", "density {:.2g} to {:.2g}"),
    "mean span": ("A longer mean span goes", "{:.2g} to {:.2g} layers"),
    "sources per ganglion": ("More sources per ganglion go", "{:.2g} to {:.2g}"),
    "window": ("A wider window goes", "{:.2g} to {:.2g} earlier ganglia"),
    "ganglia in": ("A larger share of ganglia in {} goes", "a share of {:.2g} to {:.2g}"),
}
"""How a feature's name begins, what a sentence says of more of it, and of its two percentiles."""
THIRDS = ("early", "middle", "late")
LEAST_DEPTH = 3
"""Layers of a stage that has thirds."""


@dataclass(frozen=True, kw_only=True)
class Association:
    """What goes with a feature: the change of top-1 from its 10th to its 90th percentile.

    `slope` is that change at equal cost, a fraction (0.01 is one point); `low_value` and
    `high_value` are the two percentiles, values that occur. `low` and `high` bound the slope's
    95 % interval, which is Bonferroni's: it is widened so that with 95 % all intervals of one list
    hold at once. `n` counts the distinct wirings that have the feature.
    """

    feature: str
    slope: float
    low: float
    high: float
    n: int
    low_value: float
    high_value: float

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0; it is corrected for all features tested already."""
        return self.low > 0 or self.high < 0


def wiring_features(graph: ConnectivityGraph) -> dict[str, float]:
    """Return the features of a wiring by name; one that it does not have is not there.

    Density is aggregated edges over those possible in the stage. The others need a ganglion: mean
    span in layers, sources per ganglion, the window (the most earlier ganglia that any ganglion
    reads), and the share of the ganglia in each third of their stage, for which only stages of 3
    or more layers count. Cached by wiring.
    """
    return dict(_features(graph))


@lru_cache(maxsize=20_000)
def _features(graph: ConnectivityGraph) -> Mapping[str, float]:
    """Compute the features of a wiring once."""
    out: dict[str, float] = {}
    for number, stage in enumerate(graph.stages, 1):
        if stage.depth:
            possible = stage.depth * (stage.depth + 1) / 2
            out[f"density of stage {number}"] = sum(map(len, stage.sources)) / possible
    found = measures(graph)
    if not found.ganglia:
        return out
    out["mean span"] = found.span
    out["sources per ganglion"] = found.in_degree
    out["window"] = max(
        sum(stage.kind(source) == "ganglion" for source in row)
        for stage in graph.stages
        for row in stage.sources
    )
    places = [
        math.floor(len(THIRDS) * (layer - 0.5) / stage.depth)
        for stage in graph.stages
        for layer in stage.ganglia
        if stage.depth >= LEAST_DEPTH
    ]
    if places:
        for place, third in enumerate(THIRDS):
            out[f"ganglia in the {third} third"] = places.count(place) / len(places)
    return out


def associations(
    graphs: Sequence[ConnectivityGraph], top1: Sequence[float], cost: Sequence[float]
) -> list[Association]:
    """Regress top-1 on cost and one feature at a time; the largest change comes first.

    Trials of one wiring are averaged to a single observation, for they are not independent;
    trials without a finite accuracy or a positive cost are left out. Cost enters as its logarithm
    and the square of that. Errors are HC2 (they need not be equally large) and their t quantile
    has Bell and McCaffrey's degrees of freedom, which keep the 95 % with few wirings and with
    features that few wirings differ in, where HC3's intervals are too narrow.

    Left out are features that fewer than 12 wirings have, that are equal at both percentiles, or
    that another feature or the cost fixes. O(wirings * features). Source: Imbens & Kolesar,
    Review of Economics and Statistics 98 (2016).
    """
    found, accuracy, log_cost = _observations(graphs, top1, cost)
    if len(found) < LEAST_WIRINGS or np.ptp(accuracy) == 0:
        return []
    fits: dict[str, tuple[Vector, Fit]] = {}
    for name, values in _distinct_features(found).items():
        has = ~np.isnan(values)
        fit = _fit(values[has], accuracy[has], log_cost[has])
        if fit is not None:
            fits[name] = values[has], fit
    out = [_association(name, *fits[name], tested=len(fits)) for name in fits]
    return sorted(out, key=lambda one: -abs(one.slope))


def _observations(
    graphs: Sequence[ConnectivityGraph], top1: Sequence[float], cost: Sequence[float]
) -> tuple[list[Mapping[str, float]], Vector, Vector]:
    """Return features, mean accuracy and mean logarithm of cost of each distinct wiring."""
    rows: dict[str, list[tuple[float, float]]] = {}
    features: dict[str, Mapping[str, float]] = {}
    for graph, accuracy, price in zip(graphs, top1, cost, strict=True):
        if math.isfinite(accuracy) and math.isfinite(price) and price > 0:
            rows.setdefault(graph.id, []).append((accuracy, math.log(price)))
            features.setdefault(graph.id, _features(graph))
    means = np.array([np.mean(row, axis=0) for row in rows.values()]).reshape(-1, 2)
    return list(features.values()), means[:, 0], means[:, 1]


def _distinct_features(found: Sequence[Mapping[str, float]]) -> dict[str, Vector]:
    """Return the values of features that vary, NaN where a wiring has none, without repetitions.

    Of features that rise and fall together the first stays.
    """
    out: dict[str, Vector] = {}
    scaled: list[Vector] = []
    for name in dict.fromkeys(name for features in found for name in features):
        values = np.array([features.get(name, math.nan) for features in found])
        if np.count_nonzero(~np.isnan(values)) < LEAST_WIRINGS:
            continue
        low, high = _percentiles(values[~np.isnan(values)])
        if low == high:
            continue
        centred = np.where(np.isnan(values), 0.0, values - np.nanmean(values))
        unit: Vector = centred / np.linalg.norm(centred)
        if all(abs(unit @ other) < SAME for other in scaled):
            scaled.append(unit)
            out[name] = values
    return out


def _percentiles(values: Vector) -> tuple[float, float]:
    """Return the 10th and the 90th percentile, both values that occur."""
    low, high = np.quantile(values, [0.1, 0.9], method="inverted_cdf")
    return float(low), float(high)


def _fit(feature: Vector, accuracy: Vector, log_cost: Vector) -> Fit | None:
    """Fit the slope of a feature beside cost; None where cost or one wiring alone decides it."""
    basis = _cost_basis(log_cost)
    own = feature - basis @ (basis.T @ feature)
    length = float(np.linalg.norm(own))
    if length**2 < LEAST_APART * len(feature) * float(np.var(feature)):
        return None
    design = np.column_stack([basis, own / length])
    weights = own / length**2
    leverage = np.sum(design**2, axis=1)
    alone = leverage > 1 - 1e-9
    if np.any(np.abs(weights[alone]) * length > 1e-6):
        return None
    rest = accuracy - design @ (design.T @ accuracy)
    share = np.where(alone, 0.0, weights**2 / np.where(alone, 1.0, 1 - leverage))
    inner = design.T @ (share[:, None] * design)
    scatter = float(share**2 @ (1 - 2 * leverage) + np.sum(inner**2))
    freedom = float(weights @ weights) ** 2 / scatter
    return float(weights @ accuracy), math.sqrt(float(share @ rest**2)), freedom


def _cost_basis(log_cost: Vector) -> Vector:
    """Return orthonormal columns that span 1, log cost and its square, as far as they vary."""
    centred = log_cost - log_cost.mean()
    scaled = centred / max(float(np.abs(centred).max()), 1e-9)
    terms = np.column_stack([np.ones_like(scaled), scaled, scaled**2])
    columns, sizes, _ = np.linalg.svd(terms, full_matrices=False)
    kept: Vector = columns[:, sizes > 1e-6 * sizes[0]]
    return kept


def _association(name: str, values: Vector, fit: Fit, *, tested: int) -> Association:
    """Scale a slope to the step between the percentiles and give it its interval."""
    low_value, high_value = _percentiles(values)
    step = high_value - low_value
    slope, error, freedom = fit
    half = float(stdtrit(freedom, 1 - ERROR / (2 * tested))) * error
    return Association(
        feature=name,
        slope=slope * step,
        low=(slope - half) * step,
        high=(slope + half) * step,
        n=len(values),
        low_value=low_value,
        high_value=high_value,
    )


def association_sentences(
    found: Sequence[Association], *, trials: int, validation_images: int | None
) -> list[str]:
    """Say what goes with top-1 at equal cost, what does not, and what that is worth.

    `trials` is how many were looked at; changes are in points of top-1, between percentiles.
    """
    if not found:
        few = f"{counted(trials, 'trial')} {'is' if trials == 1 else 'are'} too few"
        alike = "" if trials < LEAST_WIRINGS else ", or their wirings too alike,"
        return [
            f"{few}{alike} to tell which features of a wiring go with top-1 at equal cost; it "
            f"takes {LEAST_WIRINGS} different wirings or more."
        ]
    out = [_clear_sentence(one) for one in found if one.clear]
    unclear = [one for one in found if not one.clear]
    if unclear:
        reach = min(1.0, max(abs(end) for one in unclear for end in (one.low, one.high)))
        out.append(
            f"Nothing clear shows at equal cost for {_listed([one.feature for one in unclear])}; "
            f"differences of up to {100 * reach:.1f} points are not ruled out there."
        )
    out.append(
        f"These are associations among the {counted(trials, 'trial')} that this search chose to "
        "make, one short training each, and not causes: features of a wiring come together, so "
        "one may show for another. The intervals are corrected (Bonferroni) for looking at "
        f"{counted(len(found), 'feature')}, and what hardly varies apart from cost is left out."
    )
    if validation_images:
        spread = 50 * Z95 / math.sqrt(validation_images)
        out.append(
            f"By its {counted(validation_images, 'validation image')} alone the top-1 of a trial "
            f"is uncertain by up to ±{spread:.1f} points; seeds come on top."
        )
    return out


def _clear_sentence(one: Association) -> str:
    """Say one clear association."""
    start = next((start for start in WORDS if one.feature.startswith(start)), "")
    more, values = WORDS.get(start, ("More {} goes", "{:.2g} to {:.2g}"))
    shown = one.feature.removeprefix(start if "{}" in more else "").strip()
    bounds = (one.slope, one.low, one.high)
    digits = 1 if min(map(abs, bounds)) >= 0.0005 else 2
    change, low, high = (f"{100 * bound:+.{digits}f}" for bound in bounds)
    return (
        f"{more.format(shown)} with {change} points of top-1 at equal cost (95 % interval {low} "
        f"to {high}, {one.n} wirings), from {values.format(one.low_value, one.high_value)}."
    )


def _listed(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
