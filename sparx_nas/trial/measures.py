"""What is measured of a trial: every measure that can be an objective, and how it is written."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from sparx_nas.ground.quantities import percent, si

Direction = Literal["max", "min"]
BYTES = "activation_bytes"


class Measure(NamedTuple):
    """Which way is better, and a measure's name in a sentence, as a title, and above a column."""

    direction: Direction
    words: str
    title: str
    column: str


MEASURES: Mapping[str, Measure] = {
    "top1": Measure("max", "val top-1", "Validation top-1", "top-1"),
    "val_loss": Measure("min", "val loss", "Validation loss", "val loss"),
    "macs": Measure("min", "MACs", "MACs", "MACs"),
    "params": Measure("min", "parameters", "Parameters", "params"),
    BYTES: Measure("min", "activation bytes", "Activation memory", "act. mem"),
    "latency_ms": Measure("min", "latency in ms", "Latency", "latency"),
}
"""`top1` is validation accuracy in [0, 1] and `val_loss` the mean cross entropy there in nats, both
at the trial's fidelity; the others belong to the target network at full width and resolution."""

SCORES = ("top1", "val_loss")
"""What says how good a design is; the others say what it costs."""


def score_of(objectives: Iterable[str]) -> str:
    """Return the objective that says how good a design is: the first of several."""
    return next((name for name in objectives if name in SCORES), SCORES[0])


def costs_of(objectives: Iterable[str]) -> list[str]:
    """Return the objectives that say what a design costs; MACs where there is none."""
    return [name for name in objectives if name not in SCORES] or ["macs"]


def amount(name: str, value: float | None) -> str:
    """Write a measure's value with its unit; `-` where there is none."""
    if value is None:
        return "-"
    if name == "top1":
        return percent(value)
    if name == "val_loss":
        return f"{value:.3f}"
    if name == "latency_ms":
        return f"{value:.3g} ms"
    return si(value, "B" if name == BYTES else "")
