"""The bridge between Ray Tune and the study, with the fidelity rules kept.

Optuna's own bridge tells stopped trials as complete; here only a trial that reached its last epoch
is told its values, and every value comes from the one fidelity of the run.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune.search import Searcher

from sparx_nas.command.stopping import Stop
from sparx_nas.search.booking.ledger import Ledger
from sparx_nas.search.proposing.proposals import Proposal, Proposals
from sparx_nas.search.running.worker import Job


class StudySearcher(Searcher):  # type: ignore[misc]
    """Hands candidates to Ray Tune while any are wanted, and results to the ledger.

    Ray's copy of it, pickled for Ray's own resume, is empty: a run is resumed from its study.
    """

    def __init__(
        self,
        proposals: Proposals,
        ledger: Ledger,
        *,
        make_job: Callable[[Proposal], Job],
        mailbox: str,
        deadline: float,
        stop: Stop,
    ) -> None:
        super().__init__()
        self.proposals, self.ledger, self.make_job = proposals, ledger, make_job
        self.mailbox, self.deadline, self.stop = mailbox, deadline, stop
        self.numbers: dict[str, int] = {}
        self.error: Exception | None = None

    def suggest(self, trial_id: str) -> Any:
        """Return the configuration of the next trial, None to wait, or that the search is over."""
        if len(self.numbers) >= self.ledger.concurrency:
            return None
        proposal = self._next()
        if proposal is None:
            return None if self.numbers else Searcher.FINISHED
        self.numbers[trial_id] = proposal.number
        return {"job": json.dumps(self.make_job(proposal)), "mailbox": self.mailbox}

    def _next(self) -> Proposal | None:
        """Return the next candidate if one is wanted, in time, and there."""
        late = time.monotonic() > self.deadline
        with self._caught():
            if late or self.stop.asked:
                return None
            wanted = self.ledger.wants_more()
            if wanted or self.proposals.waiting():
                proposal = self.proposals.next(sampled=wanted)
                if proposal is not None:
                    self.ledger.start(proposal)
                return proposal
        return None

    @contextmanager
    def _caught(self) -> Iterator[None]:
        """Keep an error for the driver and stop: Ray would take it for a failure of the trial."""
        try:
            yield
        except Exception as error:
            self.error = self.error or error
            self.stop.ask("error")

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Note an epoch."""
        if trial_id in self.numbers and result.get("epoch"):
            with self._caught():
                self.ledger.epoch(self.numbers[trial_id], json.loads(result["epoch"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Book a trial that ended; one stopped in the middle runs again on resume."""
        number = self.numbers.pop(trial_id, None)
        if number is None:
            return
        with self._caught():
            self._book(number, result, error)

    def _book(self, number: int, result: dict[str, Any] | None, error: bool) -> None:
        """Hand a trial that ended to the ledger."""
        if error:
            self.ledger.fail(number, "the worker process died; search.log says more", "")
        elif result and result.get("error"):
            self.ledger.fail(number, result["error"], result.get("traceback", ""))
        elif result and result.get("device"):
            # Ray passes the last result on only here.
            epoch = json.loads(result["epoch"])
            self.ledger.epoch(number, epoch)
            self.ledger.complete(number, result | {"epoch": epoch})
        else:
            self.ledger.interrupted(number)
        if self.ledger.too_many_failures():
            self.stop.ask("failures")

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Take nothing back: the study is the state."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Keep nothing: the study is the state."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let Ray pickle a searcher without its study."""
        return Searcher, ()
