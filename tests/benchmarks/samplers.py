"""Compare the samplers of a search where the truth is known: on tables and standard problems.

    python tests/benchmarks/samplers.py make --rows runs/benchmarks/samplers.jsonl    # goes on, too
    python tests/benchmarks/samplers.py report --rows runs/benchmarks/samplers.jsonl

A row is a simulated search: a problem, a sampler, a budget in trainings (baselines among them) and
a seed, which decides the sampler and which trainings of a design come up. Two yardsticks are
besides: local search from the front, and training every design.

What a search announces is judged by true means: `hypervolume` of its front, as a share of that of
the true front; `regret`, how much worse the loss of the announced design is than that of the best
which costs no more than published SparX; `regret_of_best`, the same of the design of the best
score, which a search shows besides. `val_bias` and `test_bias` are announced minus true accuracy in
points; `covered` says whether the printed 95 % interval of test accuracy holds the true mean. That
interval is for other images as well, the true mean is of these, so more than 95 % are expected.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from problems import known, opened
from rows import Row, append_rows, read_rows
from scipy.stats import wilcoxon

from sparx_nas.search.asked.settings import BASELINE_SEEDS
from sparx_nas.search.proposing.sampler import PinningSampler, distributions
from sparx_nas.search.simulating.simulation import Simulated, asked, simulate
from sparx_nas.search.simulating.tabled import tabled
from sparx_nas.space import SearchSpace
from sparx_nas.trial.pareto import hypervolume, pareto_front, top_trial
from sparx_nas.trial.table import Table
from sparx_nas.trial.values import TrialRecord

LOCAL = "local"
SAMPLERS = ("random", "tpe", "nsga2", LOCAL)
EXHAUSTIVE = "exhaustive"
BUDGETS = (25, 50, 100, 200)
EVERYTHING = 0
"""The budget of training every design."""
STARTS = 5
"""Random designs that local search begins with."""
MEASURES = ("hypervolume", "regret", "regret_of_best", "val_bias", "test_bias", "covered")
CHANCE = "random"
"""What samplers are compared with, seed by seed."""


class LocalSampler(BaseSampler):
    """Changes one gene of a random member of the front; the first few designs are random."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self.step: dict[str, Any] = {}
        if len(done) >= STARTS:
            start = done[self.rng.choice(pareto_front([tuple(t.values) for t in done]))]
            name = self.rng.choice(sorted(start.params))
            others = [c for c in start.distributions[name].choices if c != start.params[name]]
            self.step = start.params | {str(name): others[self.rng.integers(len(others))]}
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, distribution: BaseDistribution
    ) -> Any:
        choices = distribution.choices
        return self.step.get(param_name, choices[self.rng.integers(len(choices))])


class ExhaustiveSampler(BaseSampler):
    """Goes through all designs, each once, in an order of its seed."""

    def __init__(self, seed: int, space: SearchSpace) -> None:
        designs = space.enumerate()
        assert designs is not None, "a table can be listed"
        self.space = space
        self.left = [designs[i] for i in np.random.default_rng(seed).permutation(len(designs))]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return distributions(self.space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        return dict(self.space.encode(self.left.pop()) or {})

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, distribution: BaseDistribution
    ) -> Any:
        raise AssertionError("all genes are drawn at once")


def make(args: argparse.Namespace) -> None:
    """Simulate what is not there yet."""
    there = {tuple(row["job"]) for row in read_rows(args.rows)}
    jobs = [job for job in jobs_of(args) if job not in there]
    append_rows(args.rows, jobs, searched, processes=args.processes)


def jobs_of(args: argparse.Namespace) -> list[tuple[str, str, int, int]]:
    """List all searches; of those of one problem the seeds come one after another."""
    seeds = range(args.first, args.first + args.seeds)
    ways = [*product(SAMPLERS, BUDGETS), (EXHAUSTIVE, EVERYTHING)]
    return [(p, *way, seed) for p, seed, way in product(args.problems or known(), seeds, ways)]


def searched(problem: str, sampler: str, budget: int, seed: int) -> Row:
    """Simulate a search and judge what it announces."""
    table, space = opened(problem)
    everything = len(table.designs) - len(table.baselines)
    trials = everything if sampler == EXHAUSTIVE else candidates(budget, space)
    options = {"trials": str(trials), "seed": str(seed), "objectives": "val_loss,macs"}
    own: BaseSampler | None = None
    if sampler == LOCAL:
        own = PinningSampler(LocalSampler(seed), space)
    elif sampler == EXHAUSTIVE:
        own = ExhaustiveSampler(seed, tabled(space, table))
    else:
        options["sampler"] = sampler
    found = simulate(table, space, asked(table, space, **options), sampler=own)
    return {"job": (problem, sampler, budget, seed), "trials": trials} | judged(found, table)


