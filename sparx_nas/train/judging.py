"""Score a trained folder, without training: `--evaluate`."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparx_nas.architecture.network import Network, Preprocessing
from sparx_nas.data import Divided
from sparx_nas.ground.errors import DataError, OptionError
from sparx_nas.models import load_network
from sparx_nas.train.describe import score_text
from sparx_nas.train.evaluation import Judge
from sparx_nas.train.images import open_images
from sparx_nas.train.options import Options
from sparx_nas.train.processes import joined, workers_here
from sparx_nas.train.recipe import FIELD, Recipe
from sparx_nas.train.result import accuracy
from sparx_nas.train.trainer import autocast, precision


def run_evaluation(asked: Options) -> int:
    """Score a network's folder on a split, as recorded unless other settings are given.

    Raises: SparxError if the folder, the data or the split are not there or do not fit.
    """
    assert asked.evaluate is not None, "a folder to evaluate"
    with joined(asked.device) as world:
        model, network = load_network(asked.evaluate)
        recipe = recipe_of(network, asked)
        name, folder = data_of(network, asked)
        divided = open_images(name, folder, recipe)
        _check(network, divided, asked)
        facts = _preprocessing(network.preprocessing, recipe, set(asked.fields))
        model = model.to(world.device)
        images = len(divided.parts[asked.split].picks)
        workers = workers_here(asked.workers, images=images, in_memory=False)
        judge = Judge(divided.parts[asked.split], facts, world, workers)
        run = autocast(precision(recipe, world.device), world.device)
        score = accuracy(judge.score([model], run)[0])
        broken = world.together(judge.broken)
    if world.first:
        same_data = divided.data_id == network.facts.get("data", {}).get("data_id")
        sys.stdout.write(f"{asked.split} top-1 {score_text(score)}; loss {score['loss']:.6f}\n")
        sys.stdout.write(f"{_settings(name, facts)}\n")
        for line in _compared(network.facts, asked, score, same_data=same_data):
            sys.stdout.write(f"{line}\n")
        for path, reason in broken.items():
            sys.stdout.write(f"left out: {path}: {reason}\n")
    return 0


def recipe_of(network: Network, asked: Options) -> Recipe:
    """Return the recorded recipe, or a plain one, with what was asked for in its place."""
    recorded = network.facts.get("recipe", {})
    given = {key: recorded[key] for key in FIELD if key in recorded}
    plain = {"image_size": network.preprocessing.image_size[0], "batch_size": 1, "epochs": 1}
    if network.facts.get("made_by") == "search":
        # A search draws its splits and all else from one seed.
        plain["split_seed"] = network.facts.get("seed", 0)
    fields: dict[str, Any] = {**plain, "lr": 1.0, **given}
    for key, (_, raw) in asked.fields.items():
        fields[key] = FIELD[key].read(raw)
    whole: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return Recipe(**whole)


def data_of(network: Network, asked: Options) -> tuple[str, Path | None]:
    """Return name and folder of the data to score on: as asked, else those it was trained on.

    Raises: OptionError if nobody knows.
    """
    recorded = network.facts.get("asked", {})
    trained_on = recorded.get("data") or network.facts.get("data", {}).get("name")
    name = asked.data or trained_on
    if name is None:
        raise OptionError(f"{asked.evaluate} does not say its data", hint="give --data")
    same = name == trained_on
    folder = asked.data_dir or (recorded.get("data_dir") if same else None)
    return name, Path(folder) if folder else None


def _check(network: Network, divided: Divided, asked: Options) -> None:
    """Refuse a split or images that the network cannot be scored on.

    Raises: DataError listing what does not fit.
    """
    source, mistakes = divided.source, []
    if asked.split not in divided.parts:
        mistakes.append(f"there is no {asked.split} split; it has {', '.join(divided.parts)}")
    if source.in_chans != network.in_chans:
        mistakes.append(
            f"its images have {source.in_chans} channels, the network reads {network.in_chans}"
        )
    if network.classes and tuple(source.classes) != network.classes:
        mistakes.append(
            f"its {len(source.classes)} classes are not the network's {network.num_classes}"
        )
    if mistakes:
        raise DataError.of(f"{source.name} in {source.place}", mistakes)


def _preprocessing(facts: Preprocessing, recipe: Recipe, given: set[str]) -> Preprocessing:
    """Return how images go in: as recorded, except for what was given."""
    wanted: dict[str, Any] = {
        name: getattr(recipe, name)
        for name in ("crop_pct", "crop_mode", "interpolation")
        if name in given
    }
    if "image_size" in given:
        wanted["image_size"] = (recipe.image_size, recipe.image_size)
    return replace(facts, **wanted)


def _settings(name: str, facts: Preprocessing) -> str:
    """Say on what and how it was scored."""
    high, wide = facts.image_size
    return (
        f"{name} at {high} x {wide} px, {facts.interpolation}, crop {facts.crop_pct:g} "
        f"({facts.crop_mode})"
    )


def _compared(
    facts: Mapping[str, Any], asked: Options, score: Mapping[str, Any], *, same_data: bool
) -> list[str]:
    """Compare with the record, where it has the same split of the same data."""
    recorded = facts.get("accuracy", {}).get(asked.split)
    if not recorded or not same_data:
        return ["the record has no score on these images"]
    if recorded["correct"] == score["correct"] and recorded["images"] == score["images"]:
        return ["the same as recorded"]
    said = [f"recorded: {score_text(recorded)}"]
    if facts.get("made_by") == "search":
        said.append("a search scales images otherwise; export --check-data scores as it does")
    return said
