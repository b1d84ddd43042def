"""Trials an hour: the tool and a plain afternoon's script, side by side, and what a trial costs.

    python tests/benchmarks/trials_per_hour.py > runs/benchmarks/trials_per_hour.json
    python tests/benchmarks/trials_per_hour.py --trials 4 --repeats 1 --only a c

a is `python -m sparx_nas.search` with its default settings; b a plain script (Ray Tune as it comes,
OptunaSearch, a torch DataLoader) on pure PyTorch, without any compiled operator of this project; c
the same script on our kernels. b and c train the designs that a chose, by the same recipe, epochs,
batch, seeds and scoring (hour_parts/afternoon.py). `overhead` runs searches whose trials train
nothing, in studies of some sizes. Repeats take turns.

Before anything is told: every script trained the same designs as often as the tool, each training
took as many steps, and in b and c the first losses of a training agree, for batches and weights are
equal there. `top1` says how good the trainings were, and `than_a` by how much designs differ.
"""

import argparse
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from hour_parts.tool import Watched, searched, shares  # noqa: E402
from timing import report  # noqa: E402

import sparx_nas  # noqa: E402
from sparx_nas.run_store import read_curves  # noqa: E402

PARTS = ("a", "b", "c", "overhead")
KERNELS = {"b": "torch", "c": "ours"}
PACKAGES = ("torch", "numpy", "ray", "optuna", "timm")
SAME_LOSS = 1e-3
"""How far apart the first losses of the same training may lie with other kernels."""


def main() -> None:
    """Run what is asked for, check it, print the record."""
    args = asked()
    # An end from outside is an end like any other: folders are removed, what was started is ended.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    load, rounds, overheads = os.getloadavg(), [], []
    if set(args.only) - {"overhead"}:
        rounds = [one_round(args) for _ in range(args.repeats)]
        for done in rounds:
            check(done)
    if "overhead" in args.only:
        overheads = [overhead(args.overhead_space, n, args.overhead_trials) for n in args.studies]
    results: list[dict[str, Any]] = [{"load_at_start": load, "load_at_end": os.getloadavg()}]
    if rounds:
        results += [summary(part, rounds) for part in "abc" if part in rounds[0]]
        results.append(compared(rounds))
    results += [{"part": "overhead", "space": args.overhead_space, **o} for o in overheads]
    report("trials_per_hour", results, packages=PACKAGES)


