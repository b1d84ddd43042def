"""A search under way, made of real candidates of `mamba_micro` and seeded numbers."""

import random
from dataclasses import replace
from pathlib import Path

from sparx_nas.search.asked.options import Options
from sparx_nas.search.asked.settings import Settings, resolve
from sparx_nas.search.telling.progress import Progress, Running
from sparx_nas.search.telling.wording import what_it_is
from sparx_nas.space import load_space
from sparx_nas.trial.pareto import minimised, pareto_front
from sparx_nas.trial.values import Objective, Run, TrialRecord

SPACE = load_space("mamba_micro")
OBJECTIVES = Options().objectives
LONG = "RuntimeError: " + "the device ran out of memory while it was allocating " * 4


def settings(**changed) -> Settings:
    return replace(resolve(Options(space="mamba_micro"), SPACE, name="micro-1"), **changed)


def trial(number: int, objectives=OBJECTIVES, **fields) -> TrialRecord:
    names = list(SPACE.baselines)
    baseline = names[number] if number < len(names) else ""
    architecture = SPACE.baselines[baseline] if baseline else SPACE.sample(number)
    counted = SPACE.cost(architecture).to_dict()
    cost = {name: value for name, value in counted.items() if isinstance(value, int)}
    top1 = round(random.Random(number).uniform(0.5, 0.95), 3)
    values = {"top1": top1, "latency_ms": 12.345, **cost}
    record = TrialRecord(
        number=number,
        architecture=architecture,
        state="complete",
        baseline=baseline,
        objectives={o.name: values[o.name] for o in objectives},
        top1=top1,
        cost=cost,
        seconds=14.2,
    )
    return replace(record, **fields)


def ended(number: int = 15, objectives=OBJECTIVES) -> list[TrialRecord]:
    """Return complete trials, then a failed, an infeasible and a failed one."""
    none = {"objectives": {}, "top1": None}
    over = ("params 33.1 M > 32 M", "macs 9.33 G > 5 G", "activation_bytes 98.2 M > 12 M")
    return [
        *(trial(i, objectives) for i in range(number)),
        replace(trial(number), state="failed", error=f"Traceback\n\n{LONG}", **none),
        replace(trial(number + 1), state="infeasible", feasible=False, violations=over, **none),
        replace(trial(number + 2), state="failed", error="ValueError: no", **none),
    ]


def front(trials: list[TrialRecord], objectives: tuple[Objective, ...]) -> tuple[TrialRecord, ...]:
    complete = [t for t in trials if t.objectives]
    points = [minimised([t.objectives[o.name] for o in objectives], objectives) for t in complete]
    return tuple(complete[i] for i in pareto_front(points))


def progress(trials: list[TrialRecord], objectives=OBJECTIVES, **fields) -> Progress:
    running = [
        Running(number=90 + i, label=what_it_is(SPACE.sample(i)), epoch=i, epochs=6, top1=curve)
        for i, curve in enumerate([(), (0.3,), (0.31, 0.62), (0.4, 0.4, 0.4)])
    ]
    value = Progress(
        trained=sum(1 for t in trials if t.objectives and not t.baseline),
        asked=20,
        baselines=3,
        running=running,
        failed=2,
        duplicates=1,
        infeasible=1,
        unique=18,
        elapsed_s=312.0,
        eta_s=4512.0,
        objectives=objectives,
        front=front(trials, objectives),
        hypervolume=0.8123,
    )
    return replace(value, **fields)


def run(trials: list[TrialRecord], path: Path, objectives=OBJECTIVES, **fields) -> Run:
    value = Run(
        name=path.name,
        path=str(path),
        space="mamba_micro",
        objectives=objectives,
        trials=tuple(trials),
        front=tuple(
            replace(t, test_top1=t.top1 - 0.01, test_interval=(t.top1 - 0.04, t.top1 + 0.02))
            for t in front(trials, objectives)
        ),
        config={"trials": 16, "storage": None},
        env={"data": {"splits": {"train": 1078, "val": 359, "test": 360}}},
        status={"state": "finished"},
    )
    return replace(value, **fields)
