"""How measured importance is painted: shares of something that is named, and noise as noise."""

from collections.abc import Mapping, Sequence
from typing import Any

from sparx_nas.drawing.paint import Paint
from sparx_nas.ground.quantities import Z95

ABLATION, ERROR = "ablation_nll", "ablation_nll_error"
SHARED = {
    "mass": "what its layer reads",
    "gradient": "its layer's gradient x activation",
    "ablation": "the likelihood that all cuts lose",
}
"""Colours by a measure of importance, and of what each tells shares."""
UNKNOWN = "noise not known: measure again with sparx-nas importance"


def importance_paint(edges: Sequence[Mapping[str, Any]], measure: str, width: Any) -> Paint:
    """Return how to paint the edges of a record by one of the measures of `SHARED`.

    An edge whose cut loses no more than other images might, or gains, has no share. Neither has
    any where an older record does not say what noise does.
    """
    shared = SHARED[measure]
    if measure != "ablation":
        values = {_pair(edge): max(0.0, edge[measure]) for edge in edges}
        return Paint(color="importance", width=width, importance=values, shared=shared)
    if any(ERROR not in edge for edge in edges):
        every = frozenset(map(_pair, edges))
        return Paint(color="importance", width=width, neutral=every, neutral_words=UNKNOWN)
    told = {_pair(edge): edge[ABLATION] for edge in edges if edge[ABLATION] > noise(edge)}
    total = sum(told.values())
    least = max((noise(edge) for edge in edges if _pair(edge) not in told), default=0.0)
    return Paint(
        color="importance",
        width=width,
        importance={pair: value / total for pair, value in told.items()},
        shared=shared,
        neutral=frozenset(_pair(edge) for edge in edges) - told.keys(),
        neutral_words=f"no loss beyond noise (up to {least:.2g} nats an image)",
    )


def noise(edge: Mapping[str, Any]) -> float:
    """Return how many nats other images might move the loss of a cut, at 95 %."""
    return float(Z95 * edge[ERROR])


def _pair(edge: Mapping[str, Any]) -> tuple[str, str]:
    """Name an edge."""
    return edge["source"], edge["target"]
