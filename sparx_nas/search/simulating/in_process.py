"""Runs trials in this process, on a clock of its own, where Ray Tune would on a machine."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from sparx_nas.search.proposing.proposals import Proposal
from sparx_nas.search.running.conductor import Conductor
from sparx_nas.trial.values import Epoch

DEVICE = "simulated"

Train = Callable[[Proposal], Sequence[Epoch]]
"""Returns the epochs of a trial, which say how long they take."""


class Clock:
    """Simulated seconds since the beginning."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def run_in_process(conductor: Conductor, train: Train, clock: Clock) -> None:
    """Run trials until there are no more or the search is stopped, as many at a time as it has.

    Results come in the order of their times, an epoch at a time, as they would from workers.

    Raises: what the conductor kept.
    """
    events: list[tuple[float, int, str, Epoch, dict[str, Any]]] = []
    keys = map(str, count())
    order = count()
    while not conductor.stop.asked:
        while (proposal := conductor.next(key := next(keys))) is not None:
            for end, epoch, result in _times(train(proposal), clock.now):
                heapq.heappush(events, (end, next(order), key, epoch, result))
        if not events:
            break
        clock.now, _, key, epoch, result = heapq.heappop(events)
        if result:
            conductor.complete(key, epoch, result)
        else:
            conductor.epoch(key, epoch)
    for key in tuple(conductor.numbers):
        conductor.interrupt(key)
    if conductor.error:
        raise conductor.error


def _times(epochs: Sequence[Epoch], start: float) -> Iterator[tuple[float, Epoch, dict[str, Any]]]:
    """Yield when each epoch of a trial ends, and after the last one what a worker says of it."""
    now = start
    for epoch in epochs:
        now += epoch.seconds
        last = epoch is epochs[-1]
        yield now, epoch, {"seconds": now - start, "device": DEVICE} if last else {}
