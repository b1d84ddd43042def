"""Tables of trainings that nobody trained: scores by a rule, noise by a seed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sparx_nas.architecture import Architecture
from sparx_nas.space import SearchSpace
from sparx_nas.trial.table import Table

EPOCHS = 4
SPLITS = {"train": 1079, "val": 359, "test": 359}


def fewer_with_ganglia(design: Architecture) -> float:
    """Return a loss: less with ganglia, up to five."""
    return 0.5 - 0.05 * min(5, len(design.graph.ganglia))


def made(
    space: SearchSpace,
    loss: Callable[[Architecture], float],
    *,
    designs: Sequence[Architecture] = (),
    trainings: int = 4,
    of_baselines: int = 6,
    noise: float = 0.05,
    seed: int = 0,
    costs: Mapping[str, Callable[[Architecture], int]] | None = None,
) -> Table:
    """Return a table of a space in which `loss` says what a design comes to, and seeds add noise.

    An epoch of training takes as many seconds as the design has layers with sources.
    """
    rng, every = np.random.default_rng(seed), designs or space.enumerate() or ()
    names = {design.id: name for name, design in space.baselines.items()}
    chosen = (*space.baselines.values(), *(d for d in every if d.id not in names))
    counted = [space.cost(design).to_dict() for design in chosen]
    kept = ("params", "macs", "activation_bytes", "published_flops")
    counts = {name: [cost[name] for cost in counted] for name in kept}
    counts |= {name: [rule(design) for design in chosen] for name, rule in (costs or {}).items()}
    times = [of_baselines if d.id in names else trainings for d in chosen]
    place = np.repeat(np.arange(len(chosen)), times)
    end = np.repeat([loss(design) for design in chosen], times)
    end = end + noise * rng.standard_normal(len(end))
    losses = end[:, None] * np.linspace(2, 1, EPOCHS)
    top1 = np.exp(-losses)
    seconds = np.repeat([1.0 + len(d.graph.ganglia) for d in chosen], times)
    return Table(
        designs=tuple(chosen),
        baselines={place: names[d.id] for place, d in enumerate(chosen) if d.id in names},
        costs={name: np.array(values, np.int64) for name, values in counts.items()},
        design=place,
        seed=np.concatenate([np.arange(count) for count in times]),
        curves={
            "val_loss": losses,
            "val_loss_error": 0.02 * losses,
            "train_loss": losses,
            "top1": top1,
            "seconds": np.repeat(seconds[:, None], EPOCHS, 1),
        },
        test_correct=rng.binomial(SPLITS["test"], np.clip(top1[:, -1], 0, 1)),
        about=about(space),
    )


def about(space: SearchSpace) -> Mapping[str, Any]:
    """Return what a table says of itself."""
    return {
        "space": space.name,
        "fingerprint": space.fingerprint,
        "fidelity": {"epochs": EPOCHS, "images": 0},
        "data": {
            "name": "made",
            "data_id": "0" * 16,
            "splits": SPLITS,
            "num_classes": 10,
            "in_chans": 1,
        },
    }
