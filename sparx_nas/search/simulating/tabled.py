"""A search space cut down to the designs of a table, at the table's costs, and samplers in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from sparx_nas.architecture import Architecture
from sparx_nas.cost import CostEstimate
from sparx_nas.ground.errors import SpaceError
from sparx_nas.search.proposing.sampler import PinningSampler
from sparx_nas.space import SearchSpace
from sparx_nas.space.search_space import ENUMERABLE
from sparx_nas.space.stage import Genotype
from sparx_nas.table import Table, TableError

TRIES = 50
"""Draws in a row that the table has not, before the last one is handed on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TabledSpace(SearchSpace):
    """The space of a table; a genotype of any other design is no choice of it.

    A proposal that means such a design is told as failed, which no sampler learns from.
    """

    table: Table

    def holds(self, genotype: Genotype) -> bool:
        """Tell whether what a full genotype means is in the table."""
        return super().decode(genotype) in self.table

    def decode(self, genotype: Genotype) -> Architecture:
        """Return the architecture that a full genotype means.

        Raises: SpaceError if it is not in the table, or as `SearchSpace.decode`.
        """
        design = super().decode(genotype)
        if design not in self.table:
            raise SpaceError(f"{design.id} is not in the table of {self.name}")
        return design

    def cost(self, architecture: Architecture) -> CostEstimate:
        """Return what the table says that a design costs."""
        place = self.table.place(architecture)
        known = {name: int(values[place]) for name, values in self.table.costs.items()}
        return CostEstimate(**known, weight_bytes=4 * known["params"], macs_by_operator={})

    def draws(self, count: int, seed: int) -> Iterator[Architecture]:
        """Draw designs of the table; equal seeds, equal draws."""
        return iter(Random(seed).choices(self.table.designs, k=count))

    def distinct(self) -> tuple[int, bool]:
        """Count the designs."""
        return len(self.table.designs), True

    def enumerate(self, limit: int = ENUMERABLE) -> list[Architecture] | None:
        """List the designs; None where there are more than `limit`."""
        return list(self.table.designs) if len(self.table.designs) <= limit else None


class TabledSampler(PinningSampler):
    """Draws from another sampler until the table has what is drawn, or it was tried often."""

    def __init__(self, inner: BaseSampler, space: TabledSpace) -> None:
        super().__init__(inner, space)
        self.tabled = space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw a full genotype and return its canonical spelling."""
        for _ in range(TRIES):
            drawn = super().sample_relative(study, trial, search_space)
            if self.tabled.holds(drawn):
                break
        return drawn


def tabled(space: SearchSpace, table: Table) -> TabledSpace:
    """Cut a space down to a table of it.

    Raises: TableError if the table is one of another space, or lacks a baseline.
    """
    about: Mapping[str, Any] = table.about
    if about["fingerprint"] != space.fingerprint:
        raise TableError(
            f"the table of {table.name} was made of another space (hash {about['fingerprint']}; "
            f"{space.name} has {space.fingerprint})",
            hint="the space file has changed since; the table's own version of it fits",
        )
    lacking = [name for name, design in space.baselines.items() if design not in table]
    if lacking:
        raise TableError(f"the table of {table.name} lacks baselines: {', '.join(lacking)}")
    own = {field.name: getattr(space, field.name) for field in fields(SearchSpace)}
    return TabledSpace(**own, table=table)
