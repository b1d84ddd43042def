"""Tile sizes of the scans: try them, keep the fastest, write them down."""

import contextlib
import math
import multiprocessing
from pathlib import Path

import torch
from gpu_parts.common import DEVICE, DRY, STAGES, TYPES, replayed, say, triton_scan
from scan_inputs import map_inputs

from sparx_nas.kernels.backends import triton_scans

with contextlib.suppress(ImportError):  # an older state of the package has no such file
    from sparx_nas.kernels import triton_tiles

SWEEP = {
    "forward": [(8, 64, 1), (4, 64, 1), (4, 128, 1), (4, 32, 1), (8, 32, 1), (2, 64, 1)],
    "against": [(4, 64, 1), (8, 64, 1), (4, 128, 1), (4, 32, 1), (8, 32, 1)],
    "along": [(2, 64, 1), (4, 64, 1), (2, 128, 1), (4, 32, 1), (8, 32, 1)],
    "merge": [(32, 64, 4), (64, 64, 4)],
    "outer": [(64, 64, 4), (32, 64, 4), (64, 64, 8)],
    "project": [(64, 64, 4), (128, 64, 8), (64, 32, 2)],
}
if DRY:
    SWEEP = {"forward": [(2, 32, 1)], "along": [(2, 32, 1)], "merge": [(16, 16, 1)]}


def sweep(out: Path, write: bool) -> dict:
    """Try tile sizes, one kernel at a time, and keep the fastest sum over the stages."""
    every = [(name, tile) for name, tiles in SWEEP.items() for tile in tiles]
    warm([((1, 4, 4, 32, r, 1), "bf16", *one) for r in (6, 20) for one in every])
    tiles, rows, shapes = triton_tiles.TILES, [], STAGES
    for name, candidates in SWEEP.items():
        before, best = tiles[name], (math.inf, tiles[name])
        for candidate in candidates:
            tiles[name] = triton_tiles.Tile(*candidate)
            row = {"kernel": name, "tile": candidate}
            try:
                found = [scan_time(name in ("forward", "project"), s) for s in shapes]
                row["median_ms"] = [f["median_ms"] for f in found]
                # Every stage counts the same, whatever its size.
                cost = math.prod(row["median_ms"])
                best = min(best, (cost, tiles[name]))
            except Exception as error:  # a tile may ask for more than the card has
                row["failed"] = str(error)[:200]
            rows.append(row)
            print(row, flush=True)
        tiles[name] = best[1] if math.isfinite(best[0]) else before
    winners = {name: tuple(tile) for name, tile in tiles.items()}
    say("tiles (rows, channels, warps): " + ", ".join(f"{n} {t}" for n, t in winners.items()))
    if write:
        write_tiles(Path(triton_tiles.__file__), winners)
        write_tiles(Path(triton_tiles.__file__), winners, out / "triton_tiles.py")
    return {"rows": rows, "winners": winners}


def scan_time(forward: bool, sizes) -> dict:
    """Time the scan of a stage, or its way back, as a graph and outside autograd."""
    scans = triton_scans()
    x, *rest = (t.detach().to(DEVICE) for t in map_inputs(*sizes))
    x = x.bfloat16()
    given = torch.randn_like(x)
    if forward:
        return replayed(lambda: scans.ss2d(x, *rest), budget_s=0.06)
    return replayed(lambda: scans.ss2d_backward(given, x, *rest), budget_s=0.06)


def write_tiles(source: Path, winners, target: Path | None = None) -> None:
    """Write the tiles into the file that the kernels read."""
    lines = []
    for text in source.read_text().splitlines():
        name = text.strip().split('"')[1] if text.startswith('    "') else ""
        tile = ", ".join(map(str, winners.get(name, ())))
        lines.append(f'    "{name}": Tile({tile}),' if name in winners else text)
    (target or source).write_text("\n".join(lines) + "\n")


def warm(tasks) -> None:
    """Compile what tasks need side by side, into the cache that all processes share."""
    if not DRY:
        with multiprocessing.get_context("spawn").Pool(14) as pool:
            pool.map(warm_one, tasks, chunksize=1)


def warm_one(task) -> None:
    """Run a scan forward and back: sizes, type, and a tile for one kernel or none."""
    sizes, kind, name, tile = task
    if name:
        triton_tiles.TILES[name] = triton_tiles.Tile(*tile)
    with contextlib.suppress(Exception):
        tensors = [t.detach().to(DEVICE) for t in map_inputs(*sizes)]
        y = triton_scan(tensors[0].to(TYPES[kind]).requires_grad_(), *tensors[1:])
        y.sum().backward()
