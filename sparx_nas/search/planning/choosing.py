"""Which fidelity, how many trials and seeds fill a budget: reckoned from measured seconds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sparx_nas.ground.errors import OptionError
from sparx_nas.ground.quantities import counted, duration
from sparx_nas.search.asked.settings import BASELINE_SEEDS, PROXY_DEFAULTS
from sparx_nas.search.planning.ladder import Rung
from sparx_nas.search.telling.planned import asked_for

SEEDS, MOST_SEEDS = PROXY_DEFAULTS["seeds"], 8
WANTED, MOST = 24, 100
"""Trials that a dearer fidelity must still allow, and from where time goes into seeds instead."""
FILL = 0.9
"""Share of a budget that is planned: speeds vary, and no trial begins when it is over."""
START_S, TRIAL_S = 20.0, 1.0
"""Seconds of Ray's start and the report, and of a trial besides its trainings."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a plan goes by; `trials` and `seeds` are None where they are open.

    `feasible` is about how many designs of the space keep the limits, baselines aside.
    """

    budget_s: float
    places: int
    baselines: int
    feasible: int
    trials: int | None = None
    seeds: int | None = None


class Seconds(NamedTuple):
    """What one training takes, and reading the images for all of them."""

    training: float
    opening: float


class Choice(NamedTuple):
    """What fills a budget, and the time that it will take."""

    rung: Rung
    trials: int
    seeds: int
    seconds: Seconds
    total_s: float


def total_s(ask: Ask, seconds: Seconds, trials: int, seeds: int) -> float:
    """Return how long a search takes; at its end all places but one may wait for the last trial."""
    longest = max(seeds, BASELINE_SEEDS) * seconds.training + TRIAL_S
    work = trials * (seeds * seconds.training + TRIAL_S) + ask.baselines * longest
    idle = longest * (ask.places - 1)
    return START_S + seconds.opening + (work + idle) / ask.places


def choose(ask: Ask, rungs: Sequence[Rung], seconds: Callable[[Rung], Seconds]) -> Choice:
    """Take the dearest fidelity that leaves enough trials, and fill the time with trials, seeds.

    Asks for the seconds of the rungs from the cheapest, and of none beyond the first that is too
    dear. Few trials at the cheapest are better than noise at a cheaper one.

    Raises: OptionError with the smallest budget that works.
    """
    seeds, wanted = ask.seeds or SEEDS, _wanted(ask)
    found: Choice | None = None
    for rung in rungs:
        took = seconds(rung)
        trials = ask.trials or _trials(ask, took, seeds)
        total = total_s(ask, took, trials, seeds)
        if total > FILL * ask.budget_s or (found and trials < wanted):
            break
        found = Choice(rung, trials, seeds, took, total)
        if trials < wanted:
            break
    if found is None:
        raise _too_small(ask, rungs[0], seconds(rungs[0]), seeds)
    return _filled(ask, found)


def enough_s(ask: Ask, choice: Choice) -> float | None:
    """Return the budget that allows enough trials at a choice's fidelity; None where it does."""
    if choice.trials >= _wanted(ask):
        return None
    return total_s(ask, choice.seconds, _wanted(ask), choice.seeds) / FILL


def _wanted(ask: Ask) -> int:
    """Return how many trials there should be."""
    return ask.trials or max(1, min(WANTED, ask.feasible))


def _trials(ask: Ask, took: Seconds, seeds: int) -> int:
    """Return how many trials fit, one at least and no more than there are designs."""
    left = FILL * ask.budget_s - total_s(ask, took, 0, seeds)
    each = (seeds * took.training + TRIAL_S) / ask.places
    return max(1, min(ask.feasible, math.floor(left / each)))


def _filled(ask: Ask, found: Choice) -> Choice:
    """Spend what is left, beyond a hundred trials or those asked for, on seeds."""
    best = found
    least = ask.trials or min(MOST, ask.feasible)
    while ask.seeds is None and best.trials >= least and best.seeds < MOST_SEEDS:
        seeds = best.seeds + 1
        trials = ask.trials or _trials(ask, best.seconds, seeds)
        total = total_s(ask, best.seconds, trials, seeds)
        if trials < least or total > FILL * ask.budget_s:
            break
        best = best._replace(trials=trials, seeds=seeds, total_s=total)
    return best


def _too_small(ask: Ask, rung: Rung, took: Seconds, seeds: int) -> OptionError:
    """Say what would be enough."""
    trials = ask.trials or 1
    # Measured again it may come out a little slower.
    needed = 1.1 * total_s(ask, took, trials, seeds) / FILL
    each = max(seeds, BASELINE_SEEDS)
    return OptionError(
        f"--time-budget {duration(ask.budget_s)} is too little for {ask.baselines} baselines of "
        f"{counted(each, 'training')} and {counted(trials, 'trial')} of {seeds}: at "
        f"{rung.image_size} px, {counted(rung.epochs, 'epoch')} of {rung.train:,} images, one "
        f"training takes {duration(took.training)} here, {ask.places} at a time",
        hint=f"--time-budget {asked_for(needed)} works; so may a smaller --image-size or fewer "
        "--images, for less",
    )
