"""A run, or a space without one, as the server keeps it: read anew when its files change."""

import gzip
import hashlib
import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparx_nas.architecture.patterns import plain_stage
from sparx_nas.run_store import Follower, Waiting, read_run_space, waiting
from sparx_nas.space import SearchSpace
from sparx_nas.trial.values import Run, TrialRecord
from sparx_nas.viewer.columns import run_columns, run_summary, sent_designs
from sparx_nas.viewer.edits import nearest_rule

LOG = logging.getLogger(__name__)
WATCHED = ("study.db", "study.db-wal", "curves.jsonl", "status.json", "config.yaml")
PAUSE_S = 1.0
"""Least time between two readings; a reading that takes longer is followed by as long a pause."""
CHECK_S = 15.0
"""How old a reading may grow where no file tells of changes: a study elsewhere, a dead driver."""


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment; `body` is the JSON of its summary and columns, compressed."""

    run: Run
    revision: str
    body: bytes
    by_number: Mapping[int, TrialRecord]


class Source:
    """One thing to look at; `snapshot` is cheap, and reads anew in the background.

    `path` is None for a space, which never changes.
    """

    def __init__(
        self, name: str, *, path: Path | None, space: SearchSpace | None, run: Run | None = None
    ) -> None:
        self.name, self.path = name, path
        self._space, self._lock = space, threading.Lock()
        self._snapshot = snapshot_of(run) if run else None
        self._follower = Follower(path) if path else None
        self._mark: object = None
        self._queue: tuple[object, tuple[Waiting, ...]] | None = None
        self._read_at, self._took = -CHECK_S, 0.0
        self._reading = False
        self.queueing = threading.Lock()
        self.error = ""

    @property
    def space(self) -> SearchSpace:
        """The space of the run.

        Raises: SparxError if the run's copy of it cannot be read.
        """
        if self._space is None:
            assert self.path is not None, "a source without a run has its space"
            self._space = read_run_space(self.path)
        return self._space

    def target(self) -> Mapping[str, int]:
        """Return the image and classes that costs are counted at."""
        return self.snapshot().run.target

    def waiting(self) -> tuple[Waiting, ...]:
        """Return what is queued; asked of the study again once a file of the run changed."""
        assert self.path is not None, "a space has no queue"
        mark = _mark(self.path)
        if self._queue is None or self._queue[0] != mark:
            self._queue = (mark, waiting(self.path))
        return self._queue[1]

    def ready(self) -> bool:
        """Tell whether there is something to show at once."""
        return self._snapshot is not None

    def snapshot(self) -> Snapshot:
        """Return the newest reading, and see to the next one.

        Raises: SparxError if the run cannot be read and never was.
        """
        if self._snapshot is None:
            self.read()
            assert self._snapshot is not None, "a reading that did not raise left a snapshot"
        elif self.path is not None:
            self._refresh()
        return self._snapshot

    def read(self) -> None:
        """Read the run now if it changed.

        Raises: SparxError if it cannot be read.
        """
        assert self.path is not None, "a space is never read again"
        assert self._follower is not None, "a run has one who follows it"
        with self._lock:
            mark, start = _mark(self.path), time.monotonic()
            fresh = start - self._read_at < CHECK_S
            if self._snapshot is not None and mark == self._mark and fresh:
                return
            made = snapshot_of(self._follower.read(), self.waiting())
            _warm(made.run)
            self._snapshot, self._mark, self.error = made, mark, ""
            self._read_at = time.monotonic()
            self._took = self._read_at - start

    def _refresh(self) -> None:
        """Start a reading in the background unless one is under way, or was just now."""
        assert self.path is not None, "a space is never read again"
        age = time.monotonic() - self._read_at
        if self._reading or age < max(PAUSE_S, 2 * self._took):
            return
        if _mark(self.path) == self._mark and (age < CHECK_S or self._settled()):
            return
        self._reading = True
        threading.Thread(target=self._read_quietly, daemon=True).start()

    def _settled(self) -> bool:
        """Tell whether the run's files say all: nobody drives it, and its study is among them."""
        run = self._snapshot.run if self._snapshot else None
        return (
            run is not None and run.status["state"] != "running" and not run.config.get("storage")
        )

    def _read_quietly(self) -> None:
        """Read, and keep an error for the page: a run may be half written, or moved away."""
        try:
            self.read()
        except Exception as error:
            # Whatever it is, the page goes on showing what was read, and says so.
            self.error = f"the run cannot be read any more: {error}"
            LOG.warning("%s: %s", self.name, error)
        finally:
            self._reading = False


def _warm(run: Run) -> None:
    """Tabulate the published rules of all depths that there are; a what-if looks them up."""
    for depth in {depth for trial in run.trials for depth in trial.architecture.graph.depths}:
        nearest_rule(plain_stage(depth))


def snapshot_of(run: Run, queue: Sequence[Waiting] = ()) -> Snapshot:
    """Turn a run, and what is queued in it, into what the page is told."""
    summary = run_summary(run) | {"sent": sent_designs(run, queue)}
    said: dict[str, Any] = {"summary": summary, "columns": run_columns(run)}
    text = json.dumps(said, separators=(",", ":"), allow_nan=False).encode()
    return Snapshot(
        run=run,
        revision=hashlib.sha256(text).hexdigest()[:16],
        body=gzip.compress(text, compresslevel=6, mtime=0),
        by_number={t.number: t for t in run.trials},
    )


def _mark(path: Path) -> object:
    """Return what differs when a file of the run was written."""
    found: list[tuple[int, int] | None] = []
    for name in WATCHED:
        try:
            stat = (path / name).stat()
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append(None)
    return tuple(found)
