"""Ready-made wirings: the published rule, dense, plain, random, and thinning any of them.

The functions on one stage mirror the official code and count as it does: `start` is the 0-based
index of the first layer that may be a ganglion. Source: arXiv 2409.09649, sections 3.1 and 3.2.
"""

import random as random_numbers
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from sparx_nas.architecture.graph import INPUT, ConnectivityGraph, StageGraph
from sparx_nas.ground.errors import GraphError

Keep = Literal["nearest", "spread"]
StageInput = Literal["first", "window"]


def sparx_stage(
    depth: int,
    *,
    stride: int,
    start: int = 0,
    window: int | None = None,
    stage_input: StageInput = "first",
) -> StageGraph:
    """Wire one stage by the published rule.

    Ganglia stand at every `stride`-th layer counted backwards from the last, while the 0-based
    index is at least `start` (so `start >= depth` means none). A ganglion reads the normal layers
    since the ganglion before it and the `window` newest ganglia (None: all of them). The stage's
    input counts as a normal layer (`stage_input="first"`), or as the oldest ganglion ("window",
    the official `cross_stage=True`).

    Raises: GraphError for a stride or window below 1, or a negative depth or start.
    """
    _check(1, stride=stride, window=1 if window is None else window)
    _check(0, depth=depth, start=start)
    ganglia = set(range(depth - 1, start - 1, -stride))
    normals, kept = ([INPUT], []) if stage_input == "first" else ([], [INPUT])
    rows: list[tuple[int, ...]] = []
    for index in range(depth):
        if index in ganglia:
            rows.append((*normals, *kept))
            kept.append(index + 1)
            normals = []
        else:
            rows.append(())
            normals.append(index + 1)
        if window is not None:
            kept = kept[-window:]
    return StageGraph(tuple(rows))


def plain_stage(depth: int) -> StageGraph:
    """Wire one stage without ganglia."""
    _check(0, depth=depth)
    return StageGraph(((),) * depth)


def dense_stage(depth: int) -> StageGraph:
    """Wire one stage with every layer a ganglion that reads all ganglia before it."""
    return sparx_stage(depth, stride=1, start=0, window=None)


def thin_stage(stage: StageGraph, density: float, keep: Keep = "nearest") -> StageGraph:
    """Keep max(1, round-half-up(density * n)) of each ganglion's n sources.

    `nearest` keeps the newest; `spread` takes them evenly, the newest among them.

    Raises: GraphError for a density outside (0, 1], or another way to keep.
    """
    if not 0 < density <= 1:
        raise GraphError(f"density is {density}; it is a fraction in (0, 1]")
    if keep not in ("nearest", "spread"):
        raise GraphError(f"keep is {keep!r}; it is nearest or spread")
    return StageGraph(tuple(_thin_row(row, density, keep) for row in stage.sources))


def sparx(
    depths: Sequence[int],
    *,
    stride: Sequence[int],
    start: Sequence[int],
    window: Sequence[int | None],
    stage_input: Sequence[StageInput] | None = None,
) -> ConnectivityGraph:
    """Wire every stage by the published rule; one entry a stage, counted as the official code."""
    inputs: Sequence[StageInput] = ["first"] * len(depths) if stage_input is None else stage_input
    rows = zip(depths, stride, start, window, inputs, strict=True)
    return ConnectivityGraph(
        tuple(
            sparx_stage(d, stride=s, start=first, window=w, stage_input=i)
            for d, s, first, w, i in rows
        )
    )


def plain(depths: Sequence[int]) -> ConnectivityGraph:
    """Wire every stage without ganglia."""
    return ConnectivityGraph(tuple(plain_stage(depth) for depth in depths))


def dense(depths: Sequence[int]) -> ConnectivityGraph:
    """Make every layer of every stage but the first a ganglion that reads all ganglia before it."""
    stages = [plain_stage(depths[0]), *(dense_stage(depth) for depth in depths[1:])]
    return ConnectivityGraph(tuple(stages))


def random(depths: Sequence[int], density: float, seed: int) -> ConnectivityGraph:
    """Draw every possible edge with probability `density`; a layer without edges is normal.

    Raises: GraphError for a density outside [0, 1] or a negative depth.
    """
    if not 0 <= density <= 1:
        raise GraphError(f"density is {density}; it is a probability in [0, 1]")
    for depth in depths:
        _check(0, depth=depth)
    draw = random_numbers.Random(seed).random
    return ConnectivityGraph(
        tuple(
            StageGraph(
                tuple(
                    tuple(source for source in range(layer) if draw() < density)
                    for layer in range(1, depth + 1)
                )
            )
            for depth in depths
        )
    )


def thin(graph: ConnectivityGraph, density: float, keep: Keep = "nearest") -> ConnectivityGraph:
    """Keep a fraction of every ganglion's sources, as `thin_stage` does."""
    return ConnectivityGraph(tuple(thin_stage(stage, density, keep) for stage in graph.stages))


def _thin_row(row: tuple[int, ...], density: float, keep: Keep) -> tuple[int, ...]:
    """Thin the sources of one layer."""
    if not row:
        return row
    exact = Decimal(repr(float(density))) * len(row)
    kept = max(1, int(exact.quantize(Decimal(1), ROUND_HALF_UP)))
    if keep == "nearest":
        return row[-kept:]
    return tuple(row[len(row) - 1 - (i * len(row)) // kept] for i in range(kept))


def _check(least: int, **values: int) -> None:
    """Refuse a count below the least."""
    for name, value in values.items():
        if value < least:
            raise GraphError(f"{name} is {value}; it is {least} or more")
