"""A search space cut down to the designs of a table, at the table's costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from random import Random
from typing import Any

from sparx_nas.architecture import Architecture
from sparx_nas.cost import CostEstimate
from sparx_nas.ground.errors import SpaceError
from sparx_nas.space import SearchSpace
from sparx_nas.space.search_space import ENUMERABLE
from sparx_nas.space.stage import Genotype
from sparx_nas.trial.table import Table, TableError


@dataclass(frozen=True, kw_only=True, eq=False)
class TabledSpace(SearchSpace):
    """The space of a table; a genotype of any other design is no choice of it.

    A proposal that means such a design is told as failed, which no sampler learns from, and the
    sampler is asked again.
    """

    table: Table
    _decoded: dict[frozenset[tuple[str, Any]], Architecture] = field(default_factory=dict)
    """Designs of the table by genotype: simulated searches ask for the same ones all the time."""

    def decode(self, genotype: Genotype) -> Architecture:
        """Return the architecture that a full genotype means.

        Raises: SpaceError if it is not in the table, or as `SearchSpace.decode`.
        """
        key = frozenset(genotype.items())
        if key not in self._decoded:
            design = super().decode(genotype)
            if design not in self.table:
                raise SpaceError(f"{design.id} is not in the table of {self.name}")
            self._decoded[key] = self.table.designs[self.table.place(design)]
        return self._decoded[key]

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


@lru_cache(maxsize=4)
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
