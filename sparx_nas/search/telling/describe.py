"""What `--dry-run` prints; none of it writes anything."""

import os
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from sparx_nas.command.typed import quoted, typed
from sparx_nas.cost import CostEstimate, estimate
from sparx_nas.ground.errors import RunError, SparxError
from sparx_nas.ground.quantities import duration, si
from sparx_nas.ground.scalars import yaml_text
from sparx_nas.search.asked.known import known_reliability
from sparx_nas.search.asked.limits import check_limits, limit_words
from sparx_nas.search.asked.opening import check_same_images, open_here
from sparx_nas.search.asked.settings import BASELINE_SEEDS, Settings, written
from sparx_nas.search.telling.data_words import data_words
from sparx_nas.search.telling.planned import plan_lines
from sparx_nas.search.telling.wording import WIDTH
from sparx_nas.space import SearchSpace

if TYPE_CHECKING:
    from sparx_nas.data import DataSet
    from sparx_nas.search.asked.places import Slots

LABEL = 11
"""Columns of the labels of a dry run."""

BACKWARD = 2
"""MACs of the backward pass over those of the forward pass."""


def dry_run_text(
    settings: Settings, space: SearchSpace, resume: Path | None, config: Path | None = None
) -> tuple[str, list[SparxError]]:
    """Say what a search would do and take, and return what would stop it.

    Opens the data as the search would, and starts no Ray; takes some seconds to load torch and time
    training steps.
    """
    problems: list[SparxError] = []
    path = resume or Path(settings.output) / settings.name
    if resume is None:
        problems += _place_problems(path)
    lines = ["Dry run: nothing is written.", "", *_labelled("run", _run_words(path, resume))]
    lines += plan_lines(settings.plan, settings.constraints) if settings.plan else []
    lines += _labelled("space", _space_words(space))
    lines += _labelled("limits", _limit_words(settings, space, problems))
    found = _opened(settings, resume, problems)
    places = _places(settings, problems)
    lines += _data_lines(settings, found)
    lines += _labelled("device", _device_words(settings, places))
    costs = {name: _proxy_cost(settings, space, name, found) for name in space.baselines}
    lines += _trial_lines(settings, costs, found)
    lines += _labelled("scores", _score_words(settings, space, config))
    if settings.plan is None:
        lines += _labelled("time", _time_words(settings, space, found, places))
    lines += _labelled("disk", _disk_words(settings, path, next(iter(costs.values()))))
    dumped = yaml_text(written(settings), default_flow_style=None)
    return "\n".join([*lines, "", "options", textwrap.indent(dumped, "  ")]), problems


def _labelled(label: str, words: str, width: int = LABEL) -> list[str]:
    """Write words beside a label, wrapped."""
    wrapped = textwrap.wrap(words, WIDTH - width, break_long_words=False, break_on_hyphens=False)
    return [f"{label if i == 0 else '':<{width}}{line}" for i, line in enumerate(wrapped)]


def _run_words(path: Path, resume: Path | None) -> str:
    """Say where the run would be."""
    if resume:
        return f"goes on with {path}"
    return f"{path}" + (" exists already: --resume or another --experiment" * path.exists())


def _place_problems(path: Path) -> list[SparxError]:
    """Say what keeps a run from being made there."""
    if path.exists():
        hint = f"--resume {quoted(path)} goes on with it; --experiment gives another name"
        return [RunError(f"{path} exists; a run is never overwritten", hint=hint)]
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return []
    return [RunError(f"cannot make {path}: {place} is not writable", hint="--output names another")]


def _space_words(space: SearchSpace) -> str:
    """Say how large the space is."""
    distinct, exact = space.distinct()
    return (
        f"{space.name} ({space.fingerprint}): {distinct:,} distinct architectures"
        f"{'' if exact else ' at most'} of {space.genotypes():,} combinations of "
        f"{len(space.genes)} genes"
    )


def _limit_words(settings: Settings, space: SearchSpace, problems: list[SparxError]) -> str:
    """Say which limits hold and where each comes from; none that nothing keeps."""
    try:
        check_limits(space, settings.constraints)
    except SparxError as problem:
        problems.append(problem)
    return limit_words(settings.constraints, settings.limit_sources)


def _opened(
    settings: Settings, resume: Path | None, problems: list[SparxError]
) -> "DataSet | None":
    """Open the data, here; on a cluster they are where its workers are."""
    if settings.address:
        return None
    try:
        found = open_here(settings)
        if resume:
            check_same_images(resume, found.data_id)
    except SparxError as problem:
        problems.append(problem)
        return None
    return found


