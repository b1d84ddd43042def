"""Train the wirings of a space by the thousand, at the fidelity of a search: a table of the truth.

    python tests/benchmarks/table.py make mamba_t                    # begins, or goes on
    python tests/benchmarks/table.py make mamba_t --more-seeds 2     # asks for more, and goes on
    python tests/benchmarks/table.py make mamba_t --more-wirings 100
    python tests/benchmarks/table.py plan mamba_t                    # what is asked for and there
    python tests/benchmarks/table.py pack mamba_t                    # what is there, as one file

A table stands in runs/tables/SPACE.json, what is asked for and how it is trained, and SPACE.jsonl,
a line a training: of every epoch top-1 and loss on validation as a search scores them, training
loss and seconds, and what the network makes of the test split after the last one. It goes on after
any end, trains on all cores with low priority, and says when it will have ended.

Wirings are the baselines and a sample of the others, stratified by which stages have ganglia, by
their number and by MACs: a larger table holds the smaller one. All wirings get their first seed
before any gets its second.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import Row, append_rows, read_rows

import sparx_nas
from sparx_nas.architecture import Architecture
from sparx_nas.command.options import Given
from sparx_nas.data import DataSet, open_data
from sparx_nas.data.splits import stratified
from sparx_nas.ground.record import write_text
from sparx_nas.search.asked.options import read_options
from sparx_nas.search.asked.settings import resolve
from sparx_nas.search.calibrating.measuring import fidelity_of
from sparx_nas.space import SearchSpace
from sparx_nas.trial.score import evaluate
from sparx_nas.trial.table import Table, write_table
from sparx_nas.trial.training import EVALUATION_BATCH, Recipe, Training
from sparx_nas.trial.values import Fidelity

FOLDER = Path(__file__).parents[2] / "runs" / "tables"
PACKED = Path(sparx_nas.__file__).parent / "trial" / "table" / "tables"
SCORED = ("top1", "val_loss", "train_loss")
COUNTS = ("params", "macs", "activation_bytes", "published_flops")
ASKED = {"wirings": 400, "seeds": 4, "baseline_seeds": 20}
"""What a new table asks for: wirings besides the baselines, seeds of each, seeds of baselines;
`--more-…` asks for more of one that has begun."""
DRAWN = 4_000
"""Random designs that stand for a space too large to list."""
COSTS = 4
"""Strata by MACs."""
SAMPLE_SEED = 0
CPU = torch.device("cpu")


def make(args: argparse.Namespace) -> None:
    """Train what is asked for and not there."""
    plan = planned(args)
    rows = read_rows(path_of(args, "jsonl"))
    done = {(row["architecture"], row["seed"]) for row in rows}
    jobs = [job for job in jobs_of(plan) if (job[0]["id"], job[2]["seed"]) not in done]
    append_rows(path_of(args, "jsonl"), jobs, train, processes=args.processes)


def show(args: argparse.Namespace) -> None:
    """Print what is asked for and how much of it is there."""
    plan, rows = read_plan(args), read_rows(path_of(args, "jsonl"))
    seconds = [sum(epoch["seconds"] for epoch in row["epochs"]) for row in rows] or [0.0]
    there = {"wirings": len({row["architecture"] for row in rows}), "trainings": len(rows)}
    there |= {"wanted": sum(1 for _ in jobs_of(plan)), "mean_seconds": float(np.mean(seconds))}
    print(json.dumps(plan | {"there": there}, indent=1))


def pack(args: argparse.Namespace) -> None:
    """Write what is there as the table that the package opens, and say what it holds."""
    plan, rows = read_plan(args), read_rows(path_of(args, "jsonl"))
    path = args.out or PACKED / path_of(args, "npz").name
    table = packed(plan, rows)
    write_table(table, path)
    counts = np.bincount(table.design)
    told = {"designs": len(table.designs), "trainings": len(rows), "fewest": int(counts.min())}
    print(json.dumps(told | {"bytes": path.stat().st_size, "path": str(path)}))


def packed(plan: Mapping[str, Any], rows: Sequence[Row]) -> Table:
    """Put trainings together; designs stand in the order in which they are asked for."""
    space = sparx_nas.load_space(plan["space"])
    known = {a.id: a for a in (*space.baselines.values(), *sampled(space)[: plan["wirings"]])}
    trained = {row["architecture"] for row in rows}
    designs = tuple(design for key, design in known.items() if key in trained)
    places = {design.id: place for place, design in enumerate(designs)}
    costs = [space.cost(design).to_dict() for design in designs]
    ended = {"trainings": len(rows), "ended": max(row["ended"] for row in rows)}
    return Table(
        designs=designs,
        baselines={places[a.id]: name for name, a in space.baselines.items() if a.id in places},
        costs={name: np.array([cost[name] for cost in costs], np.int64) for name in COUNTS},
        design=np.array([places[row["architecture"]] for row in rows], np.int64),
        seed=np.array([row["seed"] for row in rows], np.int64),
        curves={
            name: np.array([[epoch[name] for epoch in row["epochs"]] for row in rows])
            for name in (*SCORED, "val_loss_error", "seconds")
        },
        test_correct=np.array([row["test"]["correct"] for row in rows], np.int64),
        about=dict(plan) | ended,
    )


def planned(args: argparse.Namespace) -> dict[str, Any]:
    """Return what is asked for from now on, written down before anything is trained.

    A table that has begun keeps its fidelity, space and data.
    """
    space = sparx_nas.load_space(args.space)
    how = training_of(space)
    if not path_of(args, "json").exists():
        asked = {key: getattr(args, key) or number for key, number in ASKED.items()}
        plan = {"space": args.space} | how | asked | {"begun": now()}
    else:
        plan = read_plan(args)
        # Data are told by `data_id` of the fidelity; their description may say more than it did.
        others = [key for key in how if key != "data" and plan[key] != how[key]]
        if others:
            raise SystemExit(f"{args.space}: {', '.join(others)} changed since the table was begun")
    for key, more in (("wirings", args.more_wirings), ("seeds", args.more_seeds)):
        plan[key] += more
    plan["baseline_seeds"] = max(plan["baseline_seeds"], plan["seeds"])
    machine = {"versions": {n: version(n) for n in ("torch", "timm", "numpy")}, "device": "cpu"}
    args.folder.mkdir(parents=True, exist_ok=True)
    write_text(path_of(args, "json"), json.dumps(plan | machine, indent=1) + "\n")
    return plan | machine


def training_of(space: SearchSpace) -> dict[str, Any]:
    """Say how a training of a space's default search is done, its seed aside, in JSON values."""
    settings = resolve(read_options({"space": Given("--space", space.name)}), space)
    data = opened(settings.data, settings.image_size, settings.seed, settings.images)
    fidelity = fidelity_of(settings, data.data_id, settings.seed).to_dict()
    return {
        "fingerprint": space.fingerprint,
        "fidelity": {key: value for key, value in fidelity.items() if key not in ("seed", "seeds")},
        "recipe": asdict(Recipe(lr=settings.lr, drop_path=settings.drop_path)),
        "data": data.describe(),
        "split_seed": settings.seed,
    }


