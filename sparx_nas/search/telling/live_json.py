"""The view for machines: one JSON object on a line for each thing that happens."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from sparx_nas.search.asked.settings import Settings, written
from sparx_nas.search.telling.progress import Progress
from sparx_nas.trial.values import TrialRecord


class JsonView:
    """Events `start`, `epoch`, `trial` and `end`; messages go to a stream of their own."""

    def __init__(
        self,
        settings: Settings,
        path: Path,
        dashboard_lines: Sequence[str],
        out: TextIO,
        log: TextIO,
    ) -> None:
        self.out, self.log = out, log
        self.epochs: dict[int, int] = {}
        self.last: Progress | None = None
        self.closed = False
        self._event("start", run=settings.name, path=str(path), options=written(settings))
        for line in dashboard_lines:
            self.message(line)

    def message(self, text: str) -> None:
        """Write a line to the log."""
        self.log.write(f"{text}\n")
        self.log.flush()

    def update(self, progress: Progress) -> None:
        """Write an event for every epoch that ended since the last call."""
        self.last = progress
        for running in progress.running:
            if running.epoch == self.epochs.get(running.number, 0):
                continue
            self._epoch(running.number, running.epoch, running.top1[-1] if running.top1 else None)

    def finished(self, trial: TrialRecord, progress: Progress) -> None:
        """Write the event of a trial that ended, after those of epochs that no update told of."""
        self.last = progress
        for epoch in trial.epochs:
            if epoch.epoch > self.epochs.get(trial.number, 0):
                self._epoch(trial.number, epoch.epoch, epoch.top1)
        self._event(
            "trial",
            trial=trial.number,
            state=trial.state,
            architecture=trial.architecture.id,
            baseline=trial.baseline,
            source=trial.source,
            objectives=dict(trial.objectives),
            cost=dict(trial.cost),
            feasible=trial.feasible,
            violations=list(trial.violations),
            error=trial.error,
            seconds=trial.seconds,
            progress=_counts(progress),
        )

    def close(self) -> None:
        """Write the last event, once."""
        if not self.closed:
            front = [trial.number for trial in self.last.front] if self.last else []
            self._event("end", front=front, progress=_counts(self.last) if self.last else None)
        self.closed = True

    def _epoch(self, number: int, epoch: int, top1: float | None) -> None:
        """Write the event of an epoch that ended."""
        self.epochs[number] = epoch
        self._event("epoch", trial=number, epoch=epoch, top1=top1)

    def _event(self, kind: str, **content: Any) -> None:
        """Write one line; NaN, which JSON does not know, is refused."""
        self.out.write(json.dumps({"event": kind, **content}, allow_nan=False) + "\n")
        self.out.flush()


def _counts(progress: Progress) -> dict[str, Any]:
    """Return where a search stands, in numbers."""
    said = [name for name in Progress.__dataclass_fields__ if name not in ("objectives", "front")]
    return {name: getattr(progress, name) for name in said} | {"running": len(progress.running)}
