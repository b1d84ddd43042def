"""A search with nothing left open: options and space put together, and as a run writes them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sparx_nas.command.checks import anywhere
from sparx_nas.command.options import Given, raw_of
from sparx_nas.search.asked.limits import in_force, sources
from sparx_nas.search.asked.options import (
    CONFIGURABLE,
    DeviceChoice,
    Format,
    KeepWeights,
    Options,
    read_options,
)
from sparx_nas.search.asked.plan import Plan
from sparx_nas.space import SearchSpace
from sparx_nas.space.catalogue import SUFFIXES
from sparx_nas.trial.values import Objective

SCHEMA = 1
RECORDED = ("schema", "space_id", "reliability")
"""What config.yaml, or what calibrate writes, holds besides options; `--config` passes over it."""

PROXY_DEFAULTS: Mapping[str, Any] = {
    "data": "digits",
    "images": 0,
    "epochs": 4,
    "batch_size": 64,
    "image_size": 16,
    "width": 0.25,
    "stem_stride": 2,
    "seeds": 2,
}
"""How a trial is trained where neither the options nor the space say."""

BASELINE_SEEDS = 3
"""Trainings of a baseline at least: they say what seeds do."""

BEFORE: Mapping[str, Any] = {"images": 0, "seeds": 1, "statistics_images": 0, "val_copies": 0}
"""What runs did whose config.yaml does not say."""

DATA_WORDS = ("digits", "fashion_mnist", "cifar10", "cifar100", "folder")
"""Names of data sets, which stay names where a folder is called the same."""

TPE_TRIALS = 100
"""Up to so many trials TPE is the better sampler."""

Sampler = Literal["tpe", "nsga2", "random"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides a search, beside the content of the space.

    `space` is the name or absolute path it can be loaded by. `constraints` are largest counts by
    measure at the target: the space's limits and those asked for, the tighter of two;
    `limit_sources` says in words where each comes from. `name` is that of the run, of its study,
    and of its folder in `output`. `concurrency` and `gpus_per_trial` are None where the driver
    decides by the device. `plan` says why settings that were chosen to fill the time are as they
    are.
    """

    space: str
    data: str
    data_dir: str | None
    images: int
    epochs: int
    batch_size: int
    image_size: int
    width: float
    stem_stride: int
    seeds: int
    statistics_images: int
    val_copies: int
    lr: float
    drop_path: float
    objectives: tuple[Objective, ...]
    constraints: Mapping[str, int]
    sampler: Sampler
    seed: int
    trials: int
    time_budget_s: float | None
    max_failures: int
    device: DeviceChoice
    concurrency: int | None
    gpus_per_trial: float | None
    keep_weights: KeepWeights
    storage: str | None
    output: str
    name: str
    address: str | None
    dashboard: bool
    format: Format
    verbose: bool
    limit_sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    plan: Plan | None = None


FIXED = (
    "data",
    "images",
    "epochs",
    "batch_size",
    "image_size",
    "width",
    "stem_stride",
    "seeds",
    "statistics_images",
    "val_copies",
    "lr",
    "drop_path",
    "objectives",
    "constraints",
    "sampler",
    "seed",
    "storage",
)
"""What a resumed run cannot change: it decides the candidates or their values. The data's content
is compared by its hash, so `data_dir` is free, and the place of an image folder; the space by its
fingerprint, so `space` is."""

NAMES_OF_FIELDS = {"constraints": "constraint", "time_budget_s": "time_budget"}
"""Fields that are written under another name: that of the option."""


def resolve(options: Options, space: SearchSpace, *, name: str | None = None) -> Settings:
    """Decide what the options leave to the space, the budget, the clock and the environment.

    `name` is that of a run which goes on.
    """
    few = options.trials <= TPE_TRIALS
    sampler: Sampler = options.sampler if options.sampler != "auto" else ("tpe" if few else "nsga2")
    decided = _training(options, space) | {
        "space": anywhere(options.space) if _is_path(options.space) else options.space,
        "data_dir": anywhere(str(options.data_dir)) if options.data_dir else None,
        "constraints": in_force(space.limits, options.constraint),
        "limit_sources": sources(space.limits, options.constraint),
        "sampler": sampler,
        "time_budget_s": options.time_budget,
        "output": str(options.output),
        "name": name or options.experiment or f"{space.name}-{datetime.now():%Y%m%d-%H%M%S}",
        "address": options.address or os.environ.get("RAY_ADDRESS") or None,
        "plan": None,
    }
    kept = set(Settings.__dataclass_fields__) - set(decided)
    return Settings(**decided, **{name: getattr(options, name) for name in kept})


