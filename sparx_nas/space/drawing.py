"""Draw a wiring as text: a lane for each stage, and under it what each ganglion reads."""

import textwrap

from sparx_nas.architecture.graph import ConnectivityGraph, StageGraph, layer_name

WIDTH = 80
MARGIN = 9
DEEPEST_LANE = 24
"""Layers that fit on a lane of `WIDTH` columns with numbers of two digits."""

INPUT_MARK, NORMAL, GANGLION = "▷", "○", "■"
LEGEND = f"{INPUT_MARK} stage's input   {NORMAL} normal   {GANGLION} ganglion   ╰─┴─▲ what it reads"


def draw(graph: ConnectivityGraph) -> str:
    """Draw a wiring in at most 80 columns; a deeper stage than fits is written as a list."""
    return "\n".join(line.rstrip() for i in range(len(graph.stages)) for line in _stage(graph, i))


def _stage(graph: ConnectivityGraph, index: int) -> list[str]:
    """Draw one stage."""
    stage = graph.stages[index]
    title = f"stage {index + 1}"
    if stage.depth > DEEPEST_LANE:
        return _listed(stage, index, title)
    step = 5 if stage.depth <= 12 else (WIDTH - MARGIN - 2) // stage.depth
    marks = {"input": INPUT_MARK, "normal": NORMAL, "ganglion": GANGLION}
    nodes = [marks[stage.kind(layer)] for layer in range(stage.depth + 1)]
    numbers = "".join(str(layer).ljust(step) for layer in range(1, stage.depth + 1))
    lines = [
        " " * (MARGIN + step) + numbers,
        title.ljust(MARGIN) + ("─" * (step - 1)).join(nodes),
    ]
    for layer in stage.ganglia:
        name = layer_name(index, layer).rjust(MARGIN - 2)
        lines.append(f"{name}  {_arc(stage.sources[layer - 1], layer, step)}")
    return lines


def _arc(sources: tuple[int, ...], reader: int, step: int) -> str:
    """Draw a line from the oldest source to the reader, with a tick under every other source."""
    columns = [" "] * (sources[0] * step) + ["─"] * ((reader - sources[0]) * step)
    for source in sources:
        columns[source * step] = "┴"
    columns[sources[0] * step] = "╰"
    return "".join(columns) + "▲"


def _listed(stage: StageGraph, index: int, title: str) -> list[str]:
    """Write a stage that no lane can hold."""
    ganglia = len(stage.ganglia)
    head = f"{title.ljust(MARGIN)}{stage.depth} layers, {ganglia} of them ganglia, which read"
    lines = [head if ganglia else f"{title.ljust(MARGIN)}{stage.depth} layers, none a ganglion"]
    for layer in stage.ganglia:
        names = ", ".join(layer_name(index, source) for source in stage.sources[layer - 1])
        lines += textwrap.wrap(
            names,
            WIDTH,
            initial_indent=f"{layer_name(index, layer).rjust(MARGIN - 2)}  ",
            subsequent_indent=" " * MARGIN,
        )
    return lines
