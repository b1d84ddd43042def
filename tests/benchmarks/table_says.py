"""Say what a table tells of wirings: which choices of a space go with a lower loss, at equal cost.

    python tests/benchmarks/table_says.py mamba_t > runs/benchmarks/table_says_mamba_t.json

Two answers. `features`: the explorer's regressions of a score on cost and one feature of the wiring
at a time (`drawing/associations.py`), over true means instead of single trainings. `choices`: one
regression of the loss on the logarithm of MACs, its square, and all choices of the space's rule at
once, against the choice that the published design makes; a choice that is idle in a design (the
window of a stage without ganglia) is a category of its own there. `costlier` says what MACs alone
go with. Designs are weighted by how well they are known (scatter between designs, and noise over
trainings); errors are HC3, intervals 95 % for each by itself, `corrected` for all of them (Holm).
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from problems import opened
from scipy.stats import norm

from sparx_nas.drawing.associations import associations
from sparx_nas.space import SearchSpace
from sparx_nas.trial.table import MEASURES, Table

Vector = NDArray[np.float64]
FEWEST = 8
"""Designs that a choice needs on either side."""


def said(table: Table, space: SearchSpace) -> dict[str, Any]:
    """Return everything that a table tells."""
    told: dict[str, Any] = {
        "space": table.name,
        "designs": len(table.designs),
        "trainings": len(table.design),
        "features": {},
    }
    graphs, macs = [design.graph for design in table.designs], table.costs["macs"].tolist()
    for measure in ("val_loss", "top1", "test_top1"):
        sign = -1.0 if MEASURES[measure] == "min" else 1.0
        found = associations(graphs, (sign * table.truths(measure).raw).tolist(), macs)
        told["features"][measure] = [asdict(one) | {"clear": one.clear} for one in found]
    return told | choices(table, space)


def choices(table: Table, space: SearchSpace) -> dict[str, Any]:
    """Regress the loss on cost and all choices at once; more than 0 is worse."""
    genes = [picked(space, dict(space.encode(design) or {})) for design in table.designs]
    published = picked(space, dict(space.encode(space.baselines["sparx"]) or {}))
    names, columns = dummies(genes, published)
    macs = np.log(table.costs["macs"].astype(float))
    macs = macs - macs.mean()
    basis = np.column_stack([np.ones(len(macs)), macs, macs**2, *columns])
    truths = table.truths()
    noise = truths.within**2 / truths.counts
    slopes, errors = fitted(truths.raw, basis, 1 / (truths.scatter**2 + noise))
    rows = []
    for name, (slope, error), column in zip(
        names, zip(slopes[3:], errors[3:], strict=True), columns, strict=True
    ):
        rows.append(line(name, slope, error) | {"designs": int(column.sum())})
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["corrected"] = corrected
    tenth = float(np.log(1.1))
    costlier = line("a tenth more MACs", tenth * slopes[1], tenth * errors[1])
    return {"costlier": costlier, "choices": rows}


def picked(space: SearchSpace, genes: Mapping[str, Any]) -> dict[str, str]:
    """Return the choices of a design, `idle` where another value would mean the same design."""
    out = {}
    for gene in space.genes:
        others = [c for c in gene.choices if c != genes[gene.name]]
        same = [space.canonical({**genes, gene.name: c}) == genes for c in others]
        out[gene.name] = "idle" if others and all(same) else str(genes[gene.name])
    return out


def dummies(
    genes: Sequence[Mapping[str, str]], published: Mapping[str, str]
) -> tuple[list[str], list[Vector]]:
    """Return a column of zeros and ones for every choice that is not the published one's.

    Left out are choices of few designs, and columns that others make up.
    """
    names, columns = [], [np.ones(len(genes))]
    for name, usual in published.items():
        values = [gene[name] for gene in genes]
        for choice in sorted(set(values) - {usual}):
            column = np.array([float(value == choice) for value in values])
            if min(column.sum(), len(genes) - column.sum()) < FEWEST:
                continue
            if np.linalg.matrix_rank(np.column_stack([*columns, column])) == len(columns):
                continue
            names.append(f"{name} {choice} instead of {usual}")
            columns.append(column)
    return names, columns[1:]


def fitted(values: Vector, basis: Vector, weights: Vector) -> tuple[Vector, Vector]:
    """Fit by weighted least squares; return slopes and their HC3 standard errors."""
    root = np.sqrt(weights)[:, None]
    design, goal = basis * root, values * root[:, 0]
    inverse = np.linalg.inv(design.T @ design)
    slopes = inverse @ (design.T @ goal)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    rest = (goal - design @ slopes) / (1 - np.minimum(leverage, 1 - 1e-9))
    covariance = inverse @ (design.T @ (design * (rest**2)[:, None])) @ inverse
    return slopes, np.sqrt(np.diag(covariance))


def line(name: str, slope: float, error: float) -> dict[str, Any]:
    """Return a slope in nats with its interval."""
    p = float(2 * norm.sf(abs(slope) / error))
    bounds = [float(slope - 1.96 * error), float(slope + 1.96 * error)]
    return {"choice": name, "loss": float(slope), "interval": bounds, "p": p}


def holm(ps: Sequence[float]) -> list[float]:
    """Correct p values for how many there are (Holm)."""
    out, most = [1.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        most = max(most, min(1.0, (len(ps) - rank) * ps[i]))
        out[i] = most
    return out


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", help="a table by the name of its space")
    print(json.dumps(said(*opened(parser.parse_args().table)), indent=1))


if __name__ == "__main__":
    main()
