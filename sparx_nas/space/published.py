"""A stage of the published family: stride, start, window and density, tabulated in full.

A few hundred combinations of choices make a stage, many of them the same stage; the table of all
is what finds choices that never matter and one canonical spelling of each design.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any

from sparx_nas.architecture.patterns import plain_stage, sparx_stage, thin_stage
from sparx_nas.ground.tree import Scalar
from sparx_nas.space.fields import NO_START, NO_WINDOW
from sparx_nas.space.stage import Dropped, Gene, Genotype, StageDesign

LARGEST_TABLE = 50_000
"""Combinations of one stage that are tabulated; about two seconds."""

Values = tuple[Scalar, ...]


def published_design(values: Mapping[str, Any]) -> StageDesign:
    """Build a stage from the fields of a space file, in which layers count from 1."""
    depth, place = values["depth"], values["stage_input"]
    graph = plain_stage(depth)
    if values["start"] != NO_START:
        window = None if values["window"] == NO_WINDOW else values["window"]
        start = values["start"] - 1
        graph = sparx_stage(
            depth, stride=values["stride"], start=start, window=window, stage_input=place
        )
        graph = thin_stage(graph, values["density"], values["keep"])
    return StageDesign(values["width"], graph, place)


class PublishedStage:
    """The table of one stage of the published family; `number` counts stages from 1.

    Its canonical genes are the first, in the order of the file, of all that mean the same design.
    """

    def __init__(self, number: int, choices: Mapping[str, Values]) -> None:
        """Tabulate all combinations; at most `LARGEST_TABLE`, which the reader sees to."""
        names = tuple(choices)
        table = {
            values: published_design(dict(zip(names, values, strict=True)))
            for values in product(*choices.values())
        }
        kept, self.dropped = _without_idle(number, choices, table)
        self._kept = kept
        self._names = tuple(f"s{number}.{name}" for name in names)
        self._table = {values: table[values] for values in product(*kept.values())}
        self._canonical: dict[StageDesign, Values] = {}
        for values, design in self._table.items():
            self._canonical.setdefault(design, values)
        self.genes = tuple(
            Gene(name, values)
            for name, values in zip(self._names, kept.values(), strict=True)
            if len(values) > 1
        )

    @property
    def meaning(self) -> object:
        """Return the choices that matter."""
        return {name: list(values) for name, values in self._kept.items()}

    def decode(self, genotype: Genotype) -> StageDesign:
        """Look up the design of a full genotype."""
        fixed = [values[0] for values in self._kept.values()]
        named = zip(self._names, fixed, strict=True)
        return self._table[tuple(genotype.get(name, value) for name, value in named)]

    def encode(self, design: StageDesign) -> dict[str, Scalar] | None:
        """Look up the canonical genes of a design."""
        values = self._canonical.get(design)
        if values is None:
            return None
        genes = {gene.name for gene in self.genes}
        named = zip(self._names, values, strict=True)
        return {name: value for name, value in named if name in genes}

    def distinct(self) -> int:
        """Count the designs."""
        return len(self._canonical)

    def designs(self) -> Iterator[StageDesign]:
        """Go through the designs in the order of their canonical genes."""
        return iter(self._canonical)

    def corners(self) -> tuple[StageDesign, StageDesign]:
        """Return the designs with the least and the most of width, depth and edges."""

        def size(design: StageDesign) -> tuple[int, int, int]:
            edges = sum(len(row) for row in design.graph.sources)
            return design.width, design.graph.depth, edges

        return min(self._canonical, key=size), max(self._canonical, key=size)


def combinations(choices: Mapping[str, Values]) -> int:
    """Return how many rows the table of these choices would have."""
    return prod(len(values) for values in choices.values())


def _without_idle(
    number: int, choices: Mapping[str, Values], table: Mapping[Values, StageDesign]
) -> tuple[dict[str, Values], tuple[Dropped, ...]]:
    """Return, of choices that make the same stage whatever the others are, the first."""
    numbers = {design: i for i, design in enumerate(dict.fromkeys(table.values()))}
    same_as = {values: numbers[design] for values, design in table.items()}
    kept = dict(choices)
    dropped: list[Dropped] = []
    for position, (name, values) in enumerate(choices.items()):
        first: dict[tuple[int, ...], Scalar] = {}
        aliases: list[tuple[Scalar, Scalar]] = []
        for value in values:
            lists = [*kept.values()]
            lists[position] = (value,)
            outcome = tuple(same_as[row] for row in product(*lists))
            original = first.setdefault(outcome, value)
            if original != value:
                aliases.append((value, original))
        kept[name] = tuple(first.values())
        gene = f"s{number}.{name}"
        if aliases and len(first) == 1:
            dropped.append(Dropped(gene, "makes no difference, whatever its value"))
        else:
            reasons = (f"{value} always means the same as {same}" for value, same in aliases)
            dropped += [Dropped(gene, reason) for reason in reasons]
    return kept, tuple(dropped)
