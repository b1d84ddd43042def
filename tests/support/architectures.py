"""Random architectures for tests: free wirings with every setting that changes a network."""

import random

from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.design import MambaSettings
from sparx_nas.architecture.families import FAMILIES, ConvSettings, PvtSettings, SwinSettings
from sparx_nas.architecture.graph import ConnectivityGraph

WIDTHS = (8, 10, 12, 16, 20, 24, 28)
ACTS = ("silu", "gelu", "relu")
HEAD_COUNTS = (1, 2, 4)


def random_architecture(seed: int, max_depth: int = 4, backbone: str = "mamba") -> Architecture:
    """Draw a wiring of four stages, 0 to `max_depth` layers each, and settings to go with it."""
    rng = random.Random(seed)

    def four(*choices):
        return tuple(rng.choice(choices) for _ in range(4))

    depths = [rng.randint(0, max_depth) for _ in range(4)]
    depths[rng.randrange(4)] = max_depth
    drawn = {
        "graph": patterns.random(depths, rng.random(), seed),
        "widths": four(*WIDTHS),
        "stem": rng.choice(("v1", "v2")),
        "norm": rng.choice(("group", "layer")),
        "reductions": four(1, 2, 3, 4, 5),
        "mixer": MambaSettings(
            state_dim=rng.choice((1, 1, 2)),
            dt_rank=rng.choice(("auto", 1, 3)),
            conv_kernel=rng.choice((0, 3, 5)),
            act=rng.choice(ACTS),
        ),
        "mlp_act": rng.choice(ACTS),
        "mlp_ratio": four(0, 1.0, 2.5, 4),
        "layer_scale": four(None, 1.0),
        "expand": four(1.0, 2.0, 1.4),
        "stage_inputs": four("first", "window"),
    }
    if backbone != "mamba":
        drawn |= _of_family(rng, backbone)
    return Architecture(backbone=backbone, **drawn)


def _of_family(rng: random.Random, backbone: str) -> dict:
    """Draw the settings in which a family differs from `mamba`."""

    def four(*choices):
        return tuple(rng.choice(choices) for _ in range(4))

    mixer = FAMILIES[backbone].settings
    drawn = {"stem": rng.choice(FAMILIES[backbone].stems)}
    if isinstance(mixer, ConvSettings):
        drawn["mixer"] = ConvSettings(kernel=rng.choice((1, 3, 7)), act=rng.choice(ACTS))
    if isinstance(mixer, SwinSettings | PvtSettings):
        drawn |= {"expand": (1.0,) * 4, "widths": four(8, 12, 16, 20, 28)}
    if isinstance(mixer, SwinSettings):
        drawn["mixer"] = SwinSettings(heads=four(*HEAD_COUNTS), window=rng.choice((1, 2, 3, 4, 7)))
    if isinstance(mixer, PvtSettings):
        drawn["mixer"] = PvtSettings(heads=four(*HEAD_COUNTS), spatial_reductions=four(1, 2, 3, 8))
    return drawn


FOUR_WIDTHS = (8, 12, 16, 20)
HEADS = (1, 2, 2, 4)


MIXERS = {
    "swin": SwinSettings(heads=HEADS, window=3),
    "pvt": PvtSettings(heads=HEADS),
}


def all_dense(backbone: str = "mamba", depths=(1, 2, 3, 1)) -> Architecture:
    mixer = {"mixer": MIXERS[backbone]} if backbone in MIXERS else {}
    graph = patterns.dense(depths)
    return Architecture(graph=graph, widths=FOUR_WIDTHS, backbone=backbone, **mixer)


def small(graph: ConnectivityGraph, **settings: object) -> Architecture:
    return Architecture(graph=graph, widths=FOUR_WIDTHS, **settings)  # type: ignore[arg-type]


def random_wiring(seed: int) -> ConnectivityGraph:
    draw = random.Random(seed)
    return patterns.random([draw.randint(1, 5) for _ in range(4)], draw.random(), seed)


WIRING = {"2.2": ["2.0", "2.1"], "3.3": ["3.0", "3.1", "3.2"], "3.4": ["3.2", "3.3"]}


EDGES = {(source, target) for target, sources in WIRING.items() for source in sources}


def micro(ganglia=WIRING, **settings) -> Architecture:
    """Return a network of 8 layers whose stage input stands between the others in a context."""
    graph = ConnectivityGraph.from_ganglia([1, 2, 4, 1], ganglia)
    return Architecture(
        graph=graph, widths=(8, 8, 12, 16), stage_inputs=("window",) * 4, **settings
    )
