"""A table of trainings of the designs of one space, all trained in the same way."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import SparxError
from sparx_nas.trial.measures import Direction
from sparx_nas.trial.reliability import Reliability, reliability
from sparx_nas.trial.table.truth import Truth, Truths, truths

MEASURES: Mapping[str, Direction] = {
    "val_loss": "min",
    "top1": "max",
    "train_loss": "min",
    "test_top1": "max",
}
"""What a training comes to, and which way is better; a search never sees `test_top1`."""
FORETELLING = ("macs", "params")
"""Costs whose logarithms draw the line that true means are shrunk to."""


class TableError(SparxError):
    """A table that is not there or cannot be read, or a design that is not in it."""

    exit_code = 4
    code = "E-TABLE"


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training: the tuples hold an entry an epoch.

    `val_loss_error` is the standard error of `val_loss` over images.
    `test_top1` is the share of the `test_images` that were right after the last one.
    """

    seed: int
    val_loss: tuple[float, ...]
    val_loss_error: tuple[float, ...]
    top1: tuple[float, ...]
    train_loss: tuple[float, ...]
    seconds: tuple[float, ...]
    test_top1: float
    test_images: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Designs, what they cost, and every training of each.

    `costs` has an array over designs for every count (`CostEstimate`); of the arrays over trainings
    `design` holds places in `designs`, `curves` arrays (trainings, epochs) of `val_loss` and its
    error, `top1`, `train_loss` and `seconds` of the processor. `baselines` are names by place.
    `about` says what was trained, on what, how, with what and when.
    """

    designs: tuple[Architecture, ...]
    baselines: Mapping[int, str]
    costs: Mapping[str, NDArray[np.int64]]
    design: NDArray[np.int64]
    seed: NDArray[np.int64]
    curves: Mapping[str, NDArray[np.float64]]
    test_correct: NDArray[np.int64]
    about: Mapping[str, Any]

    def __contains__(self, architecture: Architecture) -> bool:
        """Tell whether a design was trained."""
        return architecture.id in self._places

    @property
    def name(self) -> str:
        """The name of the space."""
        return str(self.about["space"])

    @property
    def epochs(self) -> int:
        """Epochs of a training."""
        return int(self.about["fidelity"]["epochs"])

    @property
    def test_images(self) -> int:
        """Images of the test split."""
        return int(self.about["data"]["splits"]["test"])

    def place(self, architecture: Architecture) -> int:
        """Return where a design stands in `designs`.

        Raises: TableError if it was not trained.
        """
        if architecture.id not in self._places:
            raise TableError(
                f"the table of {self.name} has no design {architecture.id}",
                hint=f"it holds {len(self.designs)} designs; `design in table` asks",
            )
        return self._places[architecture.id]

    def trainings(self, architecture: Architecture) -> list[Training]:
        """Return all trainings of a design, in the order of seeds.

        Raises: TableError if it was not trained.
        """
        return [self._training(row) for row in self._rows[self.place(architecture)]]

    def draw(self, architecture: Architecture, seed: int, count: int = 1) -> list[Training]:
        """Return `count` trainings of a design, none twice; equal seeds, equal draws.

        Draws of different designs are independent of each other.

        Raises: TableError if it was not trained so often.
        """
        rows = self._rows[self.place(architecture)]
        if count > len(rows):
            raise TableError(
                f"{architecture.id} was trained {len(rows)} times in the table of {self.name}, "
                f"and {count} trainings are asked for"
            )
        digest = hashlib.sha256(f"{architecture.id} {seed}".encode()).digest()
        order = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(len(rows))
        return [self._training(rows[i]) for i in order[:count]]

    def scores(self, measure: str = "val_loss", epoch: int = -1) -> list[list[float]]:
        """Return a measure of all trainings by design, after an epoch (from 0; -1 the last).

        Raises: TableError for a measure or an epoch that there is not.
        """
        values = self._values(measure, epoch)
        return [values[rows].tolist() for rows in self._rows]

    def truths(self, measure: str = "val_loss", epoch: int = -1) -> Truths:
        """Estimate the true mean of every design; see `truth.py` for the model.

        Raises: TableError for a measure or an epoch that there is not.
        """
        key = (measure, epoch)
        if key not in self._known:
            known = np.column_stack([np.log(self.costs[name]) for name in FORETELLING])
            self._known[key] = truths(self.scores(measure, epoch), known)
        return self._known[key]

    def truth(
        self, architecture: Architecture, measure: str = "val_loss", epoch: int = -1
    ) -> Truth:
        """Estimate the true mean of a design, over all seeds, with its standard error.

        Raises: TableError if it was not trained, or for a measure or an epoch that there is not.
        """
        return self.truths(measure, epoch).of(self.place(architecture))

    def curve(self, architecture: Architecture, measure: str = "val_loss") -> list[Truth]:
        """Return the true mean of a design after every epoch.

        Raises: TableError as `truth`.
        """
        return [self.truth(architecture, measure, epoch) for epoch in range(self.epochs)]

    def reliability(self, measure: str = "val_loss", epoch: int = -1) -> Reliability | None:
        """Return how much of a training's score is its design's; None where it cannot be told.

        Raises: TableError for a measure or an epoch that there is not.
        """
        return reliability(self.scores(measure, epoch))

    def ceiling(self, seeds: int, measure: str = "val_loss") -> tuple[float, float, float]:
        """Return the Kendall's tau that means over so many seeds have with true means, at best.

        With its 95 % interval. No ranking by such means can be expected to do better; for scores
        and noise that are normal (Kendall, Rank Correlation Methods, tau = 2/pi asin(rho)).

        Raises: TableError where nothing can be told.
        """
        told = self.reliability(measure)
        if told is None:
            raise TableError(f"the table of {self.name} cannot tell seeds from designs")
        one, low, high = (
            2 / math.pi * math.asin(math.sqrt(max(0.0, share))) for share in told.of_mean(seeds)
        )
        return one, low, high

    @cached_property
    def _known(self) -> dict[tuple[str, int], Truths]:
        """Truths that were asked for."""
        return {}

    @cached_property
    def _places(self) -> dict[str, int]:
        """Places by the id of the design."""
        return {design.id: place for place, design in enumerate(self.designs)}

    @cached_property
    def _rows(self) -> list[NDArray[np.int64]]:
        """Trainings of every design, in the order of seeds."""
        order = np.lexsort((self.seed, self.design))
        ends = np.cumsum(np.bincount(self.design, minlength=len(self.designs)))
        return np.split(order, ends[:-1])

    def _values(self, measure: str, epoch: int) -> NDArray[np.float64]:
        """Return a measure of all trainings."""
        if measure not in MEASURES:
            raise TableError(f"there is no measure {measure!r}; known are {', '.join(MEASURES)}")
        if not -self.epochs <= epoch < self.epochs:
            raise TableError(f"there is no epoch {epoch}; they go from 0 to {self.epochs - 1}")
        if measure != "test_top1":
            return self.curves[measure][:, epoch]
        if epoch not in (-1, self.epochs - 1):
            raise TableError("the test split was scored after the last epoch alone")
        return self.test_correct / self.test_images

    def _training(self, row: int) -> Training:
        """Return one training."""
        curves = {name: tuple(values[row].tolist()) for name, values in self.curves.items()}
        return Training(
            seed=int(self.seed[row]),
            test_top1=float(self.test_correct[row]) / self.test_images,
            test_images=self.test_images,
            **curves,
        )
