"""Time simulated searches and say where the time goes; prints JSON.

200 trials a second are aimed at, with the study in memory. `trials_per_s` counts the trials that a
search trains, `proposals_per_s` everything that its sampler was asked for, duplicates among it.
`share` is of a profile: time within functions of Optuna, of this project, and of what both call
(copying is Python's `copy`, which Optuna's studies call). Before that, what a simulated trial is
told is compared with the table.
"""

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Sequence
from typing import Any

from problems import opened
from timing import report

from sparx_nas.search.simulating.simulation import Simulated, asked, simulate
from sparx_nas.space import SearchSpace
from sparx_nas.trial.table import Table

SAMPLERS = ("random", "nsga2", "tpe")
TRIALS = 100
REPEATS = 7
OWNERS = {"optuna": "/optuna/", "copying": "/copy.py", "sparx_nas": "/sparx_nas/"}


def main() -> None:
    """Print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem", nargs="?", default="lotz", help="of problems.py, or a table")
    name = parser.parse_args().problem
    table, space = opened(name)
    check(table, searched(table, space, "random", 0))
    results = [timed(name, table, space, sampler) for sampler in SAMPLERS]
    report("simulator", results, packages=("optuna", "numpy"))


def timed(name: str, table: Table, space: SearchSpace, sampler: str) -> dict[str, Any]:
    """Time the searches of a sampler, a seed each, then profile one."""
    trained, proposed = [], []
    for seed in range(REPEATS):
        start = time.process_time()
        found = searched(table, space, sampler, seed)
        seconds = time.process_time() - start
        complete = sum(trial.state == "complete" for trial in found.run.trials)
        trained.append(complete / seconds)
        proposed.append(len(found.run.trials) / seconds)
    profile = cProfile.Profile()
    profile.runcall(searched, table, space, sampler, REPEATS)
    return {
        "problem": name,
        "sampler": sampler,
        "trials": TRIALS,
        "trials_per_s": spread(trained),
        "proposals_per_s": spread(proposed),
        "share": shares(profile),
    }


def searched(table: Table, space: SearchSpace, sampler: str, seed: int) -> Simulated:
    """Simulate a search."""
    options = {"trials": str(TRIALS), "seed": str(seed), "sampler": sampler}
    return simulate(table, space, asked(table, space, **options))


def check(table: Table, found: Simulated) -> None:
    """Compare what trials were told with the trainings of the table."""
    for trial in found.run.trials:
        if trial.state == "complete" and trial.fidelity is not None:
            drawn = table.draw(trial.architecture, trial.fidelity.seed, trial.fidelity.seeds)
            mean = sum(training.top1[-1] for training in drawn) / len(drawn)
            assert abs((trial.top1 or 0.0) - mean) < 1e-12, trial.name


def spread(rates: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles of rates."""
    first, median, third = statistics.quantiles(rates, n=4)
    named = {"median": median, "quartile_1": first, "quartile_3": third}
    return {"n": len(rates)} | {name: round(rate, 1) for name, rate in named.items()}


def shares(profile: cProfile.Profile) -> dict[str, float]:
    """Return the share of each owner in the time within functions."""
    found = dict.fromkeys((*OWNERS, "other"), 0.0)
    for (path, _, _), (_, _, within, _, _) in pstats.Stats(profile).stats.items():
        owner = next((name for name, part in OWNERS.items() if part in path), "other")
        found[owner] += within
    whole = sum(found.values())
    return {owner: round(seconds / whole, 3) for owner, seconds in found.items()}


if __name__ == "__main__":
    main()
