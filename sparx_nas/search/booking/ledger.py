"""The books of a running search: the only writer of the run's folder."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import optuna

from sparx_nas import run_store
from sparx_nas.drawing.report import report_html
from sparx_nas.ground.record import write_text
from sparx_nas.search.asked.prepared import Search
from sparx_nas.search.booking.metrics import Metrics
from sparx_nas.search.proposing.proposals import Proposal, Proposals
from sparx_nas.search.telling.progress import Progress, Running, View
from sparx_nas.search.telling.wording import what_it_is
from sparx_nas.trial.pareto import hypervolume, minimised
from sparx_nas.trial.values import Epoch, Run, TrialRecord, name_of

LOG = logging.getLogger(__name__)


@dataclass
class Counts:
    """What has ended so far; `trained` leaves baselines and guests out."""

    trained: int = 0
    baselines: int = 0
    guests: int = 0
    failed: int = 0


@dataclass
class Ledger:
    """Writes what happens and tells the view.

    `take_weights` fetches those of a trial that just ended. Guests count neither as trained nor
    towards what was asked.
    """

    search: Search
    candidates: Proposals
    view: View
    take_weights: Callable[[int], list[bytes] | None]
    started: float = field(default_factory=time.monotonic)
    counts: Counts = field(default_factory=Counts)
    open: dict[int, Running] = field(default_factory=dict)
    proposals: dict[int, Proposal] = field(default_factory=dict)
    begun: dict[int, float] = field(default_factory=dict)
    durations: list[float] = field(default_factory=list)
    failures: int = 0

    def __post_init__(self) -> None:
        """Take stock of what an earlier session finished."""
        self.path, self.settings = self.search.path, self.search.settings
        self.metrics = Metrics(self.settings.name)
        self.reload()

    def reload(self) -> None:
        """Read the run again and count what has ended."""
        self.run: Run = run_store.load_run(
            self.path, study=self.candidates.study, guests=self.candidates.guests
        )
        self.counts = Counts()
        for trial in self.run.trials:
            self._count(trial)

    def wants_more(self) -> bool:
        """Tell whether another trial has to start; one that failed is replaced by another."""
        candidates = sum(not self.proposals[n].baseline for n in self.open if n >= 0)
        missing = self.settings.trials - self.counts.trained - candidates
        return missing > 0 or self._baselines_missing() > 0

    def too_many_failures(self) -> bool:
        """Tell whether the search has to give up; failures of earlier sessions do not count."""
        return self.failures > self.settings.max_failures

    def start(self, proposal: Proposal) -> None:
        """Book a trial that begins, or begins again."""
        number = proposal.number
        self.proposals[number], self.begun[number] = proposal, time.monotonic()
        self.open[number] = Running(
            number=number,
            label=label(proposal),
            epoch=0,
            epochs=self.settings.epochs,
            top1=(),
        )
        run_store.log_start(self.path / run_store.CURVES, number)
        LOG.info("%s started: %s", name_of(number), label(proposal))
        self.metrics.trial(number, label(proposal), state="running")
        self.view.update(self.progress())

    def epoch(self, number: int, epoch: Mapping[str, Any]) -> None:
        """Book an epoch."""
        now = self.open[number]
        self.open[number] = replace(now, epoch=epoch["epoch"], top1=(*now.top1, epoch["top1"]))
        run_store.log_epoch(self.path / run_store.CURVES, number, Epoch.from_dict(epoch))
        self._status("running")
        self.metrics.epoch(number, now.label, epoch["top1"], epoch["images_per_s"])
        self.view.update(self.progress())

    def complete(self, number: int, result: Mapping[str, Any]) -> None:
        """Book a trial that reached its last epoch: weights, curve, study, derived files."""
        proposal = self.proposals[number]
        top1 = result["epoch"]["top1"]
        cost = self.search.target_cost(proposal.architecture)
        measured = {**cost, "top1": top1, "val_loss": result["epoch"]["val_loss"]}
        measured["latency_ms"] = result.get("latency_ms")
        objectives = {o.name: float(measured[o.name]) for o in self.settings.objectives}
        weights = self.take_weights(number)
        if weights is not None:
            run_store.write_weights(self.path, proposal.architecture.id, weights)
        end = run_store.End(
            number=number,
            objectives=objectives,
            top1=top1,
            seconds=result["seconds"],
            device=result["device"],
            proxy_cost=self.search.proxy_cost(proposal.architecture),
        )
        run_store.log_end(self.path / run_store.CURVES, end)
        run_store.complete(*self._place(number), end, self.settings.objectives)
        LOG.info("%s complete: %s in %.1f s", name_of(number), objectives, end.seconds)
        self._ended(number)

    def fail(self, number: int, reason: str, trace: str) -> None:
        """Book a trial that failed; it is never told as complete."""
        LOG.error("%s failed: %s\n%s", name_of(number), reason, trace)
        run_store.fail(*self._place(number), reason)
        self.failures += 1
        self._ended(number)

    def interrupted(self, number: int) -> None:
        """Leave a trial that was stopped half way open, to be run again on resume."""
        LOG.info("%s was interrupted", name_of(number))
        self.open.pop(number, None)

    def progress(self) -> Progress:
        """Say where the search stands."""
        states = [trial.state for trial in self.run.trials]
        candidates = self.settings.trials - self.counts.trained
        candidates += sum(number < 0 for number in self.open)
        left = candidates * self._trainings("") + self._baselines_left() * self._trainings("any")
        pace = sum(self.durations) / len(self.durations) if self.durations else None
        return Progress(
            trained=self.counts.trained,
            asked=self.settings.trials,
            baselines=self.counts.baselines,
            guests=self.counts.guests,
            running=tuple(self.open.values()),
            failed=self.counts.failed,
            duplicates=states.count("duplicate"),
            infeasible=states.count("infeasible"),
            unique=len({t.architecture.id for t in self.run.trials}),
            elapsed_s=time.monotonic() - self.started,
            eta_s=None if pace is None else self._eta(left, pace),
            objectives=self.settings.objectives,
            front=self.run.front,
            hypervolume=front_volume(self.run),
        )

    def write(self, state: str) -> Run:
        """Write everything that is derived from the study and the curves."""
        self.reload()
        self._status(state)
        self.run = replace(self.run, status=run_store.read_status(self.path))
        run_store.write_derived(self.path, self.run)
        run_store.write_best(self.path, self.run)
        # The front's weights are needed until it has been scored on the test split.
        keep = self.settings.keep_weights
        unscored = keep == "none" and state not in ("finished", "exhausted")
        run_store.prune_weights(self.path, self.run, "front" if unscored else keep)
        write_text(self.path / "report.html", report_html(self.run))
        return self.run

    def _status(self, state: str) -> None:
        """Say where the run stands; the time of it shows others that the search is alive."""
        asked, trained = self.settings.trials, self.counts.trained
        run_store.write_status(self.path, state=state, trained=trained, asked=asked)

    def _ended(self, number: int) -> None:
        """Count a trial that ended, write what follows from it, and show it."""
        seconds = time.monotonic() - self.begun[number]
        self.durations.append(seconds / self._trainings(self.proposals[number].baseline))
        self.open.pop(number, None)
        self.write("running")
        trial = next(t for t in self.run.trials if t.number == number)
        self.metrics.trial(number, label(self.proposals[number]), state=trial.state)
        self.metrics.hypervolume(front_volume(self.run))
        self.view.finished(trial, self.progress())

    def _count(self, trial: TrialRecord) -> None:
        """Add a trial to what has ended."""
        if trial.state == "complete":
            self.counts.baselines += bool(trial.baseline)
            self.counts.guests += trial.guest
            self.counts.trained += not trial.baseline and not trial.guest
        self.counts.failed += trial.state == "failed"

    def _place(self, number: int) -> tuple[optuna.Study, int]:
        """Return the study a trial is in, and its number there."""
        if number >= 0:
            return self.candidates.study, number
        assert self.candidates.guests is not None, "a guest has a study"
        return self.candidates.guests, run_store.turned(number)

    def _baselines_missing(self) -> int:
        """Return how many baselines have neither ended nor begun."""
        begun = {t.baseline for t in self.run.trials if t.state == "complete"}
        begun |= {p.baseline for p in self.proposals.values() if p.baseline}
        return len(set(self.search.space.baselines) - begun)

    def _baselines_left(self) -> int:
        """Return how many baselines have not ended."""
        ended = {t.baseline for t in self.run.trials if t.state == "complete"}
        return len(set(self.search.space.baselines) - ended)

    def _trainings(self, baseline: str) -> int:
        """Return how many trainings a trial is."""
        return self.search.fidelity_of(baseline).seeds

    def _eta(self, left: int, pace: float) -> float:
        """Return the seconds that so many more trainings take, those running half done."""
        running = sum(self._trainings(self.proposals[number].baseline) for number in self.open)
        return max(0.0, (left - 0.5 * running) * pace / self.search.slots.concurrency)


def label(proposal: Proposal) -> str:
    """Say what a trial is in a few words."""
    return what_it_is(proposal.architecture, proposal.baseline)


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
