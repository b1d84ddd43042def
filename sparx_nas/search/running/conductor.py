"""What runs trials asks here which is next, and tells what came of them.

Fidelity rules are kept here: only a trial that reached its last epoch is told its values, and every
value comes from the one fidelity of the run.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sparx_nas.ground.errors import MachineError
from sparx_nas.search.asked.prepared import Search
from sparx_nas.search.booking.ledger import Ledger
from sparx_nas.search.proposing.proposals import Proposal, Proposals
from sparx_nas.trial.values import Epoch


class Conductor:
    """Hands out candidates while any are wanted, and results to the ledger.

    Whoever runs a trial has a key of its own for it.
    """

    def __init__(self, search: Search, proposals: Proposals, ledger: Ledger) -> None:
        self.search, self.proposals, self.ledger = search, proposals, ledger
        self.stop, self.deadline = search.stop, math.inf
        if search.settings.time_budget_s:
            self.deadline = search.clock() + search.settings.time_budget_s
        self.numbers: dict[str, int] = {}
        self.error: Exception | None = None

    @property
    def idle(self) -> bool:
        """Whether no trial runs."""
        return not self.numbers

    def next(self, key: str) -> Proposal | None:
        """Return the next trial, if there is a place for it, one is wanted, in time, and there."""
        if len(self.numbers) >= self.search.slots.concurrency:
            return None
        if self.stop.asked or self.search.clock() > self.deadline:
            return None
        with self._caught():
            wanted = self.ledger.wants_more()
            if wanted or self.proposals.waiting():
                proposal = self.proposals.next(sampled=wanted)
                if proposal is not None:
                    self.ledger.start(proposal)
                    self.numbers[key] = proposal.number
                return proposal
        return None

    def epoch(self, key: str, epoch: Epoch) -> None:
        """Note an epoch of a trial that goes on."""
        if key in self.numbers:
            with self._caught():
                self.ledger.epoch(self.numbers[key], epoch)

    def complete(self, key: str, epoch: Epoch, result: Mapping[str, Any]) -> None:
        """Note the last epoch of a trial, and what it came to (as `Ledger.complete`)."""
        self._end(key, lambda number: self._complete(number, epoch, result))

    def fail(self, key: str, reason: str, trace: str = "") -> None:
        """Note that a trial broke."""
        self._end(key, lambda number: self.ledger.fail(number, reason, trace))

    def refuse(self, key: str, reason: str) -> None:
        """Note that a machine refused what a trial needs: the search stops, the trial stays."""
        self.error = self.error or MachineError(reason, hint="see to that machine")
        self.stop.ask("error")
        self.interrupt(key)

    def interrupt(self, key: str) -> None:
        """Note that a trial was stopped in the middle; it runs again on resume."""
        self._end(key, self.ledger.interrupted)

    def _complete(self, number: int, epoch: Epoch, result: Mapping[str, Any]) -> None:
        """Book a trial that reached its last epoch."""
        self.ledger.epoch(number, epoch)
        self.ledger.complete(number, epoch, result)

    def _end(self, key: str, book: Any) -> None:
        """Book the end of a trial."""
        number = self.numbers.pop(key, None)
        if number is None:
            return
        with self._caught():
            book(number)
            if self.ledger.too_many_failures():
                self.stop.ask("failures")

    @contextmanager
    def _caught(self) -> Iterator[None]:
        """Keep an error for the driver and stop: Ray would take it for a failure of the trial."""
        try:
            yield
        except Exception as error:
            self.error = self.error or error
            self.stop.ask("error")
