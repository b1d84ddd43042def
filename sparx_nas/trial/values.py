"""What a trial is asked to do and what it came to: values that driver and workers exchange."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from sparx_nas.architecture import Architecture
from sparx_nas.ground.quantities import counted
from sparx_nas.trial.latency import Latency
from sparx_nas.trial.measures import Direction, score_of

if TYPE_CHECKING:
    from sparx_nas.trial.noise import Noise

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
    `image_size` the side of a training image in pixels. `images` is the largest number of images of
    train and of val, 0 for all. A score is the mean over trainings with `seeds` seeds from `seed`.
    Before a score BatchNorm statistics are re-estimated on `statistics_images` training images; 0
    takes running ones. Validation scores are those of `val_copies` augmented copies of each image;
    0 takes the images as they are. Older runs did the latter of both.
    """

    data: str
    data_id: str
    epochs: int
    batch_size: int
    image_size: int
    width: float
    stem_stride: int
    seed: int
    images: int = 0
    seeds: int = 1
    statistics_images: int = 0
    val_copies: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Metrics of one epoch; `top1` on the validation split in [0, 1], `epoch` from 1.

    Of several trainings `train_loss`, `val_loss` and `top1` are means, `top1s` and `val_losses`
    hold those of each in the order of seeds, and `seconds` is the sum. `val_loss_error` is the
    standard error of `val_loss` over images. Older records lack the last three.
    """

    epoch: int
    train_loss: float
    val_loss: float
    top1: float
    seconds: float
    images_per_s: float
    top1s: tuple[float, ...] = ()
    val_losses: tuple[float, ...] = ()
    val_loss_error: float = 0.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Epoch":
        """Return an epoch from its JSON form."""
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**known)

    @classmethod
    def of_trainings(cls, each: Sequence["Epoch"]) -> "Epoch":
        """Join the same epoch of several trainings, which run side by side."""
        return cls(
            epoch=each[0].epoch,
            train_loss=fmean(epoch.train_loss for epoch in each),
            val_loss=fmean(epoch.val_loss for epoch in each),
            top1=fmean(epoch.top1 for epoch in each),
            seconds=sum(epoch.seconds for epoch in each),
            images_per_s=len(each) / sum(1 / epoch.images_per_s for epoch in each),
            top1s=tuple(epoch.top1 for epoch in each),
            val_losses=tuple(epoch.val_loss for epoch in each),
            val_loss_error=fmean(epoch.val_loss_error for epoch in each),
        )


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
    front members of a finished run: the mean of `test_top1s`, one of each training. `source` is
    "viewer" for a design that a person handed to the search. `latency` says how the latency was
    measured, where it is an objective; older runs have its median alone, among the objectives.

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
    test_top1s: tuple[float, ...] = ()
    source: str = ""
    latency: Latency | None = None

    @property
    def test_top1(self) -> float | None:
        """Share of test images that were right, the mean over trainings; None if not scored."""
        return sum(self.test_top1s) / len(self.test_top1s) if self.test_top1s else None

    @property
    def top1s(self) -> tuple[float, ...]:
        """Validation top-1 of each training after its last epoch; none before the trial ended."""
        if self.top1 is None:
            return ()
        return (self.epochs[-1].top1s if self.epochs else ()) or (self.top1,)

    @property
    def val_losses(self) -> tuple[float, ...]:
        """Validation loss of each training after its last epoch; none before the trial ended."""
        if self.top1 is None or not self.epochs:
            return ()
        return self.epochs[-1].val_losses or (self.epochs[-1].val_loss,)

    def scores(self, measure: str) -> tuple[float, ...]:
        """Return what `top1` or `val_loss` of each training is after its last epoch."""
        return self.val_losses if measure == "val_loss" else self.top1s

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
    feasible complete trials that no other dominates, in the order of the first objective. `target`
    is what every cost is counted at: image_size (a side in pixels), num_classes and in_chans.
    """

    name: str
    path: str
    space: str
    objectives: tuple[Objective, ...]
    trials: tuple[TrialRecord, ...]
    front: tuple[TrialRecord, ...]
    target: Mapping[str, int]
    config: Mapping[str, Any]
    env: Mapping[str, Any]
    status: Mapping[str, Any]

    @property
    def fidelity(self) -> Fidelity | None:
        """How candidates are trained; baselines where there is none yet, None before any began."""
        known = (trial for trial in self.trials if trial.fidelity)
        first = min(known, key=lambda trial: bool(trial.baseline), default=None)
        return first.fidelity if first else None

    @property
    def target_words(self) -> str:
        """What costs are counted at: `224 x 224 px, 3 channels, 1,000 classes`."""
        side, classes, channels = (
            self.target[n] for n in ("image_size", "num_classes", "in_chans")
        )
        said = f"{side} x {side} px, {counted(channels, 'channel')}, {classes:,} "
        return said + ("class" if classes == 1 else "classes")

    @property
    def seeds(self) -> int:
        """Trainings that a candidate's score is the mean of."""
        return self.fidelity.seeds if self.fidelity else 1

    @property
    def score(self) -> str:
        """The measure that says how good a design is: `top1` or `val_loss`."""
        return score_of(o.name for o in self.objectives)

    @property
    def untold(self) -> str:
        """Why the reliability of its scores cannot be told, as a clause; "" where it can."""
        from sparx_nas.trial.reliability import untold

        return untold([t.scores(self.score) for t in self.trials if t.state == "complete"])

    @property
    def chance(self) -> float | None:
        """Validation accuracy of always naming one class, the best one, if it is known."""
        share, classes = (self.data.get(key) for key in ("commonest_class", "num_classes"))
        if isinstance(share, float):
            return share
        return 1 / classes if isinstance(classes, int) and classes > 0 else None

    @property
    def at_chance(self) -> bool:
        """Whether candidates were scored and none of them is above chance; see `above_chance`."""
        from sparx_nas.trial.noise import above_chance

        level, images, scored = self.chance, self.noise.size("val"), self.judged
        return bool(level and images and scored) and not above_chance(scored, level or 0.0, images)

    @property
    def judged(self) -> list[float]:
        """Validation top-1 of the candidates; of the baselines while there is no candidate."""
        found = [t for t in self.trials if t.top1 is not None]
        own = [t for t in found if not t.baseline] or found
        return [t.top1 for t in own if t.top1 is not None]

    @property
    def data(self) -> Mapping[str, Any]:
        """What the run recorded about its data, or nothing."""
        found = self.env.get("data")
        return found if isinstance(found, Mapping) else {}

    @cached_property
    def noise(self) -> "Noise":
        """How far the scores of this run can be off; computed once."""
        from sparx_nas.trial.noise import Noise
        from sparx_nas.trial.reliability import reliability

        splits = self.data.get("splits")
        done = [t for t in self.trials if t.state == "complete"]
        return Noise(
            top1=reliability([t.top1s for t in done]),
            score=reliability([t.scores(self.score) for t in done]),
            images=splits if isinstance(splits, Mapping) else {},
        )
