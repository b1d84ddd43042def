"""The folder of a running search: its only writer, which shows what it wrote."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sparx_nas import run_store
from sparx_nas.drawing.report import report_html
from sparx_nas.ground.record import write_text
from sparx_nas.search.asked.prepared import Search
from sparx_nas.search.booking.ledger import Ledger, label
from sparx_nas.search.booking.metrics import Metrics
from sparx_nas.search.proposing.proposals import Proposals
from sparx_nas.search.telling.progress import Progress, View
from sparx_nas.trial.pareto import hypervolume, minimised
from sparx_nas.trial.values import Epoch, Run, TrialRecord

OPEN = ("running", "interrupted")
"""States of trials that have not ended."""
GROWTH = 1.05
REST_S, REST = 60.0, 100.0
"""What is derived is written again once this many times as many trials have ended, or after a rest
of so many seconds, and of so many times as long as writing took."""


@dataclass
class Folder:
    """Writes curves, weights, metrics and what is derived, and tells the view.

    `take_weights` fetches those of a trial that just ended. What is derived holds all trials, so it
    is written as their number grows, not for each of them: in all that is linear in the trials.
    """

    search: Search
    candidates: Proposals
    view: View
    take_weights: Callable[[int], list[bytes] | None]

    def __post_init__(self) -> None:
        """Read what is there."""
        self.path, self.metrics = self.search.path, Metrics(self.search.settings.name)
        self.curves = self.path / run_store.CURVES
        self.drawn = run_store.read_curves(self.curves)
        self.run = self._read()
        self.volume = front_volume(self.run)
        self.written, self.wrote_at, self.took_s = 0, self.search.clock(), 0.0

    def earlier(self) -> Sequence[TrialRecord]:
        """Return the trials of earlier sessions."""
        return self.run.trials

    def start(self, ledger: Ledger, number: int) -> None:
        """Write, and show, that a trial begins to train, or begins again."""
        run_store.log_start(self.curves, number)
        self.drawn[number] = run_store.Curve()
        self.metrics.trial(number, ledger.open[number].label, state="running")
        self.view.update(progress(ledger, self.run, self.volume))

    def epoch(self, ledger: Ledger, number: int, epoch: Epoch) -> None:
        """Write and show an epoch of a trial."""
        run_store.log_epoch(self.curves, number, epoch)
        curve = self.drawn[number]
        self.drawn[number] = replace(curve, epochs=(*curve.epochs, epoch))
        self._status(ledger, "running")
        self.metrics.epoch(number, ledger.open[number].label, epoch.top1, epoch.images_per_s)
        self.view.update(progress(ledger, self.run, self.volume))

    def end(self, end: run_store.End, architecture_id: str) -> None:
        """Write weights, then that the trial has its values: the latter is on disk afterwards."""
        weights = self.take_weights(end.number)
        if weights is not None:
            run_store.write_weights(self.path, architecture_id, weights)
        run_store.log_end(self.curves, end)
        self.drawn[end.number] = replace(self.drawn[end.number], end=end)

    def ended(self, ledger: Ledger, number: int) -> None:
        """Take in a trial that ended, write what follows from it if that is due, and show it."""
        self._take_in()
        if self._due():
            self.write(ledger, "running")
        else:
            self._status(ledger, "running")
        trial = next(t for t in self.run.trials if t.number == number)
        self.volume = front_volume(self.run)
        self.metrics.trial(number, label(ledger.proposals[number]), state=trial.state)
        self.metrics.hypervolume(self.volume)
        self.view.finished(trial, progress(ledger, self.run, self.volume))

    def _take_in(self) -> None:
        """Bring the run up to date; trials that ended before are not read again."""
        known = {trial.number: trial for trial in self.run.trials if trial.state not in OPEN}
        study, objectives = self.candidates.study, self.run.objectives
        guests = self.candidates.guests
        trials = run_store.records(study, self.drawn, objectives, guests, known)
        front = run_store.pareto_of(trials, objectives)
        self.run = replace(self.run, trials=trials, front=front)

    def _due(self) -> bool:
        """Tell whether what is derived is behind by more than a few trials, or for long."""
        rested = self.search.clock() - self.wrote_at
        behind = _ended(self.run) > GROWTH * self.written
        return behind or rested > max(REST_S, REST * self.took_s)

    def write(self, ledger: Ledger, state: str) -> Run:
        """Write everything that is derived from the study and the curves."""
        start = self.search.clock()
        self.run = self._read()
        self._status(ledger, state)
        self.run = replace(self.run, status=run_store.read_status(self.path))
        run_store.write_derived(self.path, self.run)
        run_store.write_best(self.path, self.run)
        # The front's weights are needed until it has been scored on the test split.
        keep = self.search.settings.keep_weights
        unscored = keep == "none" and state not in ("finished", "exhausted")
        run_store.prune_weights(self.path, self.run, "front" if unscored else keep)
        write_text(self.path / "report.html", report_html(self.run))
        self.written, self.wrote_at = _ended(self.run), self.search.clock()
        self.took_s = self.wrote_at - start
        return self.run

    def _read(self) -> Run:
        """Read the run again, from the study that is open."""
        return run_store.load_run(
            self.path, study=self.candidates.study, guests=self.candidates.guests
        )

    def _status(self, ledger: Ledger, state: str) -> None:
        """Say where the run stands; the time of it shows others that the search is alive."""
        asked, trained = self.search.settings.trials, ledger.counts.trained
        run_store.write_status(self.path, state=state, trained=trained, asked=asked)


def _ended(run: Run) -> int:
    """Count the trials of a run that do not run any more."""
    return sum(trial.state not in OPEN for trial in run.trials)


def progress(ledger: Ledger, run: Run, volume: float) -> Progress:
    """Say where a search stands; `run`, and its front's volume, are of the last trial's end."""
    states = [trial.state for trial in run.trials]
    return Progress(
        trained=ledger.counts.trained,
        asked=ledger.settings.trials,
        baselines=ledger.counts.baselines,
        guests=ledger.counts.guests,
        running=tuple(ledger.open.values()),
        failed=ledger.counts.failed,
        duplicates=states.count("duplicate"),
        infeasible=states.count("infeasible"),
        unique=len({t.architecture.id for t in run.trials}),
        elapsed_s=ledger.search.clock() - ledger.started,
        eta_s=ledger.eta_s(),
        objectives=ledger.settings.objectives,
        front=run.front,
        hypervolume=volume,
    )


def front_volume(run: Run) -> float:
    """Return the front's hypervolume within the box of all complete trials, in [0, 1]."""
    points = [
        minimised([t.objectives[o.name] for o in run.objectives], run.objectives)
        for t in run.trials
        if t.state == "complete" and t.feasible
    ]
    if not points:
        return 0.0
    low, high = ([f(axis) for axis in zip(*points, strict=True)] for f in (min, max))
    spans = [h - lo or 1.0 for lo, h in zip(low, high, strict=True)]
    scaled = [
        tuple((v - lo) / span for v, lo, span in zip(p, low, spans, strict=True)) for p in points
    ]
    return hypervolume(scaled, (1.0,) * len(spans))
