"""Plan a search: what is given is kept, what is open is chosen to fill the time budget."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import torch

from sparx_nas.data.store import CACHE_BYTES, CACHE_IMAGES
from sparx_nas.ground.errors import OptionError
from sparx_nas.search.asked.options import Options
from sparx_nas.search.asked.places import Slots, here, slots
from sparx_nas.search.asked.plan import Plan
from sparx_nas.search.asked.settings import Settings, resolve
from sparx_nas.search.planning.choosing import MOST_SEEDS, Ask, Choice, Seconds, choose, enough_s
from sparx_nas.search.planning.fitting import feasible, fitting
from sparx_nas.search.planning.ladder import FIELDS, LEAST_VISITS, SPARE, Facts, Rung, ladder
from sparx_nas.search.planning.measuring import clock, look
from sparx_nas.space import SearchSpace, load_space

CHOSEN = ("space", *FIELDS, "seeds", "trials")
"""Settings that a plan chooses where nobody gave them."""
PLANNED = ("image_size", "stem_stride", "width", "epochs", "batch_size")
"""What a plan tells of a rung."""
BACKWARD = 2
"""Time of the backward pass over that of the forward pass, about."""
OPENINGS = 2
"""Times that train and val are read before a search ends, one after the other; test once."""


def planned(asked: Options, given: Collection[str]) -> tuple[Settings, SearchSpace]:
    """Return settings that fill the time budget, and their space; `given` names what is kept.

    Takes some seconds for each fidelity that it times.

    Raises: OptionError for a budget that is too small, and where nothing can be timed;
    NoFeasibleError for limits below every space.
    """
    usual = load_space(asked.space)
    draft = resolve(asked, usual)
    if draft.address:
        raise OptionError(
            f"a plan is timed on this machine, and trials would run on {draft.address}",
            hint="--space, --trials and what a trial is (--epochs, --image-size) plan it by hand",
        )
    facts = look(draft)
    places = slots(draft, here(torch.cuda.device_count()))
    space, why = _space(asked, usual, facts, given)
    if "space" not in given:
        asked = replace(asked, space=space.path)
    settings = resolve(asked, space)
    ask = _ask(asked, settings, space, places, given)
    rungs = _rungs(asked, space, facts, given)
    with clock(settings, facts, places) as timing:

        def seconds(rung: Rung) -> Seconds:
            return _seconds(rung, timing.rate(space, rung), facts, settings)

        choice = choose(ask, rungs, seconds)
    plan = Plan(
        **_of_choice(ask, choice),
        full=_full(ask, choice, rungs),
        space=asked.space,
        why=why,
        params=space.cost(space.baselines["sparx"]).params,
        classes=facts.classes,
        native=facts.native,
        chosen=tuple(name for name in CHOSEN if name not in given),
        timed=tuple(timing.timed.values()),
    )
    return _settled(asked, space, choice, plan), space


def _space(
    asked: Options, usual: SearchSpace, facts: Facts, given: Collection[str]
) -> tuple[SearchSpace, str]:
    """Return the space that was given, or that which the limits call for; and why."""
    if "space" in given:
        return usual, "as given"
    limits = asked.constraint
    scaling = fitting(limits, classes=facts.classes, in_chans=facts.in_chans)
    return load_space(str(scaling)), "fits the limits" if limits else "no limit was given"


def _ask(
    asked: Options, settings: Settings, space: SearchSpace, places: Slots, given: Collection[str]
) -> Ask:
    """Return what the plan goes by."""
    return Ask(
        budget_s=asked.time_budget or 0.0,
        places=places.concurrency,
        baselines=len(space.baselines),
        feasible=max(1, feasible(space, settings.constraints)),
        trials=asked.trials if "trials" in given else None,
        seeds=asked.seeds if "seeds" in given else None,
    )


def _rungs(asked: Options, space: SearchSpace, facts: Facts, given: Collection[str]) -> list[Rung]:
    """Return the fidelities that may be planned."""
    kept = {name: getattr(asked, name) for name in FIELDS if name in given}
    width, side = space.baselines["sparx"].widths[0], space.target["image_size"]
    return ladder(facts, kept, first_width=width, largest_side=side)


def _seconds(rung: Rung, rate: float, facts: Facts, settings: Settings) -> Seconds:
    """Return what a training takes at so many images a second, and reading the images."""
    scored = rung.val * max(1, settings.val_copies) + min(settings.statistics_images, rung.train)
    epoch = (rung.train + scored / (1 + BACKWARD)) / rate
    size = rung.train * 3 * rung.image_size**2
    if rung.train > CACHE_IMAGES or size > CACHE_BYTES:
        epoch += (rung.train + scored) * facts.decode_s
    read = OPENINGS * (rung.train + rung.val) + rung.train + rung.val + facts.test
    return Seconds(training=rung.epochs * epoch, opening=read * facts.decode_s)


def _of_choice(ask: Ask, choice: Choice) -> dict[str, Any]:
    """Return what of a plan is the choice itself."""
    rung = choice.rung
    return {name: getattr(rung, name) for name in (*PLANNED, "train", "val")} | {
        "seeds": choice.seeds,
        "trials": choice.trials,
        "budget_s": ask.budget_s,
        "predicted_s": choice.total_s,
        "training_s": choice.seconds.training,
        "opening_s": choice.seconds.opening,
        "places": ask.places,
        "baselines": ask.baselines,
        "enough_s": enough_s(ask, choice),
        "short": rung.train * rung.epochs < LEAST_VISITS / SPARE,
    }


def _full(ask: Ask, choice: Choice, rungs: Sequence[Rung]) -> bool:
    """Tell whether more time would change nothing."""
    seeds = ask.seeds is not None or choice.seeds == MOST_SEEDS
    trials = ask.trials is not None or choice.trials == ask.feasible
    return choice.rung == rungs[-1] and seeds and trials


def _settled(asked: Options, space: SearchSpace, choice: Choice, plan: Plan) -> Settings:
    """Resolve the options with what was chosen."""
    chosen: dict[str, Any] = {name: getattr(choice.rung, name) for name in FIELDS}
    chosen |= {"trials": choice.trials, "seeds": choice.seeds}
    return replace(resolve(replace(asked, **chosen), space), plan=plan)
