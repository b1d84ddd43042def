"""Time a search's start, from the command to the first training step; prints JSON.

    python tests/benchmarks/start_up.py --repeats 5 > runs/benchmarks/start_up.json
    python tests/benchmarks/start_up.py --other ../older     # another checkout, taking turns

Stamps are seconds after the command: `log_begun` when Ray is up, the data are seen and the run's
folder is there; `start` when the view is; `handed_out` when a trial was given to Ray; `first_step`
when the first training took its first step. The search is ended after its first epoch.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from hour_parts.tool import ROOT, searched  # noqa: E402
from timing import report  # noqa: E402

STAMPS = ("log_begun", "start", "handed_out", "first_step")


def main() -> None:
    """Measure the checkouts in turn, print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--space", default="mamba_t")
    parser.add_argument("--options", nargs="*", default=["--images", "200"], help="of the search")
    parser.add_argument("--other", type=Path, help="another checkout, measured in turn")
    args = parser.parse_args()
    trees = [ROOT, *([args.other.resolve()] if args.other else [])]
    found: dict[Path, list[dict[str, float]]] = {tree: [] for tree in trees}
    for _ in range(args.repeats):
        for tree in trees:
            found[tree].append(stamps(args.space, args.options, tree))
    results = [
        {"checkout": tree.name, "space": args.space, **summary(each)}
        for tree, each in found.items()
    ]
    report("start_up", results, packages=("torch", "ray", "optuna", "timm"))


def stamps(space: str, options: list[str], tree: Path) -> dict[str, float]:
    """Start a search once, and say when what happened."""
    load = os.getloadavg()[0]
    with searched(*options, space=space, tree=tree, first_epoch_only=True) as watched:
        marks = dict(watched.marks)
        marks["handed_out"] = min(watched.starts.values())
        assert watched.first_step_s is not None
        marks["first_step"] = watched.first_step_s
    return {name: marks[name] for name in STAMPS} | {"load": load}


def summary(each: list[dict[str, float]]) -> dict[str, Any]:
    """Return the median of every stamp, and all values."""
    names = (*STAMPS, "load")
    values = {name: [round(one[name], 2) for one in each] for name in names}
    medians = {name: round(statistics.median(values[name]), 2) for name in names}
    return {"n": len(each), "median_s": medians, "each_s": values}


if __name__ == "__main__":
    main()
