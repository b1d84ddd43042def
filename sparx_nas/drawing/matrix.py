"""Draw a wiring as matrices, one a stage: rows are readers, columns the layers before them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import INPUT, ConnectivityGraph, layer_name, measures
from sparx_nas.drawing.difference import difference_words
from sparx_nas.drawing.markup import Markup, tag, text
from sparx_nas.drawing.paint import LAYERS, Sample, known, sheet, symbol
from sparx_nas.drawing.wiring import TITLE, edges_from_end
from sparx_nas.space.fields import USUAL_TARGET

WIDE = 620.0
"""Matrices wrap into rows of this width in px, and cells shrink to it where one alone is wider."""
CELL = (11.0, 18.0)
LEFT, HEADING, FOOT = 34.0, 24.0, 34.0
"""Room of a matrix for the rows' labels, its title, and the columns' labels."""
NARROWEST = 96.0
"""So wide is a matrix at least, for its title."""
GAP = 20.0
NO_STAGE = -1
"""The depth of a stage that one architecture lacks: not even its input is there."""
SYMBOL = 0.62
HALVES = ("sx-removed", "sx-added")
"""Looks of a half cell that only A, or only the other one, has."""


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Where the matrix of one stage stands: the corner of its first cell, and the depths."""

    stage: int
    depths: tuple[int, ...]
    x: float
    y: float
    cell: float

    @property
    def deepest(self) -> int:
        """Rows and columns."""
        return max(self.depths)

    def corner(self, reader: int, source: int) -> tuple[float, float]:
        """Return the upper left corner of a cell; both count back from the stage's last layer."""
        row, column = self.deepest - 1 - reader, self.deepest - source
        return self.x + column * self.cell, self.y + row * self.cell


def matrix_svg(
    a: Architecture,
    *,
    vs: Architecture | None = None,
    ids: str = "",
    title: str = "",
    standalone: bool = True,
    target: Mapping[str, int] = USUAL_TARGET,
) -> Markup:
    """Draw the edges an architecture has and could have; with `vs`, of both, matched from the end.

    Every possible edge of `a` is an element with `data-source`, `data-target` and `data-edge`, 1
    where it is there and 0 where it is not; with `vs` also `data-vs`. Where `vs` is deeper, its
    further cells carry `data-vs` alone.
    """
    graphs = [a.graph] if vs is None else [a.graph, vs.graph]
    blocks, size = _blocks(graphs, TITLE if standalone and title else 0.0)
    return sheet(
        [_matrix(graphs, block) for block in blocks],
        size,
        legend_samples(versus=vs is not None) if standalone else None,
        title=title,
        id=ids or None,
        class_="sx sx-wiring sx-matrix",
        aria_label=_summary(a, vs, title, target),
        data_wiring=a.graph.id,
    )


def _summary(
    a: Architecture, vs: Architecture | None, title: str, target: Mapping[str, int]
) -> str:
    """Say in words what the matrices show; costs are those at the target."""
    m, lead = measures(a.graph), f"{title}: matrices" if title else "Matrices"
    rows = "; ".join(f"{name} reads {', '.join(row)}" for name, row in a.graph.ganglia.items())
    said = (
        f"{lead} of {len(a.graph.stages)} stages, {m.edges} aggregated edges, {m.density:.0%} of "
        f"those possible. {rows or 'No layer aggregates'}."
    )
    return said if vs is None else f"{said} Against it: {difference_words(a, vs, target)}."


def _blocks(
    graphs: list[ConnectivityGraph], top: float
) -> tuple[list[_Block], tuple[float, float]]:
    """Place the matrices side by side, wrapped into rows; return them and the size of all."""
    depths = list(zip_longest(*(graph.depths for graph in graphs), fillvalue=NO_STAGE))
    deepest = max(map(max, depths))
    cell = min(CELL[1], max(CELL[0], (WIDE - LEFT) / deepest))
    blocks: list[_Block] = []
    x, y, tall, wide = 0.0, top, 0.0, 0.0
    for stage, pair in enumerate(depths):
        width = max(NARROWEST, LEFT + max(pair) * cell)
        if x and x + width > WIDE:
            x, y, tall = 0.0, y + tall, 0.0
        blocks.append(_Block(stage=stage, depths=tuple(pair), x=x + LEFT, y=y + HEADING, cell=cell))
        wide, x = max(wide, x + width), x + width + GAP
        tall = max(tall, HEADING + max(pair) * cell + FOOT)
    return blocks, (wide, y + tall)


def _matrix(graphs: list[ConnectivityGraph], block: _Block) -> Markup:
    """Draw the matrix of one stage: title, cells, labels."""
    edges = [edges_from_end(graph) for graph in graphs]
    words = f"Stage {block.stage + 1}" + ("" if block.deepest else ", no layers")
    title = tag("text", text(words), x=block.x - LEFT, y=block.y - 9, class_="sx-stage")
    cells = (
        _cell(block, reader, source, [(block.stage, reader, source) in found for found in edges])
        for reader in range(block.deepest)
        for source in range(reader + 1, block.deepest + 1)
    )
    return tag("g", title, *cells, *_labels(graphs, block))


