"""What a trial is asked to do and what it came to: values that driver and workers exchange."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sparx_nas.architecture import Architecture
from sparx_nas.trial.measures import Direction

TrialState = Literal[
    "complete", "running", "failed", "infeasible", "duplicate", "interrupted", "untrained"
]
"""What became of a trial; "untrained" is a design that is looked at without a search."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One axis of the search: a measure's name and whether more of it is better."""

    name: str
    direction: Direction


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How a trial is trained; values are compared between equal fidelities only.

    `data_id` is the content hash of the data and its splits, `width` the width multiplier,
    `image_size` the side of a training image in pixels.
    """

    data: str
    data_id: str
    epochs: int
    batch_size: int
    image_size: int
    width: float
    stem_stride: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Metrics of one epoch; `top1` on the validation split in [0, 1], `epoch` from 1."""

    epoch: int
    train_loss: float
    val_loss: float
    top1: float
    seconds: float
    images_per_s: float


def name_of(number: int) -> str:
    """Return what people call the trial of a number: `trial 17`; guests have negative ones."""
    return f"guest {-number}" if number < 0 else f"trial {number}"


def mark_of(number: int) -> str:
    """Return the same where there is little room: `#17`, or `g1`."""
    return f"g{-number}" if number < 0 else f"#{number}"


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial of a run, finished or not.

    `objectives` holds a value for every objective of the run once the trial is complete; `cost`
    the target's cost and `proxy_cost` that of the network which was trained (fields as
    `CostEstimate.to_dict`). `baseline` is the name of the baseline it is, or "". `feasible` is
    False when a limit is broken; `violations` says which, as sentences. `test_top1` is there for
    front members of a finished run, with its 95 % interval. `source` is "viewer" for a design that
    a person handed to the search.

    A trial with a negative number is a guest: its design is none that the run's space can express.
    It is trained as the others are and may stand on the front, but the sampler does not learn from
    it, and it does not count towards the trials that were asked for.
    """

    number: int
    architecture: Architecture
    state: TrialState
    baseline: str = ""
    objectives: Mapping[str, float] = field(default_factory=dict)
    top1: float | None = None
    feasible: bool = True
    violations: tuple[str, ...] = ()
    cost: Mapping[str, float] = field(default_factory=dict)
    proxy_cost: Mapping[str, float] = field(default_factory=dict)
    fidelity: Fidelity | None = None
    epochs: tuple[Epoch, ...] = ()
    seconds: float = 0.0
    device: str = ""
    error: str = ""
    duplicate_of: int | None = None
    test_top1: float | None = None
    test_interval: tuple[float, float] | None = None
    source: str = ""

    @property
    def guest(self) -> bool:
        """Whether it is a design that the run's space cannot express; its number is negative."""
        return self.number < 0

    @property
    def name(self) -> str:
        """What people call it: `trial 17`, or `guest 1`."""
        return name_of(self.number)

    @property
    def mark(self) -> str:
        """Its name where there is little room: `#17`, or `g1`."""
        return mark_of(self.number)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A search as its folder tells it.

    `config` is the content of config.yaml, `env` of env.json, `status` of status.json; `front` the
    feasible complete trials that no other dominates, in the order of the first objective.
    """

    name: str
    path: str
    space: str
    objectives: tuple[Objective, ...]
    trials: tuple[TrialRecord, ...]
    front: tuple[TrialRecord, ...]
    config: Mapping[str, Any]
    env: Mapping[str, Any]
    status: Mapping[str, Any]
