"""How long a network takes for one image: a median with its spread, and what it was measured on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

BUSY = 0.5
"""Processors that others keep busy, from which on a measurement is doubtful."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds of a forward pass of one image on a device where nothing else of the search ran.

    `ms` is the median of `passes`, `low` and `high` are the quartiles; `threads` are those of the
    processor. `busy` says how many processors other programs kept busy just before.
    """

    ms: float
    low: float
    high: float
    passes: int
    threads: int
    busy: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Latency":
        """Return it from its JSON form."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @property
    def doubtful(self) -> bool:
        """Whether other programs had a processor that it may have needed."""
        return self.busy >= BUSY

    def words(self) -> str:
        """Say how far single passes were apart, on what, and whether others were at work."""
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        said = f"half of {self.passes} passes {self.low:.3g} to {self.high:.3g} ms, {threads}"
        return said + (f"; {self.busy:.1f} processors were busy with others" * self.doubtful)
