"""Say what a space holds: how many architectures, at which costs, where the published ones lie."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparx_nas.architecture import Architecture
from sparx_nas.cost import CostEstimate
from sparx_nas.ground.quantities import percent, si
from sparx_nas.space.drawing import LEGEND, WIDTH, draw
from sparx_nas.space.search_space import SearchSpace, over
from sparx_nas.space.stage import Dropped, Gene

MEASURES = ("params", "macs", "activation_bytes")
DRAWS = 2000
DRAWN_BASELINE = "sparx"


@dataclass(frozen=True)
class CostRange:
    """The least and the most of a cost over the candidates looked at."""

    least: int
    most: int


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where a baseline lies: `below` is the share of candidates that cost less, by measure."""

    name: str
    architecture: Architecture
    cost: CostEstimate
    below: Mapping[str, float]
    violations: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What there is to know about a space before a search.

    `distinct` counts architectures before limits, exactly if `exact`. The ranges are over the
    `looked_at` candidates: all distinct ones if `complete`, otherwise random draws, the
    baselines, and the combinations of each stage's smallest and largest design. `feasible` is how
    many distinct architectures keep the `limits` (None unless `complete`), `feasible_share` that
    over all, or among the random draws alone.
    """

    space: SearchSpace
    limits: Mapping[str, int]
    genes: tuple[Gene, ...]
    dropped: tuple[Dropped, ...]
    genotypes: int
    distinct: int
    exact: bool
    complete: bool
    looked_at: int
    feasible: int | None
    feasible_share: float
    ranges: Mapping[str, CostRange]
    placed: tuple[Placed, ...]
    drawn: Mapping[str, Architecture]


def explain(
    space: SearchSpace, *, limits: Mapping[str, int] | None = None, seed: int = 0
) -> Explanation:
    """Look at all of a space, or at `DRAWS` random candidates of one that is too large.

    `limits` are those to judge by, where they are not the space's own.
    """
    kept = space.limits if limits is None else limits
    distinct, exact = space.distinct()
    everything = space.enumerate()
    candidates = space.draws(DRAWS, seed) if everything is None else everything
    costs = [space.cost(architecture) for architecture in candidates]
    feasible = sum(not over(cost.to_dict(), kept) for cost in costs)
    placed = tuple(_place(space, name, costs, kept) for name in space.baselines)
    extremes = [] if everything is not None else [space.cost(a) for a in space.corners()]
    seen = [*costs, *extremes, *(baseline.cost for baseline in placed)]
    return Explanation(
        space=space,
        limits=kept,
        genes=space.genes,
        dropped=space.dropped,
        genotypes=space.genotypes(),
        distinct=distinct,
        exact=exact,
        complete=everything is not None,
        looked_at=len(costs) if everything is not None else len(seen),
        feasible=feasible if everything is not None else None,
        feasible_share=feasible / len(costs),
        ranges={name: _range(name, seen) for name in dict.fromkeys((*MEASURES, *kept))},
        placed=placed,
        drawn=_drawn(space, seed),
    )


def render(explanation: Explanation) -> str:
    """Write an explanation for a terminal of 80 columns."""
    e = explanation
    blocks = [
        [f"{e.space.name}: {e.space.about}", f"{e.space.path}  ({e.space.fingerprint})"],
        _sizes(e),
        _genes(e),
        _costs(e),
        _table(e),
        ["Drawings", f"  {LEGEND}"],
    ]
    lines = [line for block in blocks for line in (*block, "")]
    for name, architecture in e.drawn.items():
        cost = e.space.cost(architecture)
        title = f"  {name}: {si(cost.params)} params, {si(cost.macs)} MACs, {architecture.id}"
        lines += [
            title,
            *(f"  {line}".rstrip() for line in draw(architecture.graph).split("\n")),
            "",
        ]
    return "\n".join(piece for line in lines for piece in _wrapped(line)).rstrip() + "\n"


def _place(
    space: SearchSpace, name: str, costs: Sequence[CostEstimate], limits: Mapping[str, int]
) -> Placed:
    """Rank a baseline among the costs of the candidates."""
    architecture = space.baselines[name]
    own = space.cost(architecture)
    below = {
        measure: sum(getattr(c, measure) < getattr(own, measure) for c in costs) / len(costs)
        for measure in MEASURES
    }
    return Placed(
        name=name,
        architecture=architecture,
        cost=own,
        below=below,
        violations=over(own.to_dict(), limits),
    )


def _drawn(space: SearchSpace, seed: int) -> dict[str, Architecture]:
    """Pick what to draw: the published design and two random candidates that are not it."""
    published = space.baselines[DRAWN_BASELINE]
    others = {a.id: a for a in space.draws(50, seed) if a.id != published.id}
    random = {f"random {i}": a for i, a in enumerate([*others.values()][:2], 1)}
    return {DRAWN_BASELINE: published} | random


def _range(measure: str, costs: Sequence[CostEstimate]) -> CostRange:
    """Return the least and the most of one measure."""
    values = [getattr(cost, measure) for cost in costs]
    return CostRange(min(values), max(values))


def _sizes(e: Explanation) -> list[str]:
    """Say how many candidates there are, and how many keep the limits."""
    lines = [
        "Size",
        f"  {_count(e.genotypes)} combinations of {len(e.genes)} genes",
        f"  {_count(e.distinct)} distinct architectures ({'exact' if e.exact else 'at most'})",
    ]
    if not e.limits:
        return [*lines, "  no limits"]
    limits = ", ".join(
        f"{name} at most {si(limit)}" + " (the space's)" * (e.space.limits.get(name) == limit)
        for name, limit in e.limits.items()
    )
    if e.feasible is None:
        kept = f"{percent(e.feasible_share)} of {DRAWS:,} random candidates are"
    else:
        kept = f"{_count(e.feasible)} of them are"
    return [*lines, f"  {kept} within the limits: {limits}"]


def _genes(e: Explanation) -> list[str]:
    """List the genes, those of yes or no by number only, and what was left out."""
    switches = [gene for gene in e.genes if gene.choices == (0, 1)]
    others = [gene for gene in e.genes if gene.choices != (0, 1)]
    lines = ["Genes"]
    lines += [
        f"  {gene.name.ljust(14)} {', '.join(str(choice) for choice in gene.choices)}"
        for gene in others
    ]
    if switches:
        ganglia = sum(gene.name.endswith(".ganglion") for gene in switches)
        lines.append(f"  {ganglia} layers that may be ganglia, {len(switches) - ganglia} edges")
    if e.dropped:
        lines.append("  left out, for they change nothing:")
        lines += [f"    {item.name} {item.reason}" for item in e.dropped]
    return lines


def _costs(e: Explanation) -> list[str]:
    """Say which costs there are, and over what."""
    size = e.space.target["image_size"]
    if e.complete:
        over = f"all {_count(e.distinct)} architectures"
    else:
        over = f"{DRAWS:,} random candidates, the baselines and the extreme corners"
    lines = [f"Cost at {size} x {size} pixels, over {over}"]
    for name, span in e.ranges.items():
        lines.append(f"  {name.ljust(18)}{si(span.least).rjust(8)}  to {si(span.most).rjust(8)}")
    return lines


def _table(e: Explanation) -> list[str]:
    """Place the baselines."""
    lines = [
        "Baselines, and the share of candidates that costs less",
        f"  {'':<12}{'params':>9}{'':>9}{'MACs':>11}{'':>9}{'limits':>10}",
    ]
    for item in e.placed:
        shares = [f"({100 * item.below[name]:.0f} %)" for name in ("params", "macs")]
        kept = "broken" if item.violations else "kept"
        lines.append(
            f"  {item.name:<12}{si(item.cost.params):>9}{shares[0]:>9}"
            f"{si(item.cost.macs):>11}{shares[1]:>9}{kept:>10}"
        )
    return lines + [
        f"  {p.name} breaks {', '.join(p.violations)}" for p in e.placed if p.violations
    ]


def _count(value: int) -> str:
    """Write a count in full while that is readable."""
    return f"{value:,}" if value < 10**12 else f"{value:.3g} ({value:,})"


def _wrapped(line: str) -> list[str]:
    """Break a line that is too long, indenting what follows."""
    if len(line) <= WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