def _places(settings: Settings, problems: list[SparxError]) -> "Slots | None":
    """Share out this machine as a search would."""
    import torch

    from sparx_nas.kernels.fusing import parts_on
    from sparx_nas.search.asked.places import here, slots

    if settings.address:
        return None
    try:
        parts_on()
        return slots(settings, here(torch.cuda.device_count()))
    except SparxError as problem:
        problems.append(problem)
        return None


def _data_lines(settings: Settings, found: "DataSet | None") -> list[str]:
    """Say which data were found, how many images of which classes, and what is left out."""
    if found is None:
        missing = "not found, or not as they have to be: the error says which"
        where = "on the cluster, which was not asked" if settings.address else missing
        return _labelled("data", where)
    words = data_words(found.describe())
    return [line for i, said in enumerate(words) for line in _labelled("" if i else "data", said)]


def _device_words(settings: Settings, places: "Slots | None") -> str:
    """Say what trials would run on."""
    if settings.address:
        return f"that of the Ray cluster at {settings.address}, which was not asked"
    if places is None:
        return "not as asked for"
    gpus = f" and {places.gpus:g} GPU" if places.gpus else ""
    threads = f"{places.threads} thread{'s' if places.threads != 1 else ''}"
    return f"{places.device}: {places.concurrency} trials at a time, {threads}{gpus} each"


def _proxy_cost(
    settings: Settings, space: SearchSpace, name: str, found: "DataSet | None"
) -> CostEstimate:
    """Count a baseline as it would be trained."""
    return estimate(
        space.baselines[name],
        settings.image_size,
        found.in_chans if found else space.target["in_chans"],
        found.num_classes if found else space.target["num_classes"],
        settings.width,
        settings.stem_stride,
    )


def _trial_lines(
    settings: Settings, costs: dict[str, CostEstimate], found: "DataSet | None"
) -> list[str]:
    """Say what training each baseline takes."""
    lines = []
    for i, (name, cost) in enumerate(costs.items()):
        words = f"{name}: {si(cost.macs)} MACs an image, {si(cost.params)} params as trained"
        if found:
            images = found.splits["train"]
            total = cost.macs * (1 + BACKWARD) * images * settings.epochs * settings.seeds
            words += f", {si(total)} MACs a trial"
        lines += _labelled("a trial" if i == 0 else "", words)
    return lines


def _score_words(settings: Settings, space: SearchSpace, config: Path | None) -> str:
    """Say how reliable a score will be, if that is known."""
    of = f"the mean of {settings.seeds} trainings" if settings.seeds > 1 else "one training"
    found = known_reliability(settings, space, config)
    if found is None:
        return (
            f"{of} each; how reliable such a score is, nobody has measured at these settings: "
            f"{_calibrate_words(settings)} does"
        )
    (share, low, high), where = found
    return (
        f"{of} each, with a reliability of {max(share, 0.0):.2f} (95 % interval "
        f"{max(low, 0.0):.2f} to {max(high, 0.0):.2f}; 1 is all design, 0 all seed), {where}"
    )


def _calibrate_words(settings: Settings) -> str:
    """Return the command that measures it."""
    place = ("--data-dir", settings.data_dir) if settings.data_dir else ()
    return typed("calibrate", "--space", settings.space, "--data", settings.data, *place)


def _time_words(
    settings: Settings, space: SearchSpace, found: "DataSet | None", places: "Slots | None"
) -> str:
    """Estimate the time from training steps of the published design, timed now."""
    if found is None or places is None:
        return "unknown: it takes data and device to tell"
    from sparx_nas.search.telling.pace import images_per_s

    train, val = found.splits["train"], found.splits["val"]
    published = space.baselines["sparx"]
    rate = images_per_s(settings, published, found.in_chans, found.num_classes, places)
    again = min(settings.statistics_images, train)
    epoch = (train + (val * max(1, settings.val_copies) + again) / (1 + BACKWARD)) / rate
    per_trial = settings.epochs * epoch * settings.seeds
    seeds = settings.trials * settings.seeds + len(space.baselines) * max(
        settings.seeds, BASELINE_SEEDS
    )
    whole = settings.epochs * epoch * seeds / places.concurrency
    return (
        f"about {duration(whole)} for {settings.trials} trials and {len(space.baselines)} "
        f"baselines, {duration(per_trial)} each (sparx trains {rate:.0f} images/s, timed just "
        "now, one trial alone); Ray's start is not counted"
    )


def _disk_words(settings: Settings, path: Path, cost: CostEstimate) -> str:
    """Say what is free and what the weights take."""
    place = next(parent for parent in path.absolute().parents if parent.exists())
    free = si(shutil.disk_usage(place).free, "B")
    kept = {"all": settings.trials, "front": settings.trials, "none": 1}[settings.keep_weights]
    return f"{free} free in {place}; weights at most {si(kept * cost.weight_bytes, 'B')}"
