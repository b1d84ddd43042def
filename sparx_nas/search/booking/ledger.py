"""The books of a running search: what has ended, what is open, and what is still missing."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import optuna

from sparx_nas import run_store
from sparx_nas.search.asked.prepared import Search
from sparx_nas.search.proposing.proposals import Proposal, Proposals
from sparx_nas.search.telling.progress import Running
from sparx_nas.search.telling.wording import what_it_is
from sparx_nas.trial.latency import Latency
from sparx_nas.trial.values import Epoch, TrialRecord, name_of

LOG = logging.getLogger(__name__)


@dataclass
class Counts:
    """What has ended so far; `trained` leaves baselines and guests out."""

    trained: int = 0
    baselines: int = 0
    guests: int = 0
    failed: int = 0


class Books(Protocol):
    """Where a ledger writes what happens, except for the study; a method returns when it has."""

    def earlier(self) -> Sequence[TrialRecord]:
        """Return the trials of earlier sessions."""

    def start(self, ledger: "Ledger", number: int) -> None:
        """Write, and show, that a trial begins to train, or begins again."""

    def epoch(self, ledger: "Ledger", number: int, epoch: Epoch) -> None:
        """Write and show an epoch of a trial."""

    def end(self, end: run_store.End, architecture_id: str) -> None:
        """Write that a trial reached its last epoch; its study is told next."""

    def ended(self, ledger: "Ledger", number: int) -> None:
        """Write what follows from a trial that ended and was told to its study; show it."""


@dataclass
class Ledger:
    """Keeps account of a search, tells its study, and has the rest written by its books.

    Guests count neither as trained nor towards what was asked.
    """

    search: Search
    candidates: Proposals
    books: Books
    counts: Counts = field(default_factory=Counts)
    open: dict[int, Running] = field(default_factory=dict)
    proposals: dict[int, Proposal] = field(default_factory=dict)
    begun: dict[int, float] = field(default_factory=dict)
    durations: list[float] = field(default_factory=list)
    baselines: set[str] = field(default_factory=set)
    failures: int = 0

    def __post_init__(self) -> None:
        """Take stock of what an earlier session finished."""
        self.settings, self.started = self.search.settings, self.search.clock()
        for trial in self.books.earlier():
            if trial.state == "complete":
                self._trained(trial.number, trial.baseline)
            self.counts.failed += trial.state == "failed"

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
        self.proposals[number], self.begun[number] = proposal, self.search.clock()
        self.open[number] = Running(
            number=number,
            label=label(proposal),
            epoch=0,
            epochs=self.settings.epochs,
            top1=(),
        )
        LOG.info("%s started: %s", name_of(number), self.open[number].label)
        self.books.start(self, number)

    def epoch(self, number: int, epoch: Epoch) -> None:
        """Book an epoch."""
        now = self.open[number]
        self.open[number] = replace(now, epoch=epoch.epoch, top1=(*now.top1, epoch.top1))
        self.books.epoch(self, number, epoch)

    def complete(self, number: int, epoch: Epoch, result: Mapping[str, Any]) -> None:
        """Book a trial that reached its last epoch: curve first, then the study.

        `result` holds `seconds` and `device`, and `latency` as JSON where it was asked for.
        """
        proposal = self.proposals[number]
        cost = self.search.target_cost(proposal.architecture)
        measured = {**cost, "top1": epoch.top1, "val_loss": epoch.val_loss}
        latency = Latency.from_dict(json.loads(said)) if (said := result.get("latency")) else None
        measured["latency_ms"] = latency.ms if latency else None
        end = run_store.End(
            number=number,
            objectives={o.name: float(measured[o.name]) for o in self.settings.objectives},
            top1=epoch.top1,
            seconds=result["seconds"],
            device=result["device"],
            proxy_cost=self.search.proxy_cost(proposal.architecture),
            latency=latency,
        )
        if latency:
            LOG.info("%s latency %.3g ms: %s", name_of(number), latency.ms, latency.words())
        self.books.end(end, proposal.architecture.id)
        run_store.complete(*self._place(number), end, self.settings.objectives)
        LOG.info("%s complete: %s in %.1f s", name_of(number), end.objectives, end.seconds)
        self._trained(number, proposal.baseline)
        self._ended(number)

    def fail(self, number: int, reason: str, trace: str) -> None:
        """Book a trial that failed; it is never told as complete."""
        LOG.error("%s failed: %s\n%s", name_of(number), reason, trace)
        run_store.fail(*self._place(number), reason)
        self.failures += 1
        self.counts.failed += 1
        self._ended(number)

    def interrupted(self, number: int) -> None:
        """Leave a trial that was stopped half way open, to be run again on resume."""
        LOG.info("%s was interrupted", name_of(number))
        self.open.pop(number, None)

    def eta_s(self) -> float | None:
        """Return the seconds that what is missing takes; None until a trial has ended.

        Trials that are running count as half done.
        """
        if not self.durations:
            return None
        pace = sum(self.durations) / len(self.durations)
        candidates = self.settings.trials - self.counts.trained
        candidates += sum(number < 0 for number in self.open)
        baselines = len(set(self.search.space.baselines) - self.baselines)
        left = candidates * self._trainings("") + baselines * self._trainings("any")
        running = sum(self._trainings(self.proposals[number].baseline) for number in self.open)
        return max(0.0, (left - 0.5 * running) * pace / self.search.slots.concurrency)

    def _ended(self, number: int) -> None:
        """Note how long a trial took, and have written what follows from it."""
        seconds = self.search.clock() - self.begun[number]
        self.durations.append(seconds / self._trainings(self.proposals[number].baseline))
        self.open.pop(number, None)
        self.books.ended(self, number)

    def _trained(self, number: int, baseline: str) -> None:
        """Count a trial that was trained to its end."""
        self.counts.baselines += bool(baseline)
        self.counts.guests += number < 0
        self.counts.trained += not baseline and number >= 0
        if baseline:
            self.baselines.add(baseline)

    def _place(self, number: int) -> tuple[optuna.Study, int]:
        """Return the study a trial is in, and its number there."""
        if number >= 0:
            return self.candidates.study, number
        assert self.candidates.guests is not None, "a guest has a study"
        return self.candidates.guests, run_store.turned(number)

    def _baselines_missing(self) -> int:
        """Return how many baselines have neither ended nor begun."""
        begun = {p.baseline for p in self.proposals.values() if p.baseline}
        return len(set(self.search.space.baselines) - begun - self.baselines)

    def _trainings(self, baseline: str) -> int:
        """Return how many trainings a trial is."""
        return self.search.fidelity_of(baseline).seeds


def label(proposal: Proposal) -> str:
    """Say what a trial is in a few words."""
    return what_it_is(proposal.architecture, proposal.baseline)
