"""Measure how long a network takes for one image."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import quantiles

import psutil
import torch
from torch import nn

from sparx_nas.trial.latency import Latency
from sparx_nas.trial.score import channels_last, half_precision

WARM_UP, LEAST, MOST = 3, 15, 200
"""Passes before any counts, and how many count at least and at most."""
ENOUGH_S, MUCH_S, FEW = 2.0, 10.0, 5
"""After the first no more than `LEAST` passes are begun, after the second no more than `FEW`."""
LOOK_S = 0.3
"""How long others are looked at."""


@torch.no_grad()
def measure_latency(model: nn.Module, image: tuple[int, int, int], device: torch.device) -> Latency:
    """Time forward passes of one (C, H, W) image, on all processors that this process may use.

    Nothing keeps others from the device here; see `Room`.
    """
    busy = _busy_with_others()
    model = model.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    x = channels_last(torch.zeros(1, *image, device=device))
    with _threads(len(os.sched_getaffinity(0))) as threads:
        for _ in range(WARM_UP):
            _pass_ms(model, x, device)
        times, begun = list[float](), time.perf_counter()
        while _wants_more(len(times), time.perf_counter() - begun):
            times.append(_pass_ms(model, x, device))
    low, middle, high = quantiles(times, n=4, method="inclusive")
    return Latency(
        ms=middle, low=low, high=high, passes=len(times), threads=threads, busy=round(busy, 2)
    )


def _wants_more(done: int, elapsed_s: float) -> bool:
    """Tell whether another pass is worth its time; on a busy machine one takes seconds."""
    if elapsed_s < ENOUGH_S:
        return done < MOST
    return done < (LEAST if elapsed_s < MUCH_S else FEW)


def _pass_ms(model: nn.Module, x: torch.Tensor, device: torch.device) -> float:
    """Return the milliseconds of one pass."""
    start = time.perf_counter()
    with half_precision(device):
        model(x)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 1e3 * (time.perf_counter() - start)


def _busy_with_others() -> float:
    """Return how many processors are busy while this process does nothing."""
    return psutil.cpu_percent(interval=LOOK_S) / 100 * (psutil.cpu_count() or 1)


@contextmanager
def _threads(count: int) -> Iterator[int]:
    """Let torch use so many threads in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield count
    finally:
        torch.set_num_threads(before)
