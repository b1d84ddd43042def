"""What a changed wiring would cost, what it equals, and which rule is nearest: exact, untrained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph, measures
from sparx_nas.cost import CostEstimate, estimate
from sparx_nas.ground.errors import ArchitectureError, GraphError
from sparx_nas.ground.quantities import percent
from sparx_nas.trial.values import Run, TrialRecord
from sparx_nas.viewer import edits
from sparx_nas.viewer.bounds import check_design, check_ganglia

OPERATIONS = ("layer", "edge", "rule", "wiring")
LEAST_FOR_LATENCY = 8
"""Trials with a measured latency that a prediction needs."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds of a design: measured for this one, or predicted within +-`error`."""

    ms: float
    error: float | None
    source: str

    def words(self) -> str:
        """Say the latency, and which of the two it is."""
        if self.error is None:
            return f"{self.ms:.3g} ms, measured {self.source}"
        return f"{self.ms:.3g} ms, predicted ±{self.error:.2g} {self.source}"


def changed(base: Architecture, operation: Any) -> Architecture:
    """Apply one operation, as the page sends it, to an architecture.

    `{"kind": "layer", "stage", "layer"}`, `{"kind": "edge", "stage", "source", "target"}`,
    `{"kind": "rule", "stage", "start", "stride", "window", "density"}` (window None: all),
    `{"kind": "wiring", "ganglia"}`: stages and layers from 1.

    Raises: GraphError or ArchitectureError naming the layer and what would do.
    """
    if not isinstance(operation, Mapping):
        raise GraphError(f"no operation {operation!r}; it is an object with a kind")
    kind = operation.get("kind")
    if kind not in OPERATIONS:
        raise GraphError(f"no operation {kind!r}; there are {', '.join(OPERATIONS)}")
    graph = base.graph
    if kind == "wiring":
        check_ganglia(operation.get("ganglia"), "wiring")
        try:
            made = ConnectivityGraph.from_ganglia(graph.depths, operation.get("ganglia", {}))
        except TypeError as cause:
            raise GraphError("a wiring is a table: layers, and lists of layers") from cause
        return replace(base, graph=made)
    stage = _whole(operation, "stage")
    if kind == "layer":
        made = edits.toggle_layer(graph, stage, _whole(operation, "layer"))
    elif kind == "edge":
        source, target = _whole(operation, "source"), _whole(operation, "target")
        made = edits.toggle_edge(graph, stage, source, target)
    else:
        made = edits.apply_rule(graph, stage, _rule(operation))
    return replace(base, graph=made)


def consequences(run: Run, architecture: Architecture, target: Mapping[str, int]) -> dict[str, Any]:
    """Return, as JSON values, what a design costs and how it relates to the run's trials."""
    cost = estimate(architecture, **target)
    same = same_trial(run.trials, architecture)
    latency = latency_of(run.trials, architecture, cost)
    wiring = measures(architecture.graph)
    return {
        "cost": {
            "params": cost.params,
            "macs": cost.macs,
            "activation_bytes": cost.activation_bytes,
        },
        "target": dict(target),
        "latency": latency.words() if latency else "",
        "measures": {
            "edges": wiring.edges,
            "ganglia": wiring.ganglia,
            "density": wiring.density,
            "span": wiring.span,
        },
        "same_as": same.number if same else None,
        "same_words": same_words(same),
        "rules": [_nearest(stage) for stage in architecture.graph.stages],
    }


def same_trial(trials: Sequence[TrialRecord], architecture: Architecture) -> TrialRecord | None:
    """Return the trial of the same design, one with a result first."""
    same = [t for t in trials if t.architecture.id == architecture.id]
    return min(same, key=lambda t: (t.top1 is None, t.state != "running", t.number), default=None)


