"""How much of a trial's score is its wiring's: wirings x seeds, scored in many ways.

python tests/benchmarks/signal make --rows FILE [--seeds 6] [--first 0] [--wirings 12] SETTING ...
python tests/benchmarks/signal report --rows FILE [--long SETTING] > JSON
python tests/benchmarks/signal ship --rows FILE > sparx_nas/search/asked/reliability.json

A setting is what differs from the default: "space=swin_t lr=0.001", or "" for the default itself.
`make` appends a line a training to FILE and goes on where it was stopped. `report` prints a table
to stderr and JSON to stdout: for every setting, way of scoring and epoch the standard deviations
within and between wirings, the intraclass correlation of one training with a bootstrap interval,
Kendall's tau with the means of the `--long` trainings, the correlation with them at equal
parameters and MACs, CPU seconds, and bits told per CPU second. Long trainings take seeds of their
own (`make --first 100`), or what a seed does would be taken for the wiring's.

It is a folder because a file called signal.py would hide Python's own from the scripts beside it.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent.parent))
import timing
from measures import bits, measured
from rows import append_rows, grouped, read_rows
from setting import Setting, read
from trainings import train

import sparx_nas
from sparx_nas.command.options import Given
from sparx_nas.search.asked.known import to_record
from sparx_nas.search.asked.options import read_options
from sparx_nas.search.asked.settings import resolve
from sparx_nas.space.spread import spread
from sparx_nas.trial.reliability import reliability

SCORE = ("128, 1 augmented", 1)
"""How a search scores by default: the loss on an augmented copy of the validation images."""
AS_SEARCHED = {"statistics_images": 128, "val_copies": 1}

NAMES = {"batch": "batch_size", "pixels": "image_size"}
RECIPE = ("warmup", "smoothing", "augment")
"""What a search has no option for."""


def make(args) -> None:
    """Train what is missing, a seed of all wirings after the other."""
    done = {key(row) for row in read_rows(args.rows)}
    todo = []
    for setting in map(read, args.settings):
        designs = spread(sparx_nas.load_space(setting.space), args.wirings)
        for seed in range(args.first, args.first + args.seeds):
            for name, design in designs.items():
                if (setting.name, name, seed) not in done:
                    todo.append((setting, name, design.to_dict(), seed))
    append_rows(args.rows, todo, train, processes=args.processes)


def wiring_of(row) -> str:
    """Name the wiring of a training."""
    return str(row["wiring"])


def key(row) -> tuple[str, str, int]:
    """Name a training."""
    return Setting(**row["setting"]).name, row["wiring"], row["seed"]


def report(args) -> None:
    """Print what every way of scoring tells."""
    found, by = [], {}
    for row in read_rows(args.rows):
        by.setdefault(Setting(**row["setting"]).name, []).append(row)
    long = by.get(read(args.long).name) if args.long is not None else None
    for name, rows in by.items():
        space = sparx_nas.load_space(rows[0]["setting"]["space"])
        designs = spread(space, len({row["wiring"] for row in rows}))
        costs = {n: space.cost(d) for n, d in designs.items()}
        cost = {n: (float(np.log(c.params)), float(np.log(c.macs))) for n, c in costs.items()}
        same_space = long is not None and long[0]["setting"]["space"] == space.name
        target = means(long, long_score) if same_space and rows is not long else None
        seconds = float(np.mean([sum(e["seconds"] for e in row["epochs"]) for row in rows]))
        for way, epoch, score in ways(rows):
            told = measured({key(r)[1:]: score(r) for r in rows}, target, cost)
            if told is None:
                continue
            spent = seconds * (epoch + 1) / len(rows[0]["epochs"])
            told |= {"setting": name, "score": way, "epoch": epoch + 1, "cpu_seconds": spent}
            told["bits_per_cpu_second"] = bits(told["icc"]) / spent
            if target:
                told["long"] = noise_of(long) | {"setting": args.long}
            found.append(told)
    for told in sorted(found, key=lambda t: -t["icc"])[: args.most]:
        print(line(told), file=sys.stderr)
    timing.report("signal", found)


def ship(args) -> None:
    """Print the table that the package carries: what is known of the spaces' own settings."""
    found = []
    for name in dict.fromkeys(row["setting"]["space"] for row in read_rows(args.rows)):
        space, own = sparx_nas.load_space(name), Setting(space=name)
        rows = [row for row in read_rows(args.rows) if Setting(**row["setting"]) == own]
        settings = resolve(read_options({"space": Given("--space", name)}), space)
        told = reliability(list(grouped(rows, wiring_of, as_searched).values()))
        if told is None or others(own, settings):
            continue
        found.append({"space": name} | to_record(told, settings, space))
    print(json.dumps({"rows": found}, indent=1))