def _training(options: Options, space: SearchSpace) -> dict[str, Any]:
    """Return how a trial is trained: as asked, else as the space says, else by default."""
    proxy = {
        key: space.proxy.get(key, default)
        if getattr(options, key) is None
        else getattr(options, key)
        for key, default in PROXY_DEFAULTS.items()
    }
    if proxy["data"] not in DATA_WORDS and Path(proxy["data"]).expanduser().is_dir():
        proxy["data"] = anywhere(proxy["data"])
    return proxy


def written(settings: Settings) -> dict[str, Any]:
    """Return the settings as options, JSON values only; what was left to the driver is "auto"."""
    value: dict[str, Any] = {
        NAMES_OF_FIELDS.get(key, key): getattr(settings, key)
        for key in Settings.__dataclass_fields__
        if key not in ("name", "verbose", "plan", "objectives", "constraints", "limit_sources")
    }
    value["objectives"] = [{"name": o.name, "direction": o.direction} for o in settings.objectives]
    value["constraint"] = [f"{key}<={limit}" for key, limit in settings.constraints.items()]
    value["concurrency"] = settings.concurrency or "auto"
    value["gpus_per_trial"] = "auto" if settings.gpus_per_trial is None else settings.gpus_per_trial
    if settings.time_budget_s is not None:
        value["time_budget"] = f"{settings.time_budget_s:g}s"
    return value


def to_config(settings: Settings, space: SearchSpace) -> dict[str, Any]:
    """Return the content of config.yaml: options that `--config` runs again under a new name.

    `space_id` is the space's fingerprint.
    """
    return {"schema": SCHEMA, "space_id": space.fingerprint} | written(settings)


def given_in(config: Mapping[str, Any], place: str) -> dict[str, Given]:
    """Return the options that the content of a config.yaml gives, unchecked; null gives nothing.

    Runs older than an option go on as they were trained.
    """
    config = {**BEFORE, **config}
    return {
        key: Given(f"{place}: {key}", raw_of(config[key]))
        for key in CONFIGURABLE
        if config.get(key) is not None and config[key] != []
    }


def from_config(
    config: Mapping[str, Any], space: SearchSpace, *, name: str, place: str
) -> Settings:
    """Return the settings that the run `name` was started with; `place` is its config.yaml.

    Raises: OptionError if the file was edited to something impossible.
    """
    return resolve(read_options(given_in(config, place)), space, name=name)


def changes(old: Settings, new: Settings) -> list[str]:
    """List the differences that forbid to go on with a run, as lines of a diff."""
    before, after = written(old), written(new)
    lines = []
    for fixed in FIXED:
        key = NAMES_OF_FIELDS.get(fixed, fixed)
        elsewhere = key == "data" and is_image_folder(old.data) and is_image_folder(new.data)
        if before[key] != after[key] and not elsewhere:
            lines += [f"- {key}: {_line(before[key])}", f"+ {key}: {_line(after[key])}"]
    return lines


def is_image_folder(data: str) -> bool:
    """Tell whether data are called by the place of a folder, which says nothing of the content."""
    return data == "folder" or not (data in DATA_WORDS or data.startswith("timm:"))


def _line(value: Any) -> str:
    """Spell an option on one line, lists with commas."""
    raw = raw_of(value)
    return raw if isinstance(raw, str) else ", ".join(raw) or "none"


def _is_path(space: str) -> bool:
    """Tell whether a space was asked for by path rather than by name."""
    return "/" in space or "\\" in space or space.endswith(SUFFIXES)
