"""Runs as a search would leave them: as values, as a folder with its study, and a large one.

Wirings are random, numbers seeded, costs real. `trial` and `run` make values that nobody wrote;
`new_run` to `finished` write a run as a search does; `large_run` writes its database in one go, for
which Optuna takes minutes.
"""

import json
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import sparx_nas
from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.cost import estimate
from sparx_nas.ground.record import write_text
from sparx_nas.run_store import (
    CURVES,
    End,
    begin,
    complete,
    create_folder,
    default_storage,
    log_end,
    log_epoch,
    log_start,
    open_study,
)
from sparx_nas.space.fields import USUAL_TARGET
from sparx_nas.trial.pareto import minimised, pareto_front
from sparx_nas.trial.values import Epoch, Fidelity, Objective, Run, TrialRecord

SVG = "{http://www.w3.org/2000/svg}"
SPACE = sparx_nas.load_space("mamba_micro")
TARGET = {"image_size": 32, "in_chans": 1, "num_classes": 10}
DEPTHS = (2, 2, 7, 2)
WIDTHS = (64, 128, 320, 512)
PUBLISHED = patterns.sparx(DEPTHS, stride=(1, 1, 2, 1), start=(9, 1, 0, 0), window=(3, 3, 3, 3))
OBJECTIVES = (Objective(name="top1", direction="max"), Objective(name="macs", direction="min"))
SPLITS = {"train": 1078, "val": 359, "test": 360}
STARTED = "2026-01-01T00:00:00+00:00"
CONFIG = {
    "space": "mamba_micro",
    "objectives": [{"name": o.name, "direction": o.direction} for o in OBJECTIVES],
    "lr": 1e-05,
    "storage": None,
}
ENV = {
    "data": {
        "name": "digits",
        "classes": [str(digit) for digit in range(10)],
        "in_chans": 1,
        "mean": [0.3],
        "std": [0.4],
        "splits": SPLITS,
    }
}
SEEN = Fidelity(
    data="digits",
    data_id="0123456789abcdef",
    epochs=6,
    batch_size=64,
    image_size=32,
    width=0.25,
    stem_stride=2,
    seed=0,
)
FIDELITY = replace(SEEN, epochs=2, image_size=16, width=0.5, seed=7)
"""That of the runs that are written."""


def drawn(graph: ConnectivityGraph) -> Architecture:
    """Return a design of a wiring, as wide as the published one."""
    return Architecture(graph=graph, widths=WIDTHS[: len(graph.depths)])


def narrow(graph: ConnectivityGraph) -> Architecture:
    """Return a design of a wiring of any number of stages, 64 channels everywhere."""
    return Architecture(graph=graph, widths=(64,) * len(graph.depths))


def epoch(number: int, top1: float, **fields) -> Epoch:
    """Return the metrics of an epoch."""
    values = {"train_loss": 2.0, "val_loss": 2.1, "seconds": 0.5, "images_per_s": 400.0 + number}
    return Epoch(epoch=number, top1=top1, **(values | fields))


def wirings(number: int, depths: tuple[int, ...] = DEPTHS) -> list[ConnectivityGraph]:
    """Return random wirings, some sparse, some thinned."""
    out = []
    for seed in range(number):
        density = random.Random(seed).uniform(0.05, 0.9)
        graph = patterns.random(depths, density, seed)
        out.append(patterns.thin(graph, 0.5, "spread") if seed % 3 == 0 else graph)
    return out


def accuracy(number: int, graph: ConnectivityGraph) -> float:
    """Return a top-1 that has something to do with a wiring."""
    edges = sum(len(row) for stage in graph.stages for row in stage.sources)
    noise = random.Random(1000 + number).gauss(0, 0.012)
    return round(min(0.99, 0.86 + 0.02 * edges**0.5 + noise), 4)


