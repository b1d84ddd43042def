"""Time a step of a trial's training, by its parts, in several variants side by side; prints JSON.

    python tests/benchmarks/step.py                             # the default trial of mamba_t
    python tests/benchmarks/step.py --package ../older-checkout # an older state of the package, too
    python tests/benchmarks/step.py --side 224 --batch 8 --width 1 --images 60 --steps 6 --scores 1
    python tests/benchmarks/step.py --profile                   # how many operators a step has

Every variant trains the published SparX in a process of its own. They take turns step by step, each
round in another order, so that all meet the same machine; `--clock cpu` counts the processor's
time, for a machine that others use. Losses have to agree before a time is told. `ratio` compares
steps of the same round with those of the first variant, which is the older package if there is one.
Images are digits, enlarged to `--side`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from table import training_of
from timing import report, spread

import sparx_nas

PACKAGE = Path(sparx_nas.__file__).parents[1]
WORKER = Path(__file__).with_name("step_worker.py")
VARIANTS = {"fused": "all", "optimiser plain": "all,-optimiser", "optimiser": "optimiser"}
VARIANTS |= {"none": "none"}
"""What is fused, by `SPARX_NAS_FUSED`."""
OLDER = "package"
CHECKED, TOLERANCE = 5, 1e-3
"""So many first losses agree, relatively; later on rounding has grown."""
PHASES = ("step", "data", "forward", "backward", "clip", "optimiser", "zeroing")
"""Zeroing is that of gradients, and all else between the others: freed memory, sums of losses."""


class Worker:
    """A process that trains a variant when it is told to."""

    def __init__(self, package: Path, fused: str | None, told: Mapping[str, Any]) -> None:
        given = {"PYTHONPATH": str(package), "OMP_NUM_THREADS": str(told["threads"])}
        environment = {k: v for k, v in os.environ.items() if k != "SPARX_NAS_FUSED"} | given
        if fused is not None:
            environment["SPARX_NAS_FUSED"] = fused
        self.process = subprocess.Popen(
            [sys.executable, WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.about = self.ask(json.dumps(told))
        if not Path(self.about["package"]).is_relative_to(package):
            raise SystemExit(f"{self.about['package']} was imported, and not that of {package}")

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *reason: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and wait for the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(command, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the worker ended; asked for {command[:40]}")
        found: dict[str, Any] = json.loads(line)
        return found


def told_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return what every worker trains, and how, in JSON values."""
    space = sparx_nas.load_space(args.space)
    how = training_of(space)
    changed = {"image_size": args.side, "batch_size": args.batch, "width": args.width}
    changed |= {"images": args.images, "stem_stride": args.stem_stride}
    fidelity = how["fidelity"] | {k: v for k, v in changed.items() if v is not None} | {"seed": 0}
    return {
        "design": space.baselines["sparx"].to_dict(),
        "fidelity": fidelity,
        "recipe": how["recipe"],
        "split_seed": how["split_seed"],
        "threads": args.threads,
        "clock": args.clock,
    }


def checked(workers: Mapping[str, Worker]) -> dict[str, float]:
    """Take the first steps, and return how far the losses of each variant are off the first's."""
    losses = {
        name: [worker.ask("step")["loss"] for _ in range(CHECKED)]
        for name, worker in workers.items()
    }
    first = next(iter(losses.values()))
    off = {
        name: max(abs(a - b) / abs(b) for a, b in zip(found, first, strict=True))
        for name, found in losses.items()
    }
    wrong = {name: losses[name] for name, value in off.items() if not value <= TOLERANCE}
    if wrong:
        raise SystemExit(f"losses differ by more than {TOLERANCE}: {wrong}, and not {first}")
    return off


def rounds(workers: Mapping[str, Worker], command: str, count: int) -> dict[str, list[Any]]:
    """Have all carry a command out in turns, each round beginning with another."""
    names, found = list(workers), {name: [] for name in workers}
    for number in range(count):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            if command == "score":
                workers[name].ask("step")
            found[name].append(workers[name].ask(command))
    return found


def summary(found: Sequence[Mapping[str, Any]], phase: str) -> dict[str, float]:
    """Return n, median and quartiles of a phase."""
    times = spread([answer[phase] for answer in found])
    return {key: times[key] for key in ("n", "median_ms", "quartile_1_ms", "quartile_3_ms")}


def results(workers: Mapping[str, Worker], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Check values, then time."""
    off = checked(workers)
    steps = rounds(workers, "step", args.steps)
    scores = rounds(workers, "score", args.scores) if args.scores > 1 else {}
    counts = {name: w.ask("count") for name, w in workers.items()} if args.profile else {}
    first, out = next(iter(workers)), []
    for name, worker in workers.items():
        building = round(worker.about["building"], 1)
        row: dict[str, Any] = {"variant": name, "loss_off": off[name], "building_ms": building}
        pairs = zip(steps[name], steps[first], strict=True)
        ratios = [other["step"] / own["step"] for own, other in pairs]
        low, middle, high = statistics.quantiles(ratios, n=4)
        row["ratio"] = {"median": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}
        row |= {phase: summary(steps[name], phase) for phase in PHASES}
        if scores:
            row["evaluation"] = summary(scores[name], "evaluation")
        if counts:
            row |= {key: counts[name][key] for key in ("operators", "most")}
        out.append(row)
    return out


def tabulated(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the medians as a table for people."""
    parts = [*PHASES, *(["evaluation"] if "evaluation" in rows[0] else [])]
    lines = ["median ms".ljust(16) + "".join(part.rjust(11) for part in parts) + "      ratio"]
    for row in rows:
        cells = "".join(f"{row[part]['median_ms']:11.2f}" for part in parts)
        lines.append(row["variant"].ljust(16) + cells + f"{row['ratio']['median']:11.2f}")
        if "operators" in row:
            most = ", ".join(f"{name} {count}" for name, count in row["most"].items())
            lines.append(f"  {row['operators']:,} operators a step: {most}")
    return "\n".join(lines)


def main() -> None:
    """Print the table, and the record to the standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="mamba_t")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["none", "fused"])
    parser.add_argument("--package", type=Path, help="a checkout of another state of the package")
    parser.add_argument("--side", type=int, help="of the images; the space's proxy if left out")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--width", type=float)
    parser.add_argument("--stem-stride", type=int)
    parser.add_argument("--images", type=int, help="take so many of the data set")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--scores", type=int, default=4, help="evaluations; below 2 none is timed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--profile", action="store_true", help="count operators as well")
    args = parser.parse_args()
    if args.package and not (args.package / "sparx_nas" / "__init__.py").is_file():
        parser.error(f"--package {args.package}: holds no folder sparx_nas")
    if args.steps < 2:
        parser.error("--steps: two at the least, for quartiles")
    torch.set_num_threads(args.threads)
    told = told_of(args)
    with ExitStack() as stack:
        workers = {}
        if args.package:
            older = Worker(args.package.resolve(), None, told)
            workers[OLDER] = stack.enter_context(older)
        for name in args.variants:
            workers[name] = stack.enter_context(Worker(PACKAGE, VARIANTS[name], told))
        rows = results(workers, args)
    print(tabulated(rows), file=sys.stderr)
    about = {key: told[key] for key in ("fidelity", "clock")} | {"tolerance": TOLERANCE}
    report("step", [about, *rows], packages=("torch", "numpy", "timm"))


if __name__ == "__main__":
    main()
