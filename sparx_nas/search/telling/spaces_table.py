"""What `--list-spaces` prints: each space with its size and what its baselines cost."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sparx_nas.cost import CostEstimate
from sparx_nas.ground.errors import SpaceError
from sparx_nas.ground.quantities import si
from sparx_nas.search.telling.wording import WIDTH
from sparx_nas.space import SpaceInfo, load_space

COUNTABLE = 10**6
"""From so many designs on, only their order of magnitude is of use."""
HEADS = ("space", "designs", "params", "MACs")
LEGEND = (
    "designs: distinct architectures, limits aside. Costs: the sparx baseline's at the target, in "
    "brackets from plain to dense. --space NAME --explain says more."
)


@dataclass(frozen=True)
class Listed:
    """A space of the list; `distinct` is None and `costs` empty where its file has mistakes."""

    info: SpaceInfo
    distinct: int | None
    costs: Mapping[str, CostEstimate]


def listed(spaces: Sequence[SpaceInfo]) -> list[Listed]:
    """Read the spaces and cost their baselines; some hundredths of a second for each."""
    return [_listed(info) for info in spaces]


def spaces_text(spaces: Sequence[SpaceInfo]) -> str:
    """List spaces in a table of 80 columns, one's own with their place."""
    if not spaces:
        return "no spaces; give the path of a YAML file with --space\n"
    rows = [(entry.info, _cells(entry)) for entry in listed(spaces)]
    widths = [max(len(head), *(len(cells[i]) for _, cells in rows)) for i, head in enumerate(HEADS)]
    lines = [_row(HEADS, widths)]
    for info, cells in rows:
        about = info.about + (f" ({info.path})" if info.source == "yours" else "")
        lines.append(_row(cells, widths))
        lines += textwrap.wrap(about, WIDTH, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([*lines, "", *textwrap.wrap(LEGEND, WIDTH)]) + "\n"


def spaces_json(spaces: Sequence[SpaceInfo]) -> str:
    """List spaces for machines."""
    value = [
        asdict(entry.info)
        | {"path": str(entry.info.path), "distinct": entry.distinct}
        | {"baselines": {name: cost.to_dict() for name, cost in entry.costs.items()}}
        for entry in listed(spaces)
    ]
    return json.dumps(value, indent=2) + "\n"


def _listed(info: SpaceInfo) -> Listed:
    """Read one space, if it can be read."""
    try:
        space = load_space(info.path)
    except SpaceError:
        return Listed(info, None, {})
    costs = {name: space.cost(a) for name, a in space.baselines.items()}
    return Listed(info, space.distinct()[0], costs)


def _cells(entry: Listed) -> tuple[str, ...]:
    """Return the columns of a space."""
    if entry.distinct is None:
        return entry.info.name, "-", "-", "-"
    many = entry.distinct >= COUNTABLE
    size = f"10^{len(str(entry.distinct)) - 1}" if many else f"{entry.distinct:,}"
    return entry.info.name, size, _cost(entry.costs, "params"), _cost(entry.costs, "macs")


def _cost(costs: Mapping[str, CostEstimate], measure: str) -> str:
    """Write a cost of the published design, and its range from plain to dense."""
    sparx, plain, dense = (si(getattr(costs[n], measure)) for n in ("sparx", "plain", "dense"))
    return f"{sparx} ({plain} - {dense})"


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Lay cells out, the name on the left, numbers on the right."""
    first, *rest = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *rest]).rstrip()