def asked() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=24, help="besides the baselines")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--space", default="mamba_t")
    parser.add_argument("--options", nargs="*", default=[], help="more for the search, as k=v")
    parser.add_argument("--only", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--overhead-space", default="mamba_t_free")
    parser.add_argument("--studies", nargs="*", type=int, default=[0, 100, 1000])
    parser.add_argument("--overhead-trials", type=int, default=20)
    args = parser.parse_args()
    if {"b", "c"} & set(args.only) and "a" not in args.only:
        parser.error("b and c train what a has chosen")
    return args


def one_round(args: argparse.Namespace) -> dict[str, Any]:
    """Run the tool, then the scripts on its designs."""
    more = [word for option in args.options for word in split(option)]
    with searched("--trials", str(args.trials), *more, space=args.space) as watched:
        done: dict[str, Any] = {"a": of_tool(watched)}
        request = request_of(watched.run, args.space)
    for part in KERNELS:
        if part in args.only:
            said = {**request, "kernels": KERNELS[part]}
            done[part] = script(said)
    return done


def split(option: str) -> list[str]:
    """Return an option, `epochs=1`, as words of a command."""
    name, _, value = option.partition("=")
    return [f"--{name}", value]


def of_tool(watched: Watched) -> dict[str, Any]:
    """Say what came of the tool's search."""
    run = sparx_nas.load_run(watched.run)
    done = [t for t in run.trials if t.state == "complete"]
    spent = {"data": 0.0, "step": 0.0, "evaluation": 0.0}
    images, alone = run.env["data"]["splits"]["train"], data_alone(run.config)
    for trial in done:
        for epoch in trial.epochs:
            count = len(trial.top1s)
            # The rate is the harmonic mean of the trainings' rates.
            training = min(epoch.seconds, count * images / epoch.images_per_s)
            spent["data"] += count * alone
            spent["step"] += max(0.0, training - count * alone)
            spent["evaluation"] += epoch.seconds - training
    spans = [(watched.starts[t.number], watched.ends[t.number]) for t in done]
    trainings = [
        {"architecture": t.architecture.id, "seed": i, "top1": top1}
        for t in done
        for i, top1 in enumerate(t.top1s)
    ]
    return {
        "trainings": trainings,
        "trial_s": [t.seconds for t in done],
        "seconds": watched.seconds,
        "start_up_s": watched.first_step_s,
        "steps": None,
        "spans": spans,
        "spent": spent,
        "slots": slots_of(watched.run),
    }


def slots_of(run: Path) -> int:
    """Return how many trials ran at a time, as the log says."""
    text = (run / "search.log").read_text()
    return int(text.split("Slots(concurrency=")[1].split(",")[0])


def data_alone(config: Mapping[str, Any]) -> float:
    """Return the seconds that the images of an epoch take by themselves, one thread."""
    import torch

    from sparx_nas.data import open_data

    torch.set_num_threads(1)
    how = {"image_size": config["image_size"], "seed": config["seed"]}
    data = open_data(config["data"], data_dir=None, limit=config["images"] or None, **how)
    times = []
    for epoch in range(5):
        start = time.perf_counter()
        for _ in data.batches(
            "train", config["batch_size"], seed=0, epoch=epoch, train=True, device="cpu"
        ):
            pass
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def request_of(run: Path, space: str) -> dict[str, Any]:
    """Return what a script needs to train the designs of a run as the run did."""
    from sparx_nas.trial.training import Recipe

    loaded, found = sparx_nas.load_space(space), sparx_nas.load_run(run)
    done = [t for t in found.trials if t.state == "complete"]
    assert done, "the tool trained something"
    fidelity = done[-1].fidelity
    assert fidelity is not None
    recipe = Recipe(lr=found.config["lr"], drop_path=found.config["drop_path"])
    return {
        "space": space,
        "candidates": [dict(loaded.encode(t.architecture) or {}) for t in done],
        "seeds": {t.architecture.id: len(t.top1s) for t in done},
        "fidelity": fidelity.to_dict(),
        "recipe": {name: getattr(recipe, name) for name in recipe.__dataclass_fields__},
        "data_seed": found.config["seed"],
        "epochs": len(read_curves(run / "curves.jsonl")[done[-1].number].epochs),
    }


def script(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run the plain script, and say what came of it.

    Raises: SystemExit if it fails.
    """
    answer, begun, seconds = asked_of("afternoon.py", request)
    if answer["broken"]:
        raise SystemExit("\n".join(answer["broken"]))
    trials = answer["trials"]
    every = [t for trial in trials for t in trial["trainings"]]
    spent = {what: sum(t["spent"][what] for t in every) for what in ("data", "step", "evaluation")}
    return {
        "trainings": [
            {**t, "architecture": trial["architecture"]}
            for trial in trials
            for t in trial["trainings"]
        ],
        "trial_s": [trial["ended"] - trial["begun"] for trial in trials],
        "seconds": seconds,
        "start_up_s": min(t["first_step"] for t in every) - begun,
        "spans": [(trial["begun"] - begun, trial["ended"] - begun) for trial in trials],
        "spent": spent,
        "slots": answer["slots"],
    }


def asked_of(name: str, request: Mapping[str, Any]) -> tuple[Any, float, float]:
    """Run a script of hour_parts; return its answer, when it began and the seconds it took.

    Raises: SystemExit with what it said if it fails.
    """
    with tempfile.TemporaryDirectory(prefix="hour-") as folder:
        question, answer = Path(folder) / "question", Path(folder) / "answer"
        question.write_text(json.dumps(request))
        words = [sys.executable, str(HERE / "hour_parts" / name), str(question), str(answer)]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        begun = time.time()
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": paths, "TMPDIR": folder},
            check=False,
        )
        seconds = time.time() - begun
        if done.returncode or not answer.is_file():
            raise SystemExit(f"{name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return json.loads(answer.read_text()), begun, seconds


def check(done: Mapping[str, Any]) -> None:
    """Compare what was trained, and what of it has to be equal.

    Raises: SystemExit if the parts did not do the same.
    """
    kinds = {
        part: sorted((t["architecture"], t["seed"]) for t in done[part]["trainings"])
        for part in done
    }
    if any(kind != kinds["a"] for kind in kinds.values()):
        raise SystemExit("the parts did not train the same designs with the same seeds")
    scripts = [by_training(done[part]) for part in KERNELS if part in done]
    for one, other in itertools.pairwise(scripts):
        for key, training in one.items():
            apart = abs(training["first_loss"] - other[key]["first_loss"])
            if apart > SAME_LOSS or training["steps"] != other[key]["steps"]:
                raise SystemExit(f"{key}: the first losses differ by {apart:.2g}, or the steps do")


def by_training(part: Mapping[str, Any]) -> dict[tuple[str, int], Any]:
    """Return the trainings of a part by design and seed."""
    return {(t["architecture"], t["seed"]): t for t in part["trainings"]}


def summary(part: str, rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is told of a part."""
    each = [done[part] for done in rounds]
    rates = [3600 * len(e["trial_s"]) / e["seconds"] for e in each]
    trainings = [3600 * len(e["trainings"]) / e["seconds"] for e in each]
    top1 = [t["top1"] for e in each for t in e["trainings"]]
    return {
        "part": part,
        "trials_per_hour": spread(rates),
        "trainings_per_hour": spread(trainings),
        "trials": len(each[0]["trial_s"]),
        "trainings": len(each[0]["trainings"]),
        "seconds": spread([e["seconds"] for e in each]),
        "trial_s": spread([s for e in each for s in e["trial_s"]]),
        "start_up_s": spread([e["start_up_s"] for e in each]),
        "top1": {"n": len(top1), "mean": round(statistics.fmean(top1), 4), "error": error(top1)},
        "slots": each[0]["slots"],
        "share": shares(
            each[0]["spans"],
            each[0]["spent"],
            slots=each[0]["slots"],
            first_step_s=each[0]["start_up_s"],
            seconds=each[0]["seconds"],
        ),
    }


def compared(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how the parts compare: ratios of rates by round, differences of top-1 by design."""
    found: dict[str, Any] = {"part": "compared"}
    for other in (part for part in KERNELS if part in rounds[0]):
        found[f"a_over_{other}"] = spread([d[other]["seconds"] / d["a"]["seconds"] for d in rounds])
        apart = []
        for done in rounds:
            own, theirs = (designs(done[part]) for part in ("a", other))
            apart += [theirs[design] - own[design] for design in own]
        mean, off = statistics.fmean(apart), error(apart)
        found[f"top1_of_{other}_than_a"] = {
            "designs": len(apart),
            "mean": round(mean, 4),
            "error": off,
            "within_two_errors": abs(mean) <= 2 * off if off is not None else None,
        }
    return found


def designs(part: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean top-1 of each design."""
    found: dict[str, list[float]] = {}
    for training in part["trainings"]:
        found.setdefault(training["architecture"], []).append(training["top1"])
    return {design: statistics.fmean(values) for design, values in found.items()}


def overhead(space: str, before: int, count: int) -> dict[str, Any]:
    """Measure what trials cost in a study of some size."""
    answer, _, _ = asked_of("overhead.py", {"space": space, "before": before, "count": count})
    return {"load": round(os.getloadavg()[0], 2), **answer}


def error(values: Sequence[float]) -> float | None:
    """Return the standard error of a mean."""
    if len(values) < 2:
        return None
    return round(statistics.stdev(values) / len(values) ** 0.5, 4)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return median and extremes."""
    return {
        "n": len(values),
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


if __name__ == "__main__":
    main()
