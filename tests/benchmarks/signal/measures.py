"""What scores say of wirings: variance components, rank correlations, information."""

import math
from itertools import combinations

import numpy as np

from sparx_nas.trial.reliability import reliability


def measured(rows, target, cost, draws=1000):
    """Return what a way of scoring tells; rows: score by (wiring, seed), higher is better.

    `target` holds the mean of a long training by wiring, or None; `cost` (log params, log MACs) by
    wiring. Intervals are percentiles of a bootstrap over wirings; `icc_interval_f` is by the F
    distribution.
    """
    groups = {}
    for (wiring, _), score in rows.items():
        groups.setdefault(wiring, []).append(score)
    names = sorted(groups)
    found = reliability([groups[n] for n in names])
    if found is None:
        return None
    rng = np.random.default_rng(0)
    iccs, taus, partials = [], [], []
    for _ in range(draws):
        pick = [names[i] for i in rng.integers(len(names), size=len(names))]
        if len(set(pick)) < 3:
            continue
        again = reliability([groups[n] for n in pick])
        if again is not None and math.isfinite(again.one):
            iccs.append(again.one)
        means = [float(np.mean(groups[n])) for n in pick]
        if target:
            taus.append(kendall(means, [target[n] for n in pick]))
            partials.append(partial(means, [target[n] for n in pick], [cost[n] for n in pick]))
    means = [float(np.mean(groups[n])) for n in names]
    out = {
        "between": found.between,
        "within": found.within,
        "icc": found.one,
        "icc_interval": bounds(iccs),
        "icc_interval_f": [found.low, found.high],
        "wirings": found.designs,
        "trainings": found.trainings,
        "cost_correlation": float(np.corrcoef(means, [cost[n][1] for n in names])[0, 1]),
    }
    if target:
        goal = [target[n] for n in names]
        out |= {
            "tau": kendall(means, goal),
            "tau_interval": bounds(taus),
            "partial": partial(means, goal, [cost[n] for n in names]),
            "partial_interval": bounds(partials),
        }
    return out


def bounds(values):
    """Return the 2.5th and 97.5th percentiles."""
    values = [v for v in values if math.isfinite(v)]
    return [float(v) for v in np.quantile(values, [0.025, 0.975])] if values else None


def kendall(a, b):
    """Return Kendall's tau-b."""
    pairs = list(combinations(range(len(a)), 2))
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in pairs]
    top = sum(x * y for x, y in signs)
    size = math.sqrt(sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs))
    return float(top / size) if size else math.nan


def partial(a, b, given):
    """Return the correlation of a and b at equal parameters and MACs."""
    base = np.column_stack([np.ones(len(a)), np.asarray(given)])
    left = [
        np.asarray(v) - base @ np.linalg.lstsq(base, np.asarray(v), rcond=None)[0] for v in (a, b)
    ]
    size = np.linalg.norm(left[0]) * np.linalg.norm(left[1])
    return float(left[0] @ left[1] / size) if size > 1e-12 else math.nan


def bits(icc):
    """Return what a score tells of its wiring in bits, if both are normal."""
    return 0.5 * math.log2(1 / (1 - min(max(icc, 0.0), 0.9999)))
