"""How a plan is told: by a dry run, and by the search that it is for."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from statistics import fmean

from sparx_nas.ground.quantities import counted, duration, percent, si
from sparx_nas.search.asked.plan import Plan, Timed
from sparx_nas.search.asked.settings import BASELINE_SEEDS
from sparx_nas.search.telling.wording import WIDTH

IDLE_SHARE = 0.8
"""Below this share of a processor a place was not alone."""
LABEL = 11
"""Columns of the labels, as in a dry run."""


def plan_lines(plan: Plan, limits: Mapping[str, int]) -> list[str]:
    """Say what was chosen, why, by what it was timed, and which flag decides otherwise."""
    parts = {
        "plan": _time(plan),
        "  space": _space(plan, limits),
        "  images": _images(plan),
        "  training": _training(plan),
        "  trials": _trials(plan),
        "  timed": _timed(plan),
    }
    return [line for label, words in parts.items() for line in _labelled(label, words)]


def _labelled(label: str, words: str) -> list[str]:
    """Write words beside a label, wrapped between words."""
    wrapped = textwrap.wrap(words, WIDTH - LABEL, break_long_words=False, break_on_hyphens=False)
    return [f"{label if i == 0 else '':<{LABEL}}{line}" for i, line in enumerate(wrapped)]


def _time(plan: Plan) -> str:
    """Say how full the budget is."""
    full = "; more time would change nothing" if plan.full else ""
    return (
        f"about {duration(plan.predicted_s)} of {duration(plan.budget_s)} (--time-budget), "
        f"with {plan.places} at a time; the rest is for speeds that vary{full}"
    )


def _space(plan: Plan, limits: Mapping[str, int]) -> str:
    """Say which space, how large its published design is, and why."""
    held = " and ".join(f"{key}<={si(limit)}" for key, limit in limits.items())
    within = {
        "fits the limits": f", just within {held}",
        "as given": f"; {held} holds" * bool(held),
    }
    return (
        f"{plan.space}: published SparX of it has {si(plan.params)} parameters"
        f"{within.get(plan.why, '; there is no limit')}{_by(plan, ('space',))}"
    )


def _images(plan: Plan) -> str:
    """Say what is trained on."""
    stored = f" (stored: {plan.native})" if plan.native != plan.image_size else ""
    return (
        f"{plan.image_size} px{stored}, {plan.train:,} to train on, {plan.val:,} to score by, "
        f"{plan.classes} classes{_by(plan, ('image_size', 'images'))}"
    )


def _training(plan: Plan) -> str:
    """Say how a training is done and what it takes."""
    width = "full width" if plan.width == 1 else f"{plan.width:g} of the width"
    noise = "; so short that scores may be noise" if plan.short else ""
    return (
        f"{counted(plan.epochs, 'epoch')} in batches of {plan.batch_size}, {width}, stem stride "
        f"{plan.stem_stride}: {duration(plan.training_s)} each"
        f"{_by(plan, ('epochs', 'batch_size', 'width', 'stem_stride'))}{noise}"
    )


def _trials(plan: Plan) -> str:
    """Say how many are trained how often."""
    each = max(BASELINE_SEEDS, plan.seeds)
    few = f"; few: --time-budget {asked_for(plan.enough_s)} would do" if plan.enough_s else ""
    return (
        f"{plan.trials}, each the mean of {counted(plan.seeds, 'training')}, and "
        f"{counted(plan.baselines, 'baseline')} of {each}{_by(plan, ('trials', 'seeds'))}{few}"
    )


def asked_for(seconds: float) -> str:
    """Spell a time as an option takes it, in whole minutes, rounded up."""
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours}h" * bool(hours) + f"{minutes}m" * bool(minutes)


def _timed(plan: Plan) -> str:
    """Say what was measured."""
    speeds = ", ".join(_speed(timed) for timed in plan.timed)
    opening = f"; {duration(plan.opening_s)} to read images" if plan.opening_s >= 1 else ""
    shares = [timed.share for timed in plan.timed if timed.share is not None]
    busy = shares and fmean(shares) < IDLE_SHARE
    others = f". Others use this machine: {percent(fmean(shares), 0)} of a place's time was free"
    return (
        f"published SparX, {plan.places} at once, images/s each: {speeds}{opening}"
        f"{others if busy else ''}"
    )


def _speed(timed: Timed) -> str:
    """Write one measured speed."""
    return f"{timed.images_per_s:.0f} at {timed.image_size} px and {timed.width:g}"


def _by(plan: Plan, names: Sequence[str]) -> str:
    """Name the flags that decide otherwise, and those that were given."""
    flags = ["--" + name.replace("_", "-") + " given" * (name not in plan.chosen) for name in names]
    return f" ({', '.join(flags)})"
