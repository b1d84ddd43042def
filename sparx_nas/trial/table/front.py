"""The front of true means, and how sure it is."""

from dataclasses import dataclass

import numpy as np

from sparx_nas.architecture import Architecture
from sparx_nas.trial.pareto import pareto_front
from sparx_nas.trial.table.table import MEASURES, Table, TableError

DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A design that may be on the front: `score` and `cost` are what it is judged by.

    `probability` is the share of draws of all true means, each from its estimate and error, in
    which no other design is better and no dearer.
    """

    architecture: Architecture
    name: str
    score: float
    error: float
    cost: int
    probability: float


def front(
    table: Table, measure: str = "val_loss", cost: str = "macs", least: float = 0.05
) -> list[Membership]:
    """List the designs that are on the front with a probability of `least`, the cheapest first.

    Those of `probability` above 0.5 are the front proper. Errors of designs count as independent.

    Raises: TableError for a measure or a cost that there is not.
    """
    if cost not in table.costs:
        raise TableError(f"there is no cost {cost!r}; known are {', '.join(table.costs)}")
    truths, costs = table.truths(measure), table.costs[cost]
    sign = -1.0 if MEASURES[measure] == "max" else 1.0
    rng, hits = np.random.default_rng(0), np.zeros(len(costs))
    for _ in range(DRAWS):
        drawn = sign * rng.normal(truths.means, truths.errors)
        hits[pareto_front(list(zip(costs.tolist(), drawn.tolist(), strict=True)))] += 1
    return [
        Membership(
            architecture=table.designs[i],
            name=table.baselines.get(int(i), ""),
            score=float(truths.means[i]),
            error=float(truths.errors[i]),
            cost=int(costs[i]),
            probability=float(hits[i] / DRAWS),
        )
        for i in np.argsort(costs, kind="stable")
        if hits[i] >= least * DRAWS
    ]