def same_words(same: TrialRecord | None) -> str:
    """Say which trial a design is the same as: `Same design as trial 17 (81.9 %)`."""
    if same is None:
        return ""
    result = percent(same.top1) if same.top1 is not None else same.state
    role = f", baseline {same.baseline}" if same.baseline else ""
    return f"Same design as {same.name} ({result}{role})"


def latency_of(
    trials: Sequence[TrialRecord], architecture: Architecture, cost: CostEstimate
) -> Latency | None:
    """Return the latency of a design as measured, or as a linear fit over the other trials says.

    The fit is over MACs, activation bytes and layers with sources; its error is the root mean
    square of leaving one trial out. None with fewer than `LEAST_FOR_LATENCY` measured trials.
    """
    known = [t for t in trials if t.objectives.get("latency_ms")]
    for trial in known:
        if trial.architecture.id == architecture.id:
            place = f"in {trial.name} on {trial.device}"
            return Latency(ms=trial.objectives["latency_ms"], error=None, source=place)
    if len(known) < LEAST_FOR_LATENCY:
        return None
    rows = [_terms(t.cost["macs"], t.cost["activation_bytes"], t.architecture.graph) for t in known]
    seen = np.array([t.objectives["latency_ms"] for t in known])
    matrix, scale = np.array(rows), np.abs(rows).max(axis=0) + 1e-12
    solved = np.linalg.pinv(matrix / scale)
    leverage = np.clip(((matrix / scale) * solved.T).sum(axis=1), 0, 0.99)
    weights = solved @ seen
    left_out = (seen - (matrix / scale) @ weights) / (1 - leverage)
    terms = np.array(_terms(cost.macs, cost.activation_bytes, architecture.graph)) / scale
    return Latency(
        ms=float(terms @ weights),
        error=float(np.sqrt(np.mean(left_out**2))),
        source=f"from {len(known)} measured trials",
    )


def _terms(macs: float, activation_bytes: float, graph: ConnectivityGraph) -> list[float]:
    """Return what the latency is fitted over."""
    return [1.0, float(macs), float(activation_bytes), float(measures(graph).ganglia)]


def _nearest(stage: Any) -> dict[str, Any]:
    """Return the published rule nearest to a stage, with its sliders' values."""
    found = edits.nearest_rule(stage)
    rule = found.rule
    return {
        "start": rule.start,
        "stride": rule.stride,
        "window": rule.window,
        "depth": stage.depth,
        "changes": found.changes,
        "words": rule.words(stage.depth),
    }


def _rule(operation: Mapping[str, Any]) -> edits.Rule:
    """Read the sliders of a stage.

    Raises: GraphError for values of another kind.
    """
    window = operation.get("window")
    density = operation.get("density", 1.0)
    if isinstance(density, bool) or not isinstance(density, int | float):
        raise GraphError(f"density is {density!r}; it is a number above 0 and at most 1")
    return edits.Rule(
        start=_whole(operation, "start"),
        stride=_whole(operation, "stride"),
        window=None if window is None else _whole(operation, "window"),
        density=float(density),
    )


def _whole(operation: Mapping[str, Any], name: str) -> int:
    """Return a whole number of an operation.

    Raises: GraphError if it is missing or something else.
    """
    value = operation.get(name)
    if type(value) is not int:
        raise GraphError(f"{name} is {value!r}; it is a whole number")
    return value


def read_architecture(value: Any, where: str) -> Architecture:
    """Read the architecture that a page sends.

    Raises: ArchitectureError if it is none, or larger than the explorer takes.
    """
    if not isinstance(value, Mapping):
        raise ArchitectureError(f"{where}: not an architecture")
    check_design(value, where)
    # The page edits wirings, so an id that was sent along may be that of another one.
    given = {key: v for key, v in value.items() if key not in ("id", "wiring_id")}
    try:
        return Architecture.from_dict(given, where=where)
    except (AttributeError, OverflowError, TypeError, ValueError) as cause:
        raise ArchitectureError(f"{where}: not an architecture: {cause}") from cause
