"""What the images are, and how fast this machine trains, every place at work."""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

import numpy as np

from sparx_nas.architecture import Architecture
from sparx_nas.data import Part, divide
from sparx_nas.data.decode import central_square
from sparx_nas.data.source import ArrayPool
from sparx_nas.search.asked.places import Slots
from sparx_nas.search.asked.plan import Timed
from sparx_nas.search.asked.settings import Settings
from sparx_nas.search.calibrating.measuring import workers
from sparx_nas.search.planning.ladder import Facts, Rung
from sparx_nas.search.telling.pace import images_per_s
from sparx_nas.space import SearchSpace

LOOKED_AT = 12
"""Images that are read to see how large they are and what reading one takes."""
SIDE = 128


def look(settings: Settings) -> Facts:
    """Count the images of each split, and read a few.

    Raises: DataError if the data are missing or damaged.
    """
    folder = Path(settings.data_dir) if settings.data_dir else None
    divided = divide(settings.data, data_dir=folder, seed=settings.seed, val_fraction=0.2)
    sizes = {split: len(part.picks) for split, part in divided.parts.items()}
    native, decode_s = _read_some(divided.parts["train"])
    return Facts(
        train=sizes["train"],
        val=sizes["val"],
        test=sizes["test"],
        classes=len(divided.source.classes),
        in_chans=divided.source.in_chans,
        native=native,
        decode_s=decode_s,
    )


def _read_some(part: Part) -> tuple[int, float]:
    """Return the shorter side of a typical image, and the seconds that reading one takes."""
    pool = part.pool
    if isinstance(pool, ArrayPool):
        return min(pool.pixels.shape[1:3]), 0.0
    places = np.linspace(0, len(part.picks) - 1, min(LOOKED_AT, len(part.picks))).astype(int)
    sides, seconds = [], []
    for index in part.picks[places].tolist():
        # A decoder may raise anything on a broken file; opening the data reports it.
        try:
            sides.append(min(pool.picture(index, 10**4).size))
            start = time.perf_counter()
            central_square(pool.picture(index, SIDE), SIDE)
            seconds.append(time.perf_counter() - start)
        except Exception:
            continue
    return (int(median(sides)), fmean(seconds)) if seconds else (SIDE, 0.0)


class Clock:
    """Times training steps of a space's published design; each fidelity once.

    Every place trains at the same time, for that is what a search does.
    """

    def __init__(
        self, pools: list[ProcessPoolExecutor], settings: Settings, facts: Facts, places: Slots
    ) -> None:
        self.pools, self.settings, self.facts, self.places = pools, settings, facts, places
        self.timed: dict[tuple[float, ...], Timed] = {}

    def rate(self, space: SearchSpace, rung: Rung) -> float:
        """Return the images a second that one place trains."""
        key = (rung.image_size, rung.stem_stride, rung.width, rung.batch_size)
        if key not in self.timed:
            settings = replace(
                self.settings,
                image_size=rung.image_size,
                stem_stride=rung.stem_stride,
                width=rung.width,
                batch_size=rung.batch_size,
            )
            design = space.baselines["sparx"].to_dict()
            shape = (self.facts.in_chans, self.facts.classes)
            running = [
                pool.submit(_images_per_s, settings, design, shape, self.places)
                for pool in self.pools
            ]
            speeds, shares = zip(*(future.result() for future in running), strict=True)
            self.timed[key] = Timed(
                image_size=rung.image_size,
                stem_stride=rung.stem_stride,
                width=rung.width,
                images_per_s=round(fmean(speeds), 2),
                share=round(fmean(shares), 2) if self.places.device == "cpu" else None,
            )
        return self.timed[key].images_per_s


@contextmanager
def clock(settings: Settings, facts: Facts, places: Slots) -> Iterator[Clock]:
    """Yield what times training steps, with a process for each place."""
    with ExitStack() as stack:
        one = replace(places, concurrency=1)
        pools = [stack.enter_context(workers(one)) for _ in range(places.concurrency)]
        yield Clock(pools, settings, facts, places)


def _images_per_s(
    settings: Settings, design: dict[str, object], shape: tuple[int, int], places: Slots
) -> tuple[float, float]:
    """Return the images a second of one place, and the share of its threads' time that it had."""
    start, used = time.perf_counter(), time.process_time()
    speed = images_per_s(settings, Architecture.from_dict(design), *shape, places)
    share = (time.process_time() - used) / (time.perf_counter() - start) / places.threads
    return speed, min(1.0, share)
