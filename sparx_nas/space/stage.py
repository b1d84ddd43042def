"""What the two families of stages share: genes, what was left out, and a finished stage."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from sparx_nas.architecture.graph import StageGraph
from sparx_nas.architecture.patterns import StageInput
from sparx_nas.ground.tree import Scalar

Genotype = Mapping[str, Scalar]


@dataclass(frozen=True)
class Gene:
    """One decision of a candidate: `s3.stride`, or `3.4.ganglion` and `3.4<-3.1` in a free space.

    At least two choices, in the order of the file; for a yes-or-no gene they are 0 and 1.
    """

    name: str
    choices: tuple[Scalar, ...]


@dataclass(frozen=True)
class Dropped:
    """A gene, or some of its choices, that the file offers and that can change nothing."""

    name: str
    reason: str


@dataclass(frozen=True)
class StageDesign:
    """One stage of a candidate; equal designs are the same function.

    `stage_input` is "first" wherever its place in a context makes no difference.
    """

    width: int
    graph: StageGraph
    stage_input: StageInput

    def __post_init__(self) -> None:
        """Pin the place of the stage's input where it is idle."""
        if not self.graph.mixes_input:
            object.__setattr__(self, "stage_input", "first")


class StageSpace(Protocol):
    """The choices of one stage. Designs are enumerated without repetition."""

    genes: tuple[Gene, ...]
    dropped: tuple[Dropped, ...]

    @property
    def meaning(self) -> object:
        """Return what the stage's choices amount to, as a JSON value."""

    def decode(self, genotype: Genotype) -> StageDesign:
        """Return the stage that a full genotype of the space means."""

    def encode(self, design: StageDesign) -> dict[str, Scalar] | None:
        """Return the canonical genes of a design, or None where the stage cannot be it."""

    def distinct(self) -> int:
        """Return the exact number of designs."""

    def designs(self) -> Iterator[StageDesign]:
        """Go through all designs."""

    def corners(self) -> tuple[StageDesign, StageDesign]:
        """Return a smallest and a largest design."""
