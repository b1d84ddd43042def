"""A `SearchSpace`: which architectures may be tried, as genes, and within which limits."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.cost import CostEstimate, estimate
from sparx_nas.ground.errors import NoFeasibleError, SpaceError
from sparx_nas.ground.quantities import si
from sparx_nas.ground.record import content_id
from sparx_nas.ground.tree import Scalar
from sparx_nas.space.free import FreeStage
from sparx_nas.space.published import PublishedStage
from sparx_nas.space.stage import Dropped, Gene, Genotype, StageDesign

DRAWS = 1000
"""How many random candidates `sample` costs before it gives up on the limits."""

ENUMERABLE = 20_000

StageSpace = PublishedStage | FreeStage
"""The choices of one stage."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchSpace:
    """The meaning of one space file.

    `path` says where the file was read, `source_text` what it said. `settings` are the arguments
    of `Architecture` that all candidates share. `limits` are largest counts at the `target`
    (`image_size` in pixels, `num_classes`, `in_chans`); `proxy` holds training defaults, as read.
    """

    name: str
    about: str
    path: str
    source_text: str
    wiring: str
    stages: tuple[StageSpace, ...]
    settings: Mapping[str, Any]
    limits: Mapping[str, int]
    target: Mapping[str, int]
    proxy: Mapping[str, Scalar]
    baselines: dict[str, Architecture]

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """All decisions, in order; the same for every candidate."""
        return tuple(gene for stage in self.stages for gene in stage.genes)

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """What the file offers and what can change nothing."""
        return tuple(dropped for stage in self.stages for dropped in stage.dropped)

    @property
    def backbone(self) -> str:
        """The kind of block, which all candidates share."""
        return str(self.settings["backbone"])

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over what decides which candidates there are and how they are judged.

        Comments, the proxy's training defaults and choices that can change nothing do not count.
        """
        return content_id(
            {
                "wiring": self.wiring,
                "stages": [stage.meaning for stage in self.stages],
                "settings": self.corners()[-1].id,
                "baselines": {name: a.id for name, a in self.baselines.items()},
                "limits": dict(self.limits),
                "target": dict(self.target),
            }
        )

    def decode(self, genotype: Genotype) -> Architecture:
        """Return the architecture that a full genotype means; idle genes may hold any choice.

        Raises: SpaceError naming every gene that is missing, unknown, or no choice.
        """
        return self._architecture(self._designs(genotype))

    def canonical(self, genotype: Genotype) -> dict[str, Scalar]:
        """Return the one genotype that stands for all that mean the same architecture.

        Raises: SpaceError as `decode` does.
        """
        written = self._written(self._designs(genotype))
        assert written is not None, "a decoded stage has genes"
        return written

    def encode(self, architecture: Architecture) -> dict[str, Scalar] | None:
        """Return the canonical genotype of an architecture, or None where it is a guest here."""
        if len(architecture.graph.stages) != len(self.stages):
            return None
        parts = zip(
            architecture.widths,
            architecture.graph.stages,
            architecture.stage_inputs,
            strict=True,
        )
        written = self._written(tuple(StageDesign(*part) for part in parts))
        if written is None or self.decode(written).id != architecture.id:
            return None
        return written

    def sample(self, seed: int) -> Architecture:
        """Draw an architecture within the limits, every gene uniform; equal seeds, equal draws.

        Raises: NoFeasibleError with the costs seen if none of `DRAWS` draws is within the limits.
        """
        seen: list[Mapping[str, Any]] = []
        for candidate in self.draws(DRAWS, int(seed)):
            cost = self.cost(candidate).to_dict()
            if not self.violations(cost):
                return candidate
            seen.append(cost)
        ranges = ", ".join(
            f"{name} {si(min(c[name] for c in seen))} to {si(max(c[name] for c in seen))} "
            f"(limit {si(limit)})"
            for name, limit in self.limits.items()
        )
        raise NoFeasibleError(
            f"none of {DRAWS} random candidates of {self.name} is within its limits: {ranges}",
            hint=f"raise the limits in {self.path}, or choose smaller widths and depths",
        )

    def draws(self, count: int, seed: int) -> Iterator[Architecture]:
        """Draw candidates, every gene uniform, limits aside; equal seeds, equal draws."""
        choose = random.Random(seed).choice
        for _ in range(count):
            yield self.decode({gene.name: choose(gene.choices) for gene in self.genes})

    def cost(self, architecture: Architecture) -> CostEstimate:
        """Count an architecture at the target: full width, target resolution."""
        return estimate(architecture, **self.target)

    def violations(self, cost: Mapping[str, Any]) -> tuple[str, ...]:
        """Say which limits a cost (`CostEstimate.to_dict`) breaks: `params 33.1 M > 32 M`."""
        return over(cost, self.limits)

    def genotypes(self) -> int:
        """Count the combinations of genes."""
        return prod(len(gene.choices) for gene in self.genes)

    def distinct(self) -> tuple[int, bool]:
        """Count the distinct architectures, limits aside, and tell whether the count is exact.

        It is, for both wirings: stages are independent, so their exact counts multiply.
        """
        return prod(stage.distinct() for stage in self.stages), True

    def enumerate(self, limit: int = ENUMERABLE) -> list[Architecture] | None:
        """List every distinct architecture, limits aside; None where there are more than `limit`.

        About 0.1 ms for each.
        """
        if self.distinct()[0] > limit:
            return None
        stages = [tuple(stage.designs()) for stage in self.stages]
        return [self._architecture(designs) for designs in product(*stages)]

    def corners(self) -> list[Architecture]:
        """List the combinations of each stage's smallest and largest design."""
        pairs = [dict.fromkeys(stage.corners()) for stage in self.stages]
        return [self._architecture(designs) for designs in product(*pairs)]

    def _designs(self, genotype: Genotype) -> tuple[StageDesign, ...]:
        """Decode stage by stage.

        Raises: SpaceError naming every gene that is missing, unknown, or no choice.
        """
        mistakes = [
            f"gene {gene.name} is {genotype.get(gene.name)!r}; it is one of "
            + ", ".join(str(choice) for choice in gene.choices)
            for gene in self.genes
            if genotype.get(gene.name) not in gene.choices
        ]
        names = {gene.name for gene in self.genes}
        mistakes += [f"there is no gene {name}" for name in genotype if name not in names]
        if mistakes:
            raise SpaceError.of(f"genotype of {self.name}", mistakes)
        return tuple(stage.decode(genotype) for stage in self.stages)

    def _written(self, designs: tuple[StageDesign, ...]) -> dict[str, Scalar] | None:
        """Write designs as canonical genes; None where a stage cannot be its design."""
        out: dict[str, Scalar] = {}
        for stage, design in zip(self.stages, designs, strict=True):
            genes = stage.encode(design)
            if genes is None:
                return None
            out |= genes
        return out

    def _architecture(self, designs: tuple[StageDesign, ...]) -> Architecture:
        """Put stages together."""
        return assemble(designs, self.settings)


def assemble(designs: tuple[StageDesign, ...], settings: Mapping[str, Any]) -> Architecture:
    """Put finished stages and the settings they share together."""
    return Architecture(
        graph=ConnectivityGraph(tuple(design.graph for design in designs)),
        widths=tuple(design.width for design in designs),
        stage_inputs=tuple(design.stage_input for design in designs),
        **settings,
    )


def over(cost: Mapping[str, Any], limits: Mapping[str, int]) -> tuple[str, ...]:
    """Say which limits a cost breaks: `params 33.1 M > 32 M`."""
    return tuple(
        f"{name} {_over(cost[name], limit)}" for name, limit in limits.items() if cost[name] > limit
    )


def _over(value: float, limit: float) -> str:
    """Return `33.1 M > 32 M`, in full digits where rounding would hide the difference."""
    if si(value) == si(limit):
        return f"{value:,} > {limit:,}"
    return f"{si(value)} > {si(limit)}"
