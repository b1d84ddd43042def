"""What the two families of stages share: genes, what was left out, and a finished stage."""

from collections.abc import Mapping
from dataclasses import dataclass

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