def others(setting: Setting, settings) -> list[str]:
    """List in what a setting is not what a search of the space does by default."""
    named = {NAMES.get(k, k): v for k, v in asdict(setting).items() if k not in RECIPE}
    wanted = named | AS_SEARCHED
    return [key for key, value in wanted.items() if getattr(settings, key) != value]


def as_searched(row) -> float:
    """Return what a search scores by default."""
    return float(row["epochs"][-1][SCORE[0]][SCORE[1]])


def means(rows, score) -> dict[str, float]:
    """Return the mean score of every wiring."""
    return {name: float(np.mean(group)) for name, group in grouped(rows, wiring_of, score).items()}


def long_score(row) -> float:
    """Return what a long training comes to: its validation loss in the end, negated."""
    return -row["epochs"][-1]["128, 4 augmented"][1]


def noise_of(rows) -> dict[str, float]:
    """Say how reliable the means of long trainings are themselves."""
    groups = grouped(rows, wiring_of, long_score)
    seeds = round(len(rows) / len(groups))
    share, low, high = reliability(list(groups.values())).of_mean(seeds)
    return {"reliability": share, "interval": [low, high], "seeds": seeds}


def ways(rows):
    """Yield the ways of scoring of trainings, with the epoch and what reads it; more is better."""
    last = len(rows[0]["epochs"]) - 1
    for epoch in range(last + 1):
        for way, value in rows[0]["epochs"][epoch].items():
            if isinstance(value, list) and all(way in row["epochs"][epoch] for row in rows):
                yield f"top-1, {way}", epoch, lambda r, e=epoch, w=way: r["epochs"][e][w][0]
                yield f"loss, {way}", epoch, lambda r, e=epoch, w=way: -r["epochs"][e][w][1]
        yield "training loss", epoch, lambda r, e=epoch: -r["epochs"][e]["train_loss"]
    for span in (2, 3):
        if span <= last + 1:
            said = f"mean of the last {span} epochs"
            for place, name in ((0, "top-1"), (1, "loss")):
                sign = 1 - 2 * place
                yield (
                    f"{name}, 512, {said}",
                    last,
                    lambda r, s=span, p=place, g=sign: float(
                        np.mean([g * e["512"][p] for e in r["epochs"][-s:]])
                    ),
                )


def line(told) -> str:
    """Say one way of scoring in a line."""
    low, high = told["icc_interval"] or (float("nan"),) * 2
    tau = f"  tau {told['tau']:.2f}" if "tau" in told else ""
    return (
        f"{told['icc']:5.2f} ({low:.2f} to {high:.2f}){tau}  within {told['within']:.4f}  between "
        f"{told['between']:.4f}  {told['cpu_seconds']:.0f} s  {told['setting']}: {told['score']}, "
        f"epoch {told['epoch']}"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, run in (("make", make), ("report", report), ("ship", ship)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--rows", type=Path, required=True)
        if run is make:
            command.add_argument("--seeds", type=int, default=6)
            command.add_argument("--first", type=int, default=0, help="the first seed")
            command.add_argument("--wirings", type=int, default=12)
            command.add_argument("--processes", type=int, default=2)
            command.add_argument("settings", nargs="*", default=[""])
        elif run is report:
            command.add_argument("--long")
            command.add_argument("--most", type=int, default=40)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
