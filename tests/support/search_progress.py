"""A search under way, made of real candidates of `mamba_micro` and seeded numbers."""

from dataclasses import replace
from pathlib import Path

from sparx_nas.search.asked.options import Options
from sparx_nas.search.asked.settings import Settings, resolve
from sparx_nas.search.telling.progress import Progress, Running
from sparx_nas.search.telling.wording import what_it_is
from sparx_nas.trial.values import Run, TrialRecord
from support import runs
from support.runs import OBJECTIVES, SPACE

LONG = "RuntimeError: " + "the device ran out of memory while it was allocating " * 4


def settings(**changed) -> Settings:
    return replace(resolve(Options(space="mamba_micro"), SPACE, name="micro-1"), **changed)


def trial(number: int, objectives=OBJECTIVES, **fields) -> TrialRecord:
    """Return a trial of the micro space, the first three its baselines."""
    names = list(SPACE.baselines)
    baseline = names[number] if number < len(names) else ""
    design = SPACE.baselines[baseline] if baseline else SPACE.sample(number)
    return runs.trial(number, design, objectives, **{"baseline": baseline, "epochs": (), **fields})


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
        front=runs.run(trials, objectives).front,
        hypervolume=0.8123,
    )
    return replace(value, **fields)


def run(trials: list[TrialRecord], path: Path, objectives=OBJECTIVES, **fields) -> Run:
    """Return a finished run of trials in a folder."""
    here = {"name": path.name, "path": str(path), "space": "mamba_micro"}
    config = {"trials": 16, "storage": None}
    return runs.run(trials, objectives, **{**here, "config": config, **fields})