def jobs_of(plan: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str, dict[str, Any]]]:
    """Yield what is to be trained: design, name and how; the first seed of all comes first."""
    space = sparx_nas.load_space(plan["space"])
    sample = [({"id": a.id, "design": a.to_dict()}, "") for a in sampled(space)[: plan["wirings"]]]
    baselines = [({"id": a.id, "design": a.to_dict()}, name) for name, a in space.baselines.items()]
    how = {key: plan[key] for key in ("fidelity", "recipe", "split_seed")}
    for seed in range(max(plan["seeds"], plan["baseline_seeds"])):
        wanted = baselines if seed < plan["baseline_seeds"] else []
        wanted = wanted + (sample if seed < plan["seeds"] else [])
        yield from ((design, name, how | {"seed": seed}) for design, name in wanted)


def sampled(space: SearchSpace) -> list[Architecture]:
    """Return designs besides the baselines, so ordered that every beginning is a fair sample."""
    everything = space.enumerate()
    drawn = space.draws(DRAWN, SAMPLE_SEED) if everything is None else everything
    known = {design.id for design in space.baselines.values()}
    others = {a.id: a for a in drawn if a.id not in known}
    designs = [a for a in others.values() if not space.violations(space.cost(a).to_dict())]
    macs = [space.cost(design).macs for design in designs]
    quarter = np.searchsorted(np.quantile(macs, np.arange(1, COSTS) / COSTS), macs)
    shapes = [
        (*(bool(stage.ganglia) for stage in design.graph.stages), len(design.graph.ganglia), cost)
        for design, cost in zip(designs, quarter.tolist(), strict=True)
    ]
    names = {shape: number for number, shape in enumerate(sorted(set(shapes)))}
    labels = np.array([names[shape] for shape in shapes])
    return [designs[i] for i in stratified(labels, seed=SAMPLE_SEED, stream=0)]