def _cell(block: _Block, reader: int, source: int, there: list[bool]) -> Markup:
    """Draw the cell of one possible edge."""
    x, y = block.corner(reader, source)
    first = block.depths[0]
    possible = source <= first
    return tag(
        "g",
        tag("title", text(_cell_words(block, reader, source, there))),
        *_square(x, y, block.cell, there),
        *([_dot(x, y, block.cell)] if source == reader + 1 else []),
        class_="sx-possible" if possible else "sx-beyond",
        data_source=layer_name(block.stage, first - source) if possible else None,
        data_target=layer_name(block.stage, first - reader) if possible else None,
        data_edge=int(there[0]) if possible else None,
        data_vs=int(there[1]) if len(there) == 2 else None,
    )


def _square(x: float, y: float, cell: float, there: list[bool]) -> Iterator[Markup]:
    """Draw a cell by whether the edge is there; split where two architectures are compared."""
    side = cell - 1.5
    box = {"x": x + 0.75, "y": y + 0.75, "width": side, "height": side, "rx": 1.5}
    filled = " sx-filled" if there == [True] else ""
    yield tag("rect", **box, class_=f"sx-cell{filled}")
    for half in (0, 1) if len(there) == 2 else ():
        if there[half]:
            yield _half(half, x, y, cell, "sx-same" if all(there) else HALVES[half])


def _dot(x: float, y: float, cell: float) -> Markup:
    """Mark the cell of the layer whose output is the row's stream."""
    return tag("circle", cx=x + cell / 2, cy=y + cell / 2, r=cell / 6, class_="sx-dot")


def _half(side: int, x: float, y: float, cell: float, look: str) -> Markup:
    """Draw the upper left half of a cell (side 0), or the lower right one."""
    low, high = 1.0, cell - 1.0
    corner = (low, low) if side == 0 else (high, high)
    points = [(low, high), corner, (high, low)]
    drawn = " ".join(f"{x + dx:.2f},{y + dy:.2f}" for dx, dy in points)
    return tag("polygon", points=drawn, class_=f"sx-half {look}")


def _cell_words(block: _Block, reader: int, source: int, there: list[bool]) -> str:
    """Say what a cell stands for and whether the edge is there, a line for each architecture."""
    lines = []
    for letter, depth, is_there in zip("AB", block.depths, there, strict=False):
        lead = f"{letter}: " if len(there) == 2 else ""
        if source > depth:
            lines.append(f"{lead}has no such layers")
            continue
        names = [layer_name(block.stage, depth - back) for back in (reader, source)]
        stream = "; the stream comes from there" if source == reader + 1 else ""
        verb = "reads" if is_there else "does not read"
        lines.append(f"{lead}{names[0]} {verb} {names[1]}{stream}")
    return "\n".join(lines)


def _labels(graphs: list[ConnectivityGraph], block: _Block) -> Iterator[Markup]:
    """Write the numbers of rows and columns: of both where depths differ, with symbols for one."""
    stage = graphs[0].stages[block.stage] if len(graphs) == 1 else None
    bottom = block.y + block.deepest * block.cell
    for back in range(block.deepest + 1):
        layers = [depth - back for depth in dict.fromkeys(block.depths)]
        numbers = [_number(layer) for layer in layers]
        kind = stage.kind(layers[0]) if stage else None
        if back < block.deepest:
            y = block.corner(back, back + 1)[1] + block.cell / 2
            room = 17 if kind else 5
            said = text("|".join(numbers))
            yield tag("text", said, x=block.x - room, y=y + 3.5, class_="sx-row")
            if kind:
                yield symbol(kind, block.x - 8, y, SYMBOL)
        if back:
            x = block.corner(0, back)[0] + block.cell / 2
            for line, number in enumerate(numbers):
                place = bottom + 11 + 11 * line
                yield tag("text", text(number), x=x, y=place, class_="sx-number")
            if kind:
                yield symbol(kind, x, bottom + 21, SYMBOL)


def _number(layer: int) -> str:
    """Write a layer's number; there is none before the stage's input."""
    if layer == INPUT:
        return "in"
    return str(layer) if layer > INPUT else "-"


def legend_samples(*, versus: bool = False) -> dict[str, Sample]:
    """Return the samples that explain the matrices, by their words."""
    halves = {"only in A": (True, False), "only in B": (False, True), "in both": (True, True)}
    shown = halves if versus else {"the row reads the column": (True,)}
    cells: dict[str, Sample] = {
        said: partial(_sample, there, False) for said, there in shown.items()
    }
    cells["not read"] = partial(_sample, (False,), False)
    cells["where the row's stream comes from"] = partial(_sample, (False,), True)
    return cells if versus else known(*LAYERS) | cells


def _sample(there: tuple[bool, ...], stream: bool, x: float, y: float) -> Markup:
    """Draw one cell around a point."""
    dot = [_dot(x - 8, y - 8, 16.0)] if stream else []
    return tag("g", *_square(x - 8, y - 8, 16.0, list(there)), *dot)
