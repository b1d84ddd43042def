"""Places for trials: what a cluster has, and how trials share it."""

import math
from dataclasses import dataclass
from typing import Any

import psutil

from sparx_nas.ground.errors import DeviceError
from sparx_nas.ground.quantities import counted
from sparx_nas.search.asked.settings import Settings

MAX_THREADS = 8


@dataclass(frozen=True)
class Cluster:
    """What the search found: processors, GPUs, and how the dashboard is opened ("" for none)."""

    cpus: int
    gpus: int
    dashboard: str
    joined: bool


@dataclass(frozen=True)
class Slots:
    """How trials share a cluster: so many at a time, each with threads and a part of a GPU."""

    concurrency: int
    threads: int
    gpus: float
    device: str

    def resources(self) -> dict[str, Any]:
        """Return what a task of one trial's size asks Ray for."""
        return {"num_cpus": self.threads, "num_gpus": self.gpus}


def here(gpus: int) -> Cluster:
    """Return this machine without Ray: the processors that this process may use, and its GPUs."""
    return Cluster(len(psutil.Process().cpu_affinity() or [0]), gpus, "", False)


def slots(settings: Settings, found: Cluster) -> Slots:
    """Share out a cluster: on a CPU one thread a trial, on a GPU one trial a GPU, unless told.

    Raises: DeviceError if what is asked for is more than there is.
    """
    wants_gpu = settings.device == "cuda" or (settings.device == "auto" and found.gpus > 0)
    if wants_gpu and not found.gpus:
        raise DeviceError("--device cuda: Ray finds no GPU", hint="use --device cpu")
    trials = settings.trials + 3
    if wants_gpu:
        each = settings.gpus_per_trial or 1.0
        fit = math.floor(found.gpus / each + 1e-9)
        if not fit:
            hint = f"there are {found.gpus}; ask for less"
            raise DeviceError(f"--gpus-per-trial {each:g} is more than there is", hint=hint)
        asked = settings.concurrency or fit
        if asked > fit:
            have = f"{counted(found.gpus, 'GPU')} with {each:g} for each trial"
            raise _too_many(asked, have, fit)
        concurrency = min(asked, trials)
        threads = max(1, min(found.cpus // concurrency, MAX_THREADS))
        return Slots(concurrency, threads, each, "cuda")
    if settings.gpus_per_trial:
        raise DeviceError("--gpus-per-trial is for a GPU", hint="leave it out on a CPU")
    asked = settings.concurrency or found.cpus
    if asked > found.cpus:
        raise _too_many(asked, counted(found.cpus, "CPU"), found.cpus)
    concurrency = min(asked, trials)
    return Slots(concurrency, max(1, min(found.cpus // concurrency, MAX_THREADS)), 0.0, "cpu")


def _too_many(asked: int, have: str, fit: int) -> DeviceError:
    """Say how many trials may run at a time, beside how many were asked for."""
    return DeviceError(
        f"--concurrency {asked} is more than there is room for: {have}",
        hint=f"--concurrency {fit} or less, or leave it out",
    )