def trial(
    number: int, design: ConnectivityGraph | Architecture, axes=OBJECTIVES, **fields
) -> TrialRecord:
    """Return a complete trial of a design, or of a wiring at the usual widths."""
    architecture = drawn(design) if isinstance(design, ConnectivityGraph) else design
    counted = estimate(architecture)
    cost = {name: float(getattr(counted, name)) for name in ("params", "macs", "activation_bytes")}
    top1 = accuracy(number, architecture.graph)
    shares = [0.35 + 0.65 * (1 - 0.5**e) for e in range(1, SEEN.epochs + 1)]
    shares[-1] = 1.0
    epochs = tuple(
        epoch(
            i,
            top1 * share,
            train_loss=2.3 * (1.05 - share),
            val_loss=2.3 * (1.1 - share),
            seconds=2.5,
            images_per_s=430.0,
        )
        for i, share in enumerate(shares, 1)
    )
    measured = {"top1": top1, "val_loss": epochs[-1].val_loss, "latency_ms": 12.345, **cost}
    record = TrialRecord(
        number=number,
        architecture=architecture,
        state="complete",
        objectives={o.name: measured[o.name] for o in axes},
        top1=top1,
        cost=cost,
        proxy_cost={"macs": cost["macs"] / 60},
        fidelity=SEEN,
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


def run(trials: list[TrialRecord], objectives=OBJECTIVES, **fields) -> Run:
    """Return a run of the trials, its front computed, its front tested."""
    able = [t for t in trials if t.state == "complete" and t.feasible]
    points = [minimised([t.objectives[o.name] for o in objectives], objectives) for t in able]
    front = [
        replace(able[i], test_top1s=(able[i].top1 - 0.01,))
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
        target=USUAL_TARGET,
        config={"space": "mamba_t", "trials": 16, "sampler": {"name": "nsga2", "seed": 0}},
        env={
            "versions": {"torch": "2.8.0", "ray": "2.50.0"},
            "data": {
                "name": "digits",
                "num_classes": 10,
                "splits": SPLITS,
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


def new_run(parent: Path, name: str = "micro-1") -> Path:
    """Make the folder of a run."""
    path = parent / name
    create_folder(path, config=CONFIG, space_text=SPACE.source_text, env=ENV)
    return path


def opened_study(path: Path, *, create: bool, **fields):
    """Make or open the study of a run."""
    return open_study(
        name=path.name,
        storage=default_storage(path),
        objectives=OBJECTIVES,
        create=create,
        **fields,
    )


@cache
def empty_study() -> bytes:
    """Return a database with the study of a new run, which takes a second to make."""
    with TemporaryDirectory() as place:
        path = new_run(Path(place))
        opened_study(path, create=True)
        return (path / "study.db").read_bytes()


def new_study(path: Path, **fields):
    """Give a run called `micro-1` its study."""
    (path / "study.db").write_bytes(empty_study())
    return opened_study(path, create=False, **fields)


def asked(study, architecture, *, baseline="", violations=(), constraints=None):
    """Ask for a trial and begin it; return its number."""
    trial = study.ask()
    begin(
        trial,
        architecture=architecture,
        baseline=baseline,
        cost=estimate(architecture, **TARGET).to_dict(),
        violations=violations,
        constraints=constraints or {},
        fidelity=FIDELITY,
    )
    return trial.number


def trained(path: Path, number: int, architecture, top1: float) -> End:
    """Write the curve of a whole training; the study is not told yet."""
    curves = path / CURVES
    log_start(curves, number, architecture=architecture.id)
    log_epoch(curves, number, epoch(1, top1 / 2))
    log_epoch(curves, number, epoch(2, top1))
    proxy = estimate(architecture, image_size=16, in_chans=1, num_classes=10, width=0.5)
    end = End(
        number=number,
        objectives={"top1": top1, "macs": estimate(architecture, **TARGET).macs},
        top1=top1,
        seconds=1.25,
        device="cpu",
        proxy_cost=proxy.to_dict(),
    )
    log_end(curves, end)
    return end


def told(study, end: End) -> None:
    """Tell the study how a training ended."""
    complete(study, end.number, end, OBJECTIVES)


def finished(path: Path, study, architecture, top1: float, **facts) -> int:
    """Run a trial from the asking to the telling; return its number."""
    number = asked(study, architecture, **facts)
    told(study, trained(path, number, architecture, top1))
    return number


def distinct(count: int):
    """Return different architectures of the space."""
    found = {}
    seed = 0
    while len(found) < count:
        architecture = SPACE.sample(seed)
        found[architecture.id] = architecture
        seed += 1
    return list(found.values())


LARGE = replace(SEEN, epochs=4, batch_size=48, image_size=16)


def large_run(
    parent: Path, trials: int, *, name: str = "large", space: str = "mamba_t_free"
) -> Path:
    """Make a finished run of so many trials, the first ones the baselines of its space."""
    known = sparx_nas.load_space(space)
    path = parent / name
    create_folder(path, config=CONFIG | {"space": space}, space_text=known.source_text, env=ENV)
    open_study(name=name, storage=default_storage(path), objectives=OBJECTIVES, create=True)
    drawn = list(known.draws(trials, 0))[: trials - len(known.baselines)]
    candidates = [*known.baselines.items(), *(("", a) for a in drawn)]
    seen: dict[str, int] = {}
    rows = [_trial(known, n, *pair, seen) for n, pair in enumerate(candidates)]
    with closing(sqlite3.connect(path / "study.db")) as connection, connection:
        _write(connection, rows)
    _write_curves(path, rows)
    (path / "status.json").write_text(
        json.dumps({"schema": 1, "state": "finished", "trained": trials, "asked": trials})
    )
    return path


def _trial(space, number, baseline, architecture, seen):
    """Return what the study says of one trial: state, values, attributes."""
    draw = random.Random(number)
    cost = space.cost(architecture).to_dict()
    first = seen.setdefault(architecture.id, number)
    edges = sum(len(row) for stage in architecture.graph.stages for row in stage.sources)
    top1 = round(min(0.99, 0.8 + 0.01 * edges**0.5 + draw.gauss(0, 0.02)), 4)
    facts = {
        "baseline": baseline if first == number else "",
        "cost": cost,
        "violations": [],
        "limits": {},
        "fidelity": LARGE.to_dict(),
        "seed": 0,
        "started": STARTED,
        "graph_id": architecture.graph.id,
        "architecture_id": architecture.id,
        "architecture": architecture.to_dict(),
        "ended": STARTED,
    }
    if first != number:
        return "PRUNED", None, facts | {"state": "duplicate", "duplicate_of": first}
    if draw.random() < 0.01:
        return "FAIL", None, facts | {"state": "failed", "error": "RuntimeError: no luck"}
    proxy = {"macs": cost["macs"] // 16, "params": cost["params"] // 16}
    done = {"state": "complete", "top1": top1, "seconds": 9.5, "device": "cpu (2 threads)"}
    return "COMPLETE", (top1, float(cost["macs"])), facts | done | {"proxy_cost": proxy}


def _write(connection, rows):
    """Insert trials with their values and attributes."""
    study = connection.execute("SELECT study_id FROM studies").fetchone()[0]
    trials = [
        (n + 1, n, study, state, STARTED[:19].replace("T", " "))
        for n, (state, *_) in enumerate(rows)
    ]
    connection.executemany(
        "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)"
        " VALUES (?, ?, ?, ?, ?5, ?5)".replace("?, ?, ?, ?, ?5", "?1, ?2, ?3, ?4, ?5"),
        trials,
    )
    values = [
        (n + 1, i, value, "FINITE")
        for n, (_, both, _) in enumerate(rows)
        for i, value in enumerate(both or ())
    ]
    connection.executemany(
        "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?, ?, ?, ?)",
        values,
    )
    attributes = [
        (n + 1, key, json.dumps(value))
        for n, (_, _, facts) in enumerate(rows)
        for key, value in facts.items()
    ]
    connection.executemany(
        "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, ?, ?)", attributes
    )


def _write_curves(path, rows):
    """Write the epochs of the trained trials."""
    lines = []
    for number, (state, values, _) in enumerate(rows):
        if state != "COMPLETE":
            continue
        lines.append({"kind": "start", "trial": number, "time": STARTED})
        for e in range(1, LARGE.epochs + 1):
            made = epoch(e, round(values[0] * (1 - 0.4**e), 4))
            lines.append({"kind": "epoch", "trial": number, **vars(made)})
    write_text(path / CURVES, "".join(json.dumps(line) + "\n" for line in lines))
