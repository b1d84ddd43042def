"""Files written from a run for people and other programs; the search itself never reads them."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparx_nas.architecture.graph import measures
from sparx_nas.ground.record import json_text, write_text
from sparx_nas.trial.noise import Noise
from sparx_nas.trial.values import Objective, Run, TrialRecord

SCHEMA = 1
TRIALS = "trials.csv"
PARETO = "pareto.json"
ARCHITECTURES = "archs"
COSTS = ("params", "macs", "activation_bytes", "published_flops")
PROXY_COSTS = ("params", "macs")
WIRING = ("density", "in_degree", "span", "ganglion_share", "ganglia")
TRAINING = (
    *("epochs", "val_loss", "seconds", "images_per_s", "device", "seed", "seeds", "source"),
    "error",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula."""


def write_derived(path: Path, run: Run) -> None:
    """Bring trials.csv, pareto.json and archs/ up to date; files that would not change stay.

    Linear in the trials; some milliseconds for a hundred.
    """
    folder = path / ARCHITECTURES
    folder.mkdir(exist_ok=True)
    there = {file.name for file in folder.iterdir()}
    for name, trial in {_file_name(trial): trial for trial in run.trials}.items():
        if name not in there:
            trial.architecture.save(folder / name)
    replace_text(path / TRIALS, trials_table(run))
    replace_text(path / PARETO, json_text(_front(run)))


def replace_text(path: Path, text: str) -> None:
    """Write a text file in one step, unless it holds that text already."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)


def columns(objectives: Sequence[Objective]) -> list[str]:
    """Return the columns of trials.csv; an objective that is a cost as well has one column."""
    names = ["number", "state", "baseline", "architecture_id", "graph_id"]
    names += [*(objective.name for objective in objectives), "top1", "feasible", *COSTS]
    names += [*(f"proxy_{name}" for name in PROXY_COSTS), *WIRING, *TRAINING]
    return list(dict.fromkeys(names))


def trials_table(run: Run) -> str:
    """Write all trials as comma-separated values; what is unknown is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns(run.objectives), restval="", lineterminator="\n")
    writer.writeheader()
    for trial in run.trials:
        writer.writerow({key: _cell(value) for key, value in _row(trial).items()})
    return out.getvalue()


def _row(trial: TrialRecord) -> dict[str, Any]:
    """Return the values of one line of the table."""
    wiring = measures(trial.architecture.graph)
    rates = [epoch.images_per_s for epoch in trial.epochs]
    return {
        **trial.objectives,
        "number": trial.number,
        "state": trial.state,
        "baseline": trial.baseline,
        "architecture_id": trial.architecture.id,
        "graph_id": trial.architecture.graph.id,
        "top1": trial.top1,
        "feasible": trial.feasible,
        **{name: trial.cost.get(name) for name in COSTS},
        **{f"proxy_{name}": trial.proxy_cost.get(name) for name in PROXY_COSTS},
        **{name: getattr(wiring, name) for name in WIRING},
        "epochs": len(trial.epochs),
        "seconds": trial.seconds,
        "images_per_s": sum(rates) / len(rates) if rates else None,
        "device": trial.device,
        "seed": trial.fidelity.seed if trial.fidelity else None,
        "seeds": trial.fidelity.seeds if trial.fidelity else None,
        "val_loss": trial.epochs[-1].val_loss if trial.epochs else None,
        "source": trial.source,
        "error": trial.error,
    }


def _cell(value: Any) -> Any:
    """Keep numbers; keep a text from being run as a formula."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _front(run: Run) -> dict[str, Any]:
    """Return the content of pareto.json."""
    return {
        "schema": SCHEMA,
        "kind": "front",
        "run": run.name,
        "space": run.space,
        "objectives": [{"name": o.name, "direction": o.direction} for o in run.objectives],
        "fidelity": run.fidelity.to_dict() if run.fidelity else None,
        "noise": _noise(run),
        "at_chance": run.at_chance,
        "members": [_member(trial, run.noise) for trial in run.front],
    }


def _noise(run: Run) -> dict[str, Any] | None:
    """Return how reliable the scores are; None where no design was trained twice."""
    found = run.noise.score
    if found is None:
        return None
    return {
        "score": run.score,
        "within_seed_sd": found.within,
        "between_design_sd": found.between,
        "reliability_of_one_training": [found.one, found.low, found.high],
        "reliability_of_a_score": list(found.of_mean(run.seeds)),
        "seeds": run.seeds,
        "designs": found.designs,
        "trainings": found.trainings,
    }


def _member(trial: TrialRecord, noise: Noise) -> dict[str, Any]:
    """Return a front member as pareto.json holds it; intervals hold seeds and images."""
    bounds, tested = noise.interval(trial.top1s), noise.interval(trial.test_top1s, "test")
    return {
        "trial": trial.number,
        "baseline": trial.baseline,
        "architecture_id": trial.architecture.id,
        "graph_id": trial.architecture.graph.id,
        "architecture": f"{ARCHITECTURES}/{_file_name(trial)}",
        "objectives": dict(trial.objectives),
        "top1": trial.top1,
        "top1_interval": list(bounds) if bounds else None,
        "top1s": list(trial.top1s),
        "val_loss": trial.epochs[-1].val_loss if trial.epochs else None,
        "test_top1": trial.test_top1,
        "test_top1s": list(trial.test_top1s),
        "test_interval": list(tested) if tested else None,
    }


def _file_name(trial: TrialRecord) -> str:
    return f"{trial.architecture.id}.json"
