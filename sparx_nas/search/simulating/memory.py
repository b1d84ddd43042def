"""Books of a search that are kept in memory."""

from collections.abc import Sequence
from dataclasses import replace

from sparx_nas.run_store import Curve, End
from sparx_nas.search.booking.ledger import Ledger
from sparx_nas.trial.values import Epoch, TrialRecord


class Memory:
    """Holds the curve of every trial."""

    def __init__(self) -> None:
        self.curves: dict[int, Curve] = {}

    def earlier(self) -> Sequence[TrialRecord]:
        """Return nothing: no session came before."""
        return ()

    def start(self, ledger: Ledger, number: int) -> None:
        """Begin a curve."""
        self.curves[number] = Curve()

    def epoch(self, ledger: Ledger, number: int, epoch: Epoch) -> None:
        """Go on with a curve."""
        curve = self.curves[number]
        self.curves[number] = replace(curve, epochs=(*curve.epochs, epoch))

    def end(self, end: End, architecture_id: str) -> None:
        """End a curve."""
        self.curves[end.number] = replace(self.curves[end.number], end=end)

    def ended(self, ledger: Ledger, number: int) -> None:
        """Write nothing: what follows from a trial is worked out when it is asked for."""