def train(design: Mapping[str, Any], name: str, how: Mapping[str, Any]) -> Row:
    """Train one wiring with one seed on one thread, as a search would, and score it on test."""
    torch.set_num_threads(1)
    fidelity = Fidelity(**how["fidelity"], seed=how["seed"])
    data = opened(fidelity.data, fidelity.image_size, how["split_seed"], fidelity.images)
    training = Training(
        Architecture.from_dict(design["design"]),
        data,
        fidelity=fidelity,
        recipe=Recipe(**how["recipe"]),
        device=CPU,
    )
    epochs = []
    for _ in range(fidelity.epochs):
        start, epoch = time.process_time(), training.run_epoch()
        kept = {key: getattr(epoch, key) for key in (*SCORED, "val_loss_error")}
        epochs.append(kept | {"seconds": round(time.process_time() - start, 3)})
    test = evaluate(training.model, data, "test", batch_size=EVALUATION_BATCH, device=CPU)
    row = {"architecture": design["id"], "baseline": name, "seed": how["seed"], "epochs": epochs}
    return row | {"test": {"correct": test.correct, "images": test.images}, "ended": now()}


@lru_cache(maxsize=1)
def opened(name: str, image_size: int, seed: int, images: int) -> DataSet:
    """Open the data once a process."""
    return open_data(
        name, data_dir=None, image_size=image_size, seed=seed, limit=images or None, with_test=True
    )


def read_plan(args: argparse.Namespace) -> dict[str, Any]:
    """Read what is asked for."""
    plan: dict[str, Any] = json.loads(path_of(args, "json").read_text())
    return plan


def path_of(args: argparse.Namespace, kind: str) -> Path:
    """Return where a part of a table is."""
    return Path(args.folder) / f"{Path(args.space).stem}.{kind}"


def now() -> str:
    """Return the time to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, run in (("make", make), ("plan", show), ("pack", pack)):
        command = commands.add_parser(name, help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("space", help="a space by name, or its file")
        command.add_argument("--folder", type=Path, default=FOLDER, help="where it is made")
        if run is make:
            for key, number in ASKED.items():
                flag = f"--{key.replace('_', '-')}"
                said = f"of a new table; {number} if left out"
                command.add_argument(flag, type=int, metavar="N", help=said)
            command.add_argument("--more-wirings", type=int, default=0, metavar="N")
            command.add_argument("--more-seeds", type=int, default=0, metavar="N")
            command.add_argument("--processes", type=int, default=os.cpu_count() or 1)
        if run is pack:
            command.add_argument("--out", type=Path, help="a file; that of the package if left out")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
