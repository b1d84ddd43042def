"""The trials of a run as columns: what a page of ten thousand trials can be told at once.

Wirings repeat, so what belongs to a wiring is told once for each distinct one.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sparx_nas.architecture.graph import ConnectivityGraph, StageGraph, measures
from sparx_nas.drawing import facts
from sparx_nas.run_store import Waiting, limits_of
from sparx_nas.trial.measures import MEASURES
from sparx_nas.trial.pareto import best_trial, published_trial
from sparx_nas.trial.values import Run, TrialRecord

COSTS = ("macs", "params", "activation_bytes")
WIRING_MEASURES = ("density", "edges", "ganglia", "span", "in_degree")
STAGE_FACTS = ("depth", "ganglia", "edges", "density", "start", "stride", "window")
DIGITS = 4
"""Significant digits of what is told; drawings need no more, and a trial's own page has all."""
ID_DIGITS = 8
"""Hexadecimal digits of a wiring's id that a table shows."""


def run_columns(run: Run) -> dict[str, Any]:
    """Return JSON values: one list a column, in the order of the trials; missing values are None.

    `wiring` holds the place of each trial's wiring in `wirings`, whose lists have an entry each.
    """
    trials = run.trials
    wirings, places = _wirings(trials)
    best = best_trial(run)
    published = published_trial(run)
    measured = {o.name: [t.objectives.get(o.name) for t in trials] for o in run.objectives}
    measured |= {name: [t.cost.get(name) for t in trials] for name in COSTS}
    if run.objectives:
        measured["top1"] = [t.top1 for t in trials]
    measured["test_top1"] = [t.test_top1 for t in trials]
    measured["seconds"] = [t.seconds or None for t in trials]
    return {
        "number": [t.number for t in trials],
        "state": _coded(t.state for t in trials),
        "over": [i for i, t in enumerate(trials) if not t.feasible],
        "baselines": {str(t.number): t.baseline for t in trials if t.baseline},
        "sources": {str(t.number): t.source for t in trials if t.source},
        "duplicates": {str(t.number): t.duplicate_of for t in trials if t.duplicate_of is not None},
        "measures": {
            name: [_short(value) for value in column]
            for name, column in measured.items()
            if any(value is not None for value in column)
        },
        "partial": {
            str(t.number): [t.epochs[-1].epoch, _short(t.epochs[-1].top1)]
            for t in trials
            if t.epochs and t.state in ("running", "interrupted", "failed")
        },
        "bounds": _bounds(run),
        "wiring": places,
        "wirings": wirings,
        "front": [t.number for t in run.front],
        "best": best.number if best else None,
        "published": published.number if published else None,
    }


def _bounds(run: Run) -> dict[str, dict[str, list[float | int | None]]]:
    """Return the 95 % intervals of scores, and a latency's quartiles, of front and baselines."""
    shown = {t.number: t for t in (*run.front, *(t for t in run.trials if t.baseline))}
    ways: dict[str, Callable[[TrialRecord], facts.Interval | None]] = {
        "top1": lambda trial: facts.bounds(run, trial, "top1"),
        "val_loss": lambda trial: facts.bounds(run, trial, "val_loss"),
        "test_top1": lambda trial: facts.interval(run, trial, "test"),
        "latency_ms": lambda trial: facts.spread(trial, "latency_ms"),
    }
    return {
        name: {
            str(number): [_short(bound) for bound in bounds]
            for number, trial in shown.items()
            if (bounds := way(trial))
        }
        for name, way in ways.items()
    }


