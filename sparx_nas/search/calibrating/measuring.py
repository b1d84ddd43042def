"""Train designs for a calibration: processes of one thread each on a CPU, one process on a GPU."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sparx_nas.architecture import Architecture
from sparx_nas.command.stopping import deaf, end_with_parent
from sparx_nas.data import open_data
from sparx_nas.search.asked.places import Slots
from sparx_nas.search.asked.prepared import data_request
from sparx_nas.search.asked.settings import Settings
from sparx_nas.search.calibrating.levels import Answer
from sparx_nas.trial.device import resolve_device
from sparx_nas.trial.training import Recipe, Training
from sparx_nas.trial.values import Fidelity

Designs = Mapping[str, Architecture]


@contextmanager
def workers(places: Slots) -> Iterator[ProcessPoolExecutor]:
    """Yield the processes of a calibration; what waits is dropped when the block is left."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        places.concurrency,
        mp_context=context,
        initializer=end_with_parent,
        initargs=(os.getpid(),),
    )
    with deaf():
        # The first task starts all processes; signals are for their parent alone.
        pool.submit(os.getpid)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list((pool._processes or {}).values()):
            process.kill()


def answers(
    pool: ProcessPoolExecutor,
    settings: Settings,
    designs: Designs,
    seeds: int,
    places: Slots,
    tell: Callable[[int], None],
    *,
    end: float,
) -> tuple[Answer, ...]:
    """Train every design with every seed and return what came of it, by seed and design.

    `tell` hears how many have ended, `end` is a time of the monotonic clock.

    Raises: TimeoutError if that comes first; what a training raised.
    """
    waiting = {
        pool.submit(train, settings, name, design.to_dict(), settings.seed + i, places): (i, name)
        for i in range(seeds)
        for name, design in designs.items()
    }
    found: dict[tuple[int, str], Answer] = {}
    for done, future in enumerate(as_completed(waiting, end - time.monotonic()), 1):
        found[waiting[future]] = future.result()
        tell(done)
    return tuple(found[key] for key in sorted(found))


def train(
    settings: Settings, name: str, design: Mapping[str, Any], seed: int, places: Slots
) -> Answer:
    """Train one design with one seed, as a trial of a search would be trained."""
    torch.set_num_threads(places.threads)
    request = data_request(settings)
    folder = request.pop("data_dir")
    data = open_data(**request, data_dir=Path(folder) if folder else None)
    start = time.perf_counter()
    training = Training(
        Architecture.from_dict(design),
        data,
        fidelity=fidelity_of(settings, data.data_id, seed),
        recipe=Recipe(lr=settings.lr, drop_path=settings.drop_path),
        device=resolve_device(places.device),
    )
    for _ in range(settings.epochs):
        epoch = training.run_epoch()
    seconds = time.perf_counter() - start
    return Answer(design=name, seed=seed, top1=epoch.top1, loss=epoch.val_loss, seconds=seconds)


def fidelity_of(settings: Settings, data_id: str, seed: int) -> Fidelity:
    """Return how one training of these settings is done."""
    names = set(Fidelity.__dataclass_fields__) - {"data_id", "seed", "seeds"}
    asked = {name: getattr(settings, name) for name in names}
    return Fidelity(data_id=data_id, seed=seed, **asked)


def at_level(settings: Settings, epochs: int, images: int) -> Settings:
    """Return the settings of one level."""
    return replace(settings, epochs=epochs, images=images, seeds=1)
