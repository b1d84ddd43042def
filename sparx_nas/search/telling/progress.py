"""What a view of a running search is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sparx_nas.trial.values import Objective, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Running:
    """A trial in training: `label` says what it is in a few words, `top1` one entry an epoch."""

    number: int
    label: str
    epoch: int
    epochs: int
    top1: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a search stands.

    `trained` counts distinct architectures trained to the end besides baselines and `guests`,
    `asked` how many were asked for; `unique` all distinct ones seen. `eta_s` is None until a trial
    has ended; `hypervolume` is that of the front within the box of all complete trials, in [0, 1].
    """

    trained: int
    asked: int
    baselines: int
    guests: int = 0
    running: Sequence[Running]
    failed: int
    duplicates: int
    infeasible: int
    unique: int
    elapsed_s: float
    eta_s: float | None
    objectives: Sequence[Objective]
    front: Sequence[TrialRecord]
    hypervolume: float


class View(Protocol):
    """Shows a search to a person or a machine; every method returns at once."""

    def message(self, text: str) -> None:
        """Show a line that stays."""

    def update(self, progress: Progress) -> None:
        """Show where the search stands; called once an epoch of any trial."""

    def finished(self, trial: TrialRecord, progress: Progress) -> None:
        """Show a trial that ended: complete, failed or infeasible."""

    def close(self) -> None:
        """Leave the terminal as it was found."""
