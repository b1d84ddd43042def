"""Trainings by the thousand, a line of JSON each: made by all cores, gone on with after any end."""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sparx_nas.command.stopping import end_with_parent
from sparx_nas.ground.quantities import counted, duration

Row = dict[str, Any]
NICENESS = 10
"""So that other work on the machine goes first."""


def read_rows(path: Path) -> list[Row]:
    """Read the trainings that are there; a line that a kill cut short is left out."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def append_rows(
    path: Path, jobs: Sequence[Sequence[Any]], train: Callable[..., Row], *, processes: int
) -> None:
    """Run `train(*job)` for every job, in their order, and append a line for each that ends.

    A line is written whole and brought to the disk before the next begins.
    """
    said = f"{counted(len(jobs), 'job')} on {counted(processes, 'core')}"
    print(said, file=sys.stderr, flush=True)
    os.nice(NICENESS)
    os.environ["OMP_NUM_THREADS"] = "1"
    context, start = multiprocessing.get_context("spawn"), time.monotonic()
    with (
        ProcessPoolExecutor(
            processes, context, initializer=end_with_parent, initargs=(os.getpid(),)
        ) as pool,
        path.open("ab") as out,
    ):
        if out.tell() and path.read_bytes()[-1:] != b"\n":
            out.write(b"\n")
        for number, row in enumerate(_results(pool, jobs, train, 2 * processes), 1):
            out.write(json.dumps(row).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
            _tell(number, len(jobs), time.monotonic() - start)


def _results(
    pool: ProcessPoolExecutor, jobs: Iterable[Sequence[Any]], train: Callable[..., Row], ahead: int
) -> Iterable[Row]:
    """Yield results as they come, with so many jobs handed out."""
    waiting, left = set(), iter(jobs)
    while True:
        waiting |= {pool.submit(train, *job) for job in islice(left, ahead - len(waiting))}
        if not waiting:
            return
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


def _tell(done: int, total: int, seconds: float) -> None:
    """Say how far it is and when it will have ended."""
    left = seconds / done * (total - done)
    end = datetime.now() + timedelta(seconds=left)
    said = f"{done:,} of {total:,}, {duration(left)} left, until {end:%a %H:%M}"
    print(said, file=sys.stderr, flush=True)


def grouped(
    rows: Iterable[Row], key: Callable[[Row], Any], score: Callable[[Row], float]
) -> Mapping[Any, list[float]]:
    """Return the scores of the rows of every key."""
    groups: dict[Any, list[float]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(score(row))
    return groups
