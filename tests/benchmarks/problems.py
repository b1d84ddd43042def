"""What samplers are compared on: tables of trainings, and standard problems with a known front.

The problems are of bits, here the edges of wirings, with two objectives to be minimised: LOTZ
(leading ones, trailing zeros: Laumanns and others, PPSN 2002) and an MNK landscape (Aguirre and
Tanaka, EJOR 181, 2007; M = 2, K = 2), whose first objective is a score with noise of seeds, as
large as that of trainings here, and whose second is an exact cost.
"""

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

import sparx_nas
from sparx_nas.architecture import Architecture
from sparx_nas.space import SearchSpace
from sparx_nas.space.catalogue import parse_space
from sparx_nas.trial.table import Table, open_table, shipped

sys.path.insert(0, str(Path(__file__).parent.parent))
from support import tables  # tests/, on the path since the line above

SPACE = """
schema: 1
name: {name}
about: thirteen edges, each there or not
backbone: conv
wiring: free
stages:
  - {{depth: 1, width: 16}}
  - {{depth: 1, width: 16}}
  - {{depth: 4, width: 16}}
  - {{depth: 1, width: 16}}
baselines:
  sparx: [plain, plain, {{stride: 2, start: 2}}, plain]
  plain: [plain, plain, plain, plain]
  dense: [dense, dense, dense, dense]
target: {{image_size: 32, num_classes: 10, in_chans: 1}}
proxy: {{data: digits, epochs: 4}}
"""
RELIABILITY = 0.54
"""Of one training, as measured for mamba_t."""
NEIGHBOURS = 2
"""K of the MNK landscape: bits that decide, besides its own, what a bit is worth."""


def bits(design: Architecture) -> tuple[int, ...]:
    """Spell a design: whether a layer reads an earlier output, edge by edge."""
    return tuple(
        int(source in sources)
        for stage in design.graph.stages
        for layer, sources in enumerate(stage.sources, 1)
        for source in range(layer)
    )


def lotz(design: Architecture) -> tuple[float, int]:
    """Return the share of bits that are no leading ones, and how many are no trailing zeros."""
    spelled = bits(design)
    ones = next((i for i, bit in enumerate(spelled) if not bit), len(spelled))
    zeros = next((i for i, bit in enumerate(reversed(spelled)) if bit), len(spelled))
    return 1 - ones / len(spelled), len(spelled) - zeros


def mnk(design: Architecture) -> tuple[float, int]:
    """Return both objectives of the landscape; the second in whole thousandths."""
    spelled = bits(design)
    values = [
        np.mean([part[i][_around(spelled, place)] for i, place in enumerate(places)])
        for part, places in _landscape(len(spelled))
    ]
    return float(values[0]), round(1000 * float(values[1]))


def _around(spelled: tuple[int, ...], place: tuple[int, ...]) -> int:
    """Return the number that some bits spell."""
    return int("".join(str(spelled[i]) for i in place), 2)


@lru_cache
def _landscape(size: int) -> list[tuple[np.ndarray, list[tuple[int, ...]]]]:
    """Draw what each bit is worth by itself and its neighbours, for both objectives."""
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(2):
        places = []
        for i in range(size):
            others = rng.choice([j for j in range(size) if j != i], NEIGHBOURS, replace=False)
            places.append((i, *map(int, others)))
        drawn.append((rng.random((size, 2 ** (NEIGHBOURS + 1))), places))
    return drawn


PROBLEMS: dict[str, Callable[[Architecture], tuple[float, int]]] = {"lotz": lotz, "mnk": mnk}


@lru_cache(maxsize=1)
def opened(name: str) -> tuple[Table, SearchSpace]:
    """Return a problem, or a table of the package, with its space."""
    if name not in PROBLEMS:
        return open_table(name), sparx_nas.load_space(name)
    space, rule = parse_space(SPACE.format(name=name), name), PROBLEMS[name]
    scores = np.array([rule(design)[0] for design in space.enumerate() or ()])
    noise = float(scores.std()) * np.sqrt(1 / RELIABILITY - 1)
    # Above 0, as losses are.
    shift = 1.0
    table = tables.made(
        space,
        lambda design: shift + rule(design)[0],
        noise=float(noise),
        costs={"macs": lambda design: 1 + rule(design)[1]},
    )
    return table, space


def known() -> list[str]:
    """List the problems."""
    return [*PROBLEMS, *shipped()]
