"""Tile sizes of the Triton scans; `tests/benchmarks/gpu.py --write-tiles` finds and writes them."""

from typing import NamedTuple


class Tile(NamedTuple):
    """Positions and channels that a program takes at once, and its warps of 32 threads."""

    rows: int
    channels: int
    warps: int


TILES: dict[str, Tile] = {
    "forward": Tile(4, 128, 1),
    "against": Tile(4, 128, 1),
    "along": Tile(2, 64, 1),
    "project": Tile(64, 64, 4),
    "outer": Tile(64, 64, 4),
    "merge": Tile(64, 64, 4),
}
"""By kernel; only for speed, every value gives the same results up to rounding."""
