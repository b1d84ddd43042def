"""What was chosen to fill a time budget, and what was measured to choose it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Timed:
    """How many images a second one place trains of the published design, all places at work.

    `share` is the part of a processor that a place had; None on a GPU.
    """

    image_size: int
    stem_stride: int
    width: float
    images_per_s: float
    share: float | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The choices themselves are settings; this is why they are as they are.

    `chosen` names the settings that nobody gave. `training_s` is one training, `opening_s` reading
    the images, `predicted_s` all of it. `train` and `val` are images of a training, `native` the
    shorter side of a typical image as stored. `params` is of published SparX at the target;
    `short` says that a training, as given, sees too few images for a score to be known as reliable.
    `full` says that more time would change nothing, `enough_s` which budget allows as many trials
    as a search should have at this fidelity (None where this one does, or the number was given).
    """

    budget_s: float
    predicted_s: float
    training_s: float
    opening_s: float
    places: int
    baselines: int
    space: str
    why: str
    params: int
    train: int
    val: int
    classes: int
    native: int
    image_size: int
    stem_stride: int
    width: float
    epochs: int
    batch_size: int
    seeds: int
    trials: int
    chosen: tuple[str, ...]
    timed: tuple[Timed, ...]
    short: bool
    full: bool
    enough_s: float | None

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values, for the run's environment."""
        return asdict(self)
