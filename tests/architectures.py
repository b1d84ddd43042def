"""Random architectures for tests: free wirings with every setting that changes a network."""

import random

from sparx_nas import patterns
from sparx_nas.architecture import Architecture, MambaSettings

WIDTHS = (8, 10, 12, 16, 20, 24, 28)
ACTS = ("silu", "gelu", "relu")


def random_architecture(seed: int, max_depth: int = 4) -> Architecture:
    """Draw a wiring of four stages, 0 to `max_depth` layers each, and settings to go with it."""
    rng = random.Random(seed)

    def four(*choices):
        return tuple(rng.choice(choices) for _ in range(4))

    depths = [rng.randint(0, max_depth) for _ in range(4)]
    depths[rng.randrange(4)] = max_depth
    return Architecture(
        graph=patterns.random(depths, rng.random(), seed),
        widths=four(*WIDTHS),
        stem=rng.choice(("v1", "v2")),
        norm=rng.choice(("group", "layer")),
        reductions=four(1, 2, 3, 4, 5),
        mixer=MambaSettings(
            state_dim=rng.choice((1, 1, 2)),
            dt_rank=rng.choice(("auto", 1, 3)),
            conv_kernel=rng.choice((0, 3, 5)),
            act=rng.choice(ACTS),
        ),
        mlp_act=rng.choice(ACTS),
        mlp_ratio=four(0, 1.0, 2.5, 4),
        layer_scale=four(None, 1.0),
        expand=four(1.0, 2.0, 1.4),
        stage_inputs=four("first", "window"),
    )
