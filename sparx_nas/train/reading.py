"""Read recipes: files with their lines, names of those that are shipped, and flags on top."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from sparx_nas.ground.errors import OptionError, did_you_mean
from sparx_nas.space.tree import Entry, Mistakes, read_tree
from sparx_nas.train.fields import FIELD
from sparx_nas.train.recipe import FIELDS, SCHEMA, SIZED, SIZES, Recipe

HEAD = ("schema", "about")
REQUIRED = ("image_size", "batch_size", "epochs", "lr")
SHIPPED = files("sparx_nas.train") / "recipes"
DEFAULTS: Mapping[str, str] = {
    "imagenet": "imagenet",
    "digits": "digits",
    "fashion_mnist": "small",
    "cifar10": "small",
    "cifar100": "small",
}
"""The recipe of a data set when nobody names one."""


class Given(NamedTuple):
    """A field as it was given: text, or texts by size; `place` is how messages call it."""

    place: str
    raw: str | Mapping[str, str]


def recipe_names() -> list[str]:
    """List the recipes that have a name."""
    return sorted(p.name.removesuffix(".yaml") for p in SHIPPED.iterdir() if p.name[-5:] == ".yaml")


def recipe_text(asked: str | None, data: str) -> tuple[str, str]:
    """Return the text of a recipe and how to call it: the file or name asked for, or by the data.

    Raises: OptionError if there is none, or none is asked for and the data have none of their own.
    """
    name = asked or DEFAULTS.get(data)
    if name is None:
        raise OptionError(
            f"which recipe? {data} has none of its own",
            hint=f"--recipe {' or '.join(recipe_names())}, or a YAML file",
        )
    if name in recipe_names():
        return (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8"), f"recipe {name}"
    path = Path(name).expanduser()
    try:
        return path.read_text(encoding="utf-8-sig"), str(path)
    except UnicodeDecodeError as cause:
        raise OptionError(f"--recipe {path} is not a text file") from cause
    except OSError as cause:
        near = did_you_mean(name, recipe_names())
        raise OptionError(
            f"there is no recipe {name!r}: {cause.strerror}.{near}",
            hint=f"known: {', '.join(recipe_names())}, or a YAML file",
        ) from cause


def given_in(text: str, place: str) -> dict[str, Given]:
    """Return the fields that a YAML text gives; null gives nothing.

    Raises: OptionError with every key that is no field, beside it every value that is none of its
    field, and everything that is no YAML.
    """
    mistakes = Mistakes(place)
    tree = read_tree(text, mistakes)
    out = {}
    for key, entry in (tree.value if tree else {}).items():
        if key == "schema" and entry.value != SCHEMA:
            mistakes.add_line(entry.line, f"schema: is {entry.value}; this version reads {SCHEMA}")
        if key in HEAD:
            continue
        if key not in FIELDS:
            near = did_you_mean(key, FIELDS) or f" Known are {', '.join(FIELDS)}."
            mistakes.add_line(entry.line, f"{key}: unknown field.{near}")
        elif entry.value is not None:
            out[key] = Given(f"{place}:{entry.line}: {key}", _raw(entry))
    if mistakes.found and tree:
        _note_values(out, {key: entry.line for key, entry in tree.value.items()}, mistakes)
    _raise_all([f"{place}:{line}: {text}" for line, text in sorted(mistakes.found)], place)
    return out


def _note_values(given: Mapping[str, Given], lines: Mapping[str, int], mistakes: Mistakes) -> None:
    """Note the wrong values of a file that has other mistakes; `read_recipe` never sees those."""
    for name, (_, raw) in given.items():
        for text in [raw] if isinstance(raw, str) else raw.values():
            try:
                FIELD[name].check(text)
            except ValueError as wrong:
                mistakes.add_line(lines[name], f"{name}: {wrong}")


def read_recipe(given: Mapping[str, Given], size: str) -> Recipe:
    """Check what was given for a network of the size t, s or b; the rest takes its default.

    Raises: OptionError listing every wrong or missing field and every contradiction.
    """
    found: dict[str, Any] = {}
    mistakes = [f"{name}: missing; a recipe has one" for name in REQUIRED if name not in given]
    for name, (place, raw) in given.items():
        try:
            found[name] = FIELD[name].check(_of_size(name, raw, size))
        except ValueError as wrong:
            mistakes += [f"{place} {line}" for line in str(wrong).split("\n")]
    if not mistakes:
        mistakes = contradictions(Recipe(**found))
    _raise_all(mistakes, "the recipe")
    return Recipe(**found)


def contradictions(recipe: Recipe) -> list[str]:
    """List what a recipe cannot have at once, as sentences."""
    rules = [
        (recipe.warmup_epochs >= recipe.epochs and recipe.warmup_epochs > 0,
         f"warmup_epochs is {recipe.warmup_epochs}, but the rate has only {recipe.epochs} epochs "
         "(epochs) to rise and fall; give fewer, or --warmup-epochs 0"),
        (recipe.min_lr > recipe.lr, f"min_lr {recipe.min_lr:g} is above lr {recipe.lr:g}"),
        (recipe.warmup_lr > recipe.lr, f"warmup_lr {recipe.warmup_lr:g} is above lr {recipe.lr:g}"),
        (recipe.ema_warmup and not recipe.ema, "ema_warmup is true, but there is no ema"),
        (recipe.batch_size < 2 * recipe.accumulate,
         f"batch_size {recipe.batch_size} is too small for {recipe.accumulate} passes of 2 images "
         "(accumulate)"),
    ]  # fmt: skip
    return [text for wrong, text in rules if wrong]


def _raise_all(mistakes: list[str], where: str) -> None:
    """Raise: OptionError with all mistakes, if there are any."""
    if len(mistakes) == 1:
        raise OptionError(mistakes[0].rstrip("."))
    if mistakes:
        items = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise OptionError(f"{where} has {len(mistakes)} mistakes\n{items}")


def _raw(entry: Entry) -> str | dict[str, str]:
    """Spell a value of a YAML file as text, lists with commas; a mapping as texts."""
    value = entry.value
    if isinstance(value, dict):
        return {key: str(_raw(inner)) for key, inner in value.items()}
    if isinstance(value, list):
        return ",".join(str(_raw(item)) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_size(name: str, raw: str | Mapping[str, str], size: str) -> str:
    """Return the text that holds for a size.

    Raises: ValueError if the field has one value for all, or the size is missing.
    """
    if isinstance(raw, str):
        return raw
    if name not in SIZED:
        raise ValueError("is a mapping; it is one value.")
    if set(raw) != set(SIZES):
        raise ValueError(f"has {', '.join(raw)}; by size it has {', '.join(SIZES)}.")
    return raw[size]
