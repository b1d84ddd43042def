"""Runs as a search would leave them, made of random wirings and seeded numbers."""

import random
from dataclasses import replace

from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.cost import estimate
from sparx_nas.trial.pareto import minimised, pareto_front
from sparx_nas.trial.values import Epoch, Fidelity, Objective, Run, TrialRecord

DEPTHS = (2, 2, 7, 2)
WIDTHS = (64, 128, 320, 512)
FIDELITY = Fidelity(
    data="digits",
    data_id="0123456789abcdef",
    epochs=6,
    batch_size=64,
    image_size=32,
    width=0.25,
    stem_stride=2,
    seed=0,
)
TOP1_AND_MACS = (Objective(name="top1", direction="max"), Objective(name="macs", direction="min"))
PUBLISHED = patterns.sparx(DEPTHS, stride=(1, 1, 2, 1), start=(9, 1, 0, 0), window=(3, 3, 3, 3))


def wirings(number: int, depths: tuple[int, ...] = DEPTHS) -> list[ConnectivityGraph]:
    """Return random wirings, some sparse, some thinned."""
    out = []
    for seed in range(number):
        density = random.Random(seed).uniform(0.05, 0.9)
        graph = patterns.random(depths, density, seed)
        out.append(patterns.thin(graph, 0.5, "spread") if seed % 3 == 0 else graph)
    return out


def trial(number: int, graph: ConnectivityGraph, **fields) -> TrialRecord:
    """Return a complete trial whose accuracy has something to do with its wiring."""
    draw = random.Random(1000 + number)
    architecture = Architecture(graph=graph, widths=WIDTHS[: len(graph.depths)])
    cost = {
        "params": float(estimate(architecture).params),
        "macs": float(estimate(architecture).macs),
    }
    edges = sum(len(row) for stage in graph.stages for row in stage.sources)
    top1 = round(min(0.99, 0.86 + 0.02 * edges**0.5 + draw.gauss(0, 0.012)), 4)
    shares = [0.35 + 0.65 * (1 - 0.5**e) for e in range(1, FIDELITY.epochs + 1)]
    epochs = tuple(
        Epoch(
            epoch=i,
            train_loss=2.3 * (1.05 - share),
            val_loss=2.3 * (1.1 - share),
            top1=top1 * share if i < len(shares) else top1,
            seconds=2.5,
            images_per_s=430.0,
        )
        for i, share in enumerate(shares, 1)
    )
    record = TrialRecord(
        number=number,
        architecture=architecture,
        state="complete",
        objectives={"top1": top1, "macs": cost["macs"]},
        top1=top1,
        cost=cost,
        proxy_cost={"macs": cost["macs"] / 60},
        fidelity=FIDELITY,
        epochs=epochs,
        seconds=15.2,
        device="cpu, 2 cores",
    )
    return replace(record, **fields)


def untrained(number: int, graph: ConnectivityGraph, state: str, **fields) -> TrialRecord:
    """Return a trial that ended without values."""
    none = {"objectives": {}, "top1": None, "epochs": (), "seconds": 0.0, "proxy_cost": {}}
    return trial(number, graph, **{**none, "state": state, **fields})


def baselines() -> list[TrialRecord]:
    """Return the three baselines; dense breaks a limit."""
    over = {"feasible": False, "violations": ("params is 29.4 M, over the limit of 28 M",)}
    return [
        trial(0, PUBLISHED, baseline="sparx"),
        trial(1, patterns.plain(DEPTHS), baseline="plain"),
        trial(2, patterns.dense(DEPTHS), baseline="dense", **over),
    ]


def run(trials: list[TrialRecord], objectives=TOP1_AND_MACS, **fields) -> Run:
    """Return a run of the trials, its front computed, its front tested."""
    able = [t for t in trials if t.state == "complete" and t.feasible]
    points = [minimised([t.objectives[o.name] for o in objectives], objectives) for t in able]
    front = [
        replace(able[i], test_top1=able[i].top1 - 0.01, test_interval=(0.88, 0.95))
        for i in pareto_front(points)
        if able[i].top1 is not None
    ]
    front.sort(key=lambda t: t.objectives[objectives[0].name])
    tested = {t.number: t for t in front}
    value = Run(
        name="mamba_t-20250301-101500",
        path="runs/mamba_t-20250301-101500",
        space="mamba_t",
        objectives=tuple(objectives),
        trials=tuple(tested.get(t.number, t) for t in trials),
        front=tuple(front),
        config={"space": "mamba_t", "trials": 16, "sampler": {"name": "nsga2", "seed": 0}},
        env={
            "versions": {"torch": "2.8.0", "ray": "2.50.0"},
            "data": {
                "name": "digits",
                "num_classes": 10,
                "splits": {"train": 1078, "val": 359, "test": 360},
            },
        },
        status={"state": "finished", "started": "2025-03-01 10:15", "updated": "2025-03-01 10:22"},
    )
    return replace(value, **fields)


def full_run(number: int = 20) -> Run:
    """Return a run with every kind of trial in it."""
    trials = baselines()
    trials += [trial(i, graph) for i, graph in enumerate(wirings(number), 3)]
    last = len(trials)
    extra = wirings(number + 4)[number:]
    trials += [
        untrained(last, extra[0], "duplicate", duplicate_of=5),
        untrained(
            last + 1,
            extra[1],
            "infeasible",
            feasible=False,
            violations=("macs is 6.1 G, over the limit of 6 G",),
        ),
        untrained(last + 2, extra[2], "failed", error="OutOfMemoryError: tried 2.1 GB"),
        untrained(last + 3, extra[3], "running"),
    ]
    return run(trials)


SVG = "{http://www.w3.org/2000/svg}"


def drawn(graph: ConnectivityGraph) -> Architecture:
    return Architecture(graph=graph, widths=(64,) * len(graph.depths))
