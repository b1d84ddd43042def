"""A stage of the free family: a gene for each layer (ganglion or not) and each admissible edge."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from sparx_nas.architecture.graph import INPUT, StageGraph, layer_name
from sparx_nas.architecture.patterns import StageInput
from sparx_nas.ground.tree import Scalar
from sparx_nas.space.stage import Dropped, Gene, Genotype, StageDesign

OFF_ON = (0, 1)


class FreeStage:
    """All wirings of one stage; `number` counts stages from 1.

    A ganglion whose edge genes are all 0 reads the layer before it. Canonical: edges of normal
    layers and genes of layers beyond the depth are 0, and that fallback edge is 1.
    """

    def __init__(
        self, number: int, choices: Mapping[str, tuple[Scalar, ...]], *, ganglia: bool
    ) -> None:
        """List the genes; without `ganglia` the stage stays plain."""
        self._number = number
        self._ganglia = ganglia
        self._choices: dict[str, tuple[Any, ...]] = dict(choices)
        self.dropped: tuple[Dropped, ...] = ()
        deepest = max(self._choices["depth"])
        if len(choices["stage_input"]) > 1 and (not ganglia or deepest == 1):
            self._choices["stage_input"] = choices["stage_input"][:1]
            self.dropped = (Dropped(self._own("stage_input"), "no layer reads it beside another"),)
        genes = [Gene(self._own(name), v) for name, v in self._choices.items() if len(v) > 1]
        for layer in range(1, deepest + 1) if ganglia else ():
            genes.append(Gene(self._ganglion(layer), OFF_ON))
            genes += [Gene(self._edge(layer, s), OFF_ON) for s in range(layer) if layer > 1]
        if ganglia:
            reason = "is all that the first layer can read"
            self.dropped = (*self.dropped, Dropped(self._edge(1, INPUT), reason))
        self.genes = tuple(genes)

    @property
    def meaning(self) -> object:
        """Return the choices that matter."""
        return {name: list(v) for name, v in self._choices.items()} | {"ganglia": self._ganglia}

    def decode(self, genotype: Genotype) -> StageDesign:
        """Build the design of a full genotype."""
        picked = {
            name: genotype.get(self._own(name), values[0]) for name, values in self._choices.items()
        }
        rows: list[tuple[int, ...]] = []
        for layer in range(1, int(picked["depth"]) + 1):
            edges = tuple(s for s in range(layer) if genotype.get(self._edge(layer, s)))
            ganglion = genotype.get(self._ganglion(layer))
            rows.append((edges or (layer - 1,)) if ganglion else ())
        place: StageInput = "window" if picked["stage_input"] == "window" else "first"
        return StageDesign(int(picked["width"]), StageGraph(tuple(rows)), place)

    def encode(self, design: StageDesign) -> dict[str, Scalar] | None:
        """Write a design as canonical genes."""
        picked: dict[str, Scalar] = {"depth": design.graph.depth, "width": design.width}
        picked["stage_input"] = self._choices["stage_input"][0]
        for place in self._choices["stage_input"]:
            if StageDesign(design.width, design.graph, place) == design:
                picked["stage_input"] = place
                break
        written: dict[str, Scalar] = {self._own(name): value for name, value in picked.items()}
        for layer in design.graph.ganglia:
            written[self._ganglion(layer)] = 1
            written |= {self._edge(layer, s): 1 for s in design.graph.sources[layer - 1]}
        genotype = {gene.name: written.get(gene.name, 0) for gene in self.genes}
        known = all(genotype[gene.name] in gene.choices for gene in self.genes)
        return genotype if known and self.decode(genotype) == design else None

    def distinct(self) -> int:
        """Count the designs by layers: layer j is normal or reads a set of the j before it."""
        ways = 0
        for depth in self._choices["depth"]:
            wirings = 2 ** (depth * (depth + 1) // 2) if self._ganglia else 1
            ways += wirings
            if len(self._choices["stage_input"]) > 1:
                ways += wirings - _unmixed(depth)
        return ways * len(self._choices["width"])

    def designs(self) -> Iterator[StageDesign]:
        """Go through all designs; their number doubles with every edge."""
        for width, depth in product(self._choices["width"], self._choices["depth"]):
            for graph in _wirings(depth) if self._ganglia else iter([StageGraph(((),) * depth)]):
                places = (StageDesign(width, graph, p) for p in self._choices["stage_input"])
                yield from dict.fromkeys(places)

    def corners(self) -> tuple[StageDesign, StageDesign]:
        """Return the plain stage of least depth and width, and the full one of most."""
        low, high = min(self._choices["depth"]), max(self._choices["depth"])
        full = tuple(tuple(range(layer)) if self._ganglia else () for layer in range(1, high + 1))
        place = self._choices["stage_input"][0]
        return (
            StageDesign(min(self._choices["width"]), StageGraph(((),) * low), place),
            StageDesign(max(self._choices["width"]), StageGraph(full), place),
        )

    def _own(self, name: str) -> str:
        """Return the name of a gene of the whole stage."""
        return f"s{self._number}.{name}"

    def _ganglion(self, layer: int) -> str:
        """Return the name of the gene that makes a layer a ganglion."""
        return f"{layer_name(self._number - 1, layer)}.ganglion"

    def _edge(self, layer: int, source: int) -> str:
        """Return the name of the gene of one edge."""
        stage = self._number - 1
        return f"{layer_name(stage, layer)}<-{layer_name(stage, source)}"


def _wirings(depth: int) -> Iterator[StageGraph]:
    """Go through all wirings of a depth."""
    rows = [
        [tuple(s for s in range(layer) if bits >> s & 1) for bits in range(2**layer)]
        for layer in range(1, depth + 1)
    ]
    return (StageGraph(sources) for sources in product(*rows))


def _unmixed(depth: int) -> int:
    """Count the wirings in which no ganglion reads the stage's input beside a normal layer."""
    by_normals = {0: 1}
    for earlier in range(depth):
        after: dict[int, int] = {}
        for normals, ways in by_normals.items():
            mixing = (2**normals - 1) * 2 ** (earlier - normals)
            rows = 2 ** (earlier + 1) - 1 - mixing
            after[normals] = after.get(normals, 0) + ways * rows
            after[normals + 1] = after.get(normals + 1, 0) + ways
        by_normals = after
    return sum(by_normals.values())