def candidates(budget: int, space: SearchSpace) -> int:
    """Return how many candidates of two trainings are left when the baselines have theirs."""
    return max(1, (budget - BASELINE_SEEDS * len(space.baselines)) // 2)


def judged(found: Simulated, table: Table) -> dict[str, float]:
    """Compare what a search announces with the truth."""
    announced, best = found.announced, top_trial(found.run)
    assert announced is not None, "baselines are always trained"
    assert best is not None, "baselines are always trained"
    truth = table.truth(announced.architecture, "test_top1").mean
    interval = found.run.noise.interval(announced.test_top1s, "test")
    assert announced.top1 is not None, "it is complete"
    assert announced.test_top1 is not None, "it is on the front"
    assert interval is not None, "the table knows its splits"
    val = table.truth(announced.architecture, "top1").mean
    return {
        "hypervolume": share_of_volume(found, table),
        "regret": regret(announced, table),
        "regret_of_best": regret(best, table),
        "val_bias": 100 * (announced.top1 - val),
        "test_bias": 100 * (announced.test_top1 - truth),
        "covered": float(interval[0] <= truth <= interval[1]),
        "seconds": found.seconds,
    }


def regret(trial: TrialRecord, table: Table) -> float:
    """Return how much worse a design is than the best that costs no more than published SparX."""
    published = next(place for place, name in table.baselines.items() if name == "sparx")
    able = table.costs["macs"] <= table.costs["macs"][published]
    best = float(table.truths().means[able].min())
    return table.truth(trial.architecture).mean - best


def share_of_volume(found: Simulated, table: Table) -> float:
    """Return the hypervolume of the announced front's true means over that of the true front."""
    means, macs = table.truths().means, table.costs["macs"]
    low, high = np.array([macs.min(), means.min()]), np.array([macs.max(), means.max()])

    def volume(places: Sequence[int]) -> float:
        points = np.column_stack([macs[places], means[places]])
        scaled = (points - low) / (high - low)
        return hypervolume([tuple(point) for point in scaled.tolist()], (1.0, 1.0))

    everything = list(range(len(macs)))
    return volume([table.place(t.architecture) for t in found.run.front]) / volume(everything)


def report(args: argparse.Namespace) -> None:
    """Print medians, quartiles, and paired differences to random sampling, as JSON."""
    rows = read_rows(args.rows)
    told = []
    for problem in dict.fromkeys(row["job"][0] for row in rows):
        own = [row for row in rows if row["job"][0] == problem]
        ways = sorted({(row["job"][2], row["job"][1]) for row in own})
        told += [told_of(own, sampler, budget) for budget, sampler in ways]
    print(json.dumps({"rows": told}, indent=1))


def told_of(rows: Sequence[Row], sampler: str, budget: int) -> dict[str, Any]:
    """Say how the searches of one sampler and budget did."""
    mine, chance = ({r["job"][3]: r for r in rows if r["job"][1:3] == [name, budget]}
                    for name in (sampler, CHANCE))  # fmt: skip
    told: dict[str, Any] = {
        "problem": rows[0]["job"][0],
        "sampler": sampler,
        "trainings": budget or "all",
        "searches": len(mine),
    }
    for measure in MEASURES:
        values = np.array([row[measure] for row in mine.values()])
        if measure == "covered":
            told[measure] = {"mean": float(values.mean())}
            continue
        low, middle, high = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
        told[measure] = {"median": middle, "quartiles": [low, high], "mean": float(values.mean())}
        both = sorted(set(mine) & set(chance))
        apart = np.array([mine[s][measure] - chance[s][measure] for s in both])
        if sampler != CHANCE and apart.any():
            test = wilcoxon(apart)
            told[measure] |= {"less_random": float(np.median(apart)), "p": float(test.pvalue)}
    return told


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, run in (("make", make), ("report", report)):
        command = commands.add_parser(name, help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("--rows", type=Path, required=True)
        if run is make:
            command.add_argument("--seeds", type=int, default=20)
            command.add_argument("--first", type=int, default=0, help="the first seed")
            command.add_argument("--processes", type=int, default=os.cpu_count() or 1)
            command.add_argument("problems", nargs="*", help=f"some of {', '.join(known())}")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