def run_summary(run: Run) -> dict[str, Any]:
    """Return what the head of the page says of a run."""
    status, fidelity = run.status, run.fidelity
    done = [t.seconds for t in run.trials if t.state == "complete" and t.seconds]
    return {
        "name": run.name,
        "space": run.space,
        "state": status.get("state", "unknown"),
        "trained": status.get("trained"),
        "asked": status.get("asked"),
        "counts": facts.counts(run),
        "trials": len(run.trials),
        "wirings": len({t.architecture.graph.id for t in run.trials}),
        "front": len(run.front),
        "data": run.data.get("name") or (fidelity.data if fidelity else ""),
        "validation_images": facts.images(run, "val"),
        "fidelity": facts.fidelity_words(fidelity),
        "reliability": facts.at_chance(run) or (facts.reliability_words(run) if done else ""),
        "seed": fidelity.seed if fidelity else None,
        "epochs": fidelity.epochs if fidelity else None,
        "seconds_a_trial": sorted(done)[len(done) // 2] if done else None,
        "objectives": [
            {"name": o.name, "direction": o.direction, "words": MEASURES[o.name].words}
            for o in run.objectives
        ],
        "directions": {name: m.direction for name, m in MEASURES.items()},
        "limits": limits_of(run),
        "running": [_progress(t) for t in run.trials if t.state == "running"],
    }


def sent_designs(run: Run, queue: Sequence[Waiting]) -> list[dict[str, Any]]:
    """List what was sent to a run, what waits last; a state of its own says that it is queued."""
    begun = [
        _sent(t.number, t.architecture.graph, t.guest) | {"state": t.state, "top1": _short(t.top1)}
        for t in run.trials
        if t.source
    ]
    waits = [
        _sent(each.number, each.architecture.graph, each.guest) | {"state": "queued", "top1": None}
        for each in queue
        if all(t.number != each.number for t in run.trials)
    ]
    return [*begun, *waits]


def _sent(number: int, graph: ConnectivityGraph, guest: bool) -> dict[str, Any]:
    """Say which design was sent."""
    found = _measured(graph)
    told = {name: _short(found[name]) for name in ("ganglia", "edges")}
    return {"number": number, "guest": guest, "wiring": graph.id[:ID_DIGITS]} | told


def _progress(trial: TrialRecord) -> dict[str, Any]:
    """Say how far a training is."""
    return {
        "number": trial.number,
        "epoch": trial.epochs[-1].epoch if trial.epochs else 0,
        "epochs": trial.fidelity.epochs if trial.fidelity else None,
        "top1": [_short(epoch.top1) for epoch in trial.epochs],
    }


def _wirings(trials: Sequence[TrialRecord]) -> tuple[dict[str, Any], list[int]]:
    """Return the distinct wirings with their measures, and which one each trial has."""
    graphs, places = _distinct(trials)
    found = [_measured(graph) for graph in graphs]
    columns: dict[str, Any] = {
        name: [_short(each[name]) for each in found] for name in WIRING_MEASURES
    }
    columns["id"] = [graph.id[:ID_DIGITS] for graph in graphs]
    return columns, places


def _distinct(trials: Sequence[TrialRecord]) -> tuple[list[ConnectivityGraph], list[int]]:
    """Return the distinct wirings in the order in which they came, and which one each trial has."""
    graphs: dict[str, ConnectivityGraph] = {}
    for trial in trials:
        graphs.setdefault(trial.architecture.graph.id, trial.architecture.graph)
    place = {graph_id: i for i, graph_id in enumerate(graphs)}
    return list(graphs.values()), [place[t.architecture.graph.id] for t in trials]


@lru_cache(maxsize=20_000)
def _measured(graph: ConnectivityGraph) -> Mapping[str, float]:
    """Measure a wiring once."""
    found = measures(graph)
    return {name: getattr(found, name) for name in WIRING_MEASURES}


def stage_columns(run: Run) -> dict[str, Any]:
    """Return what each stage is like, once for each distinct wiring, and whose wiring it is.

    `start` is the first ganglion's layer, `stride` the distance between ganglia where it is the
    same everywhere, `window` the most ganglia that one of them reads; None where there is none.
    """
    graphs, places = _distinct(run.trials)
    most = max((len(graph.stages) for graph in graphs), default=0)
    found = [
        [_stage_facts(g.stages[i]) if i < len(g.stages) else {} for g in graphs]
        for i in range(most)
    ]
    return {
        "number": [t.number for t in run.trials],
        "wiring": places,
        "stages": [{name: [of.get(name) for of in row] for name in STAGE_FACTS} for row in found],
    }


@lru_cache(maxsize=20_000)
def _stage_facts(stage: StageGraph) -> Mapping[str, float | None]:
    """Measure a stage once."""
    ganglia = stage.ganglia
    gaps = {after - before for before, after in pairwise(ganglia)}
    edges = sum(len(row) for row in stage.sources)
    reads = [sum(source in ganglia for source in row) for row in stage.sources if row]
    possible = stage.depth * (stage.depth + 1) // 2
    values = (
        stage.depth,
        len(ganglia),
        edges,
        _short(edges / possible) if possible else None,
        ganglia[0] if ganglia else None,
        gaps.pop() if len(gaps) == 1 else None,
        max(reads, default=None),
    )
    return dict(zip(STAGE_FACTS, values, strict=True))


def _coded(values: Iterable[str]) -> dict[str, Any]:
    """Return words as places in a list of the distinct ones."""
    words: dict[str, int] = {}
    codes = [words.setdefault(value, len(words)) for value in values]
    return {"words": list(words), "codes": codes}


def _short(value: float | None) -> float | int | None:
    """Round a number for drawing; what is none, or not finite, becomes None."""
    if value is None or not math.isfinite(value):
        return None
    if isinstance(value, int):
        return value
    rounded = float(f"{value:.{DIGITS}g}") if abs(value) < 10**DIGITS else value
    return int(rounded) if rounded == int(rounded) else rounded
