"""Read recipes: files with their lines, names of those that are shipped, and flags on top."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from sparx_nas.command.config_file import given_in_file
from sparx_nas.command.options import Given, read_all, refuse
from sparx_nas.ground.errors import OptionError, did_you_mean
from sparx_nas.ground.tree import Entry, Mistakes, read_tree
from sparx_nas.train.recipe import FIELD, SCHEMA, SIZED, SIZES, Recipe

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
FOR_PICTURES = "photos"
"""The same of an image folder, and of a data set that timm reads."""


def recipe_names() -> list[str]:
    """List the recipes that have a name."""
    return sorted(p.name.removesuffix(".yaml") for p in SHIPPED.iterdir() if p.name[-5:] == ".yaml")


def recipe_text(asked: str | None, data: str) -> tuple[str, str]:
    """Return the text of a recipe and how to call it: the file or name asked for, or by the data.

    Raises: OptionError if there is none.
    """
    name = asked or DEFAULTS.get(data, FOR_PICTURES)
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
    entries = tree.value if tree else {}
    if "schema" in entries and (schema := entries["schema"].value) != SCHEMA:
        line = entries["schema"].line
        mistakes.add_line(line, f"schema: is {schema}; this version reads {SCHEMA}")
    given = given_in_file(tree, mistakes, known=FIELD, skipped=HEAD, called="field")
    if mistakes.found:
        _note_values(given, entries, mistakes)
    mistakes.raise_all(OptionError)
    return given


def _note_values(
    given: Mapping[str, Given], entries: Mapping[str, Entry], mistakes: Mistakes
) -> None:
    """Note the wrong values of a file that has other mistakes; `read_recipe` never sees those."""
    for name, (_, raw) in given.items():
        for one in raw.values() if isinstance(raw, Mapping) else [raw]:
            try:
                FIELD[name].read(one)
            except ValueError as wrong:
                mistakes.add_line(entries[name].line, f"{name}: {wrong}")


def read_recipe(given: Mapping[str, Given], size: str) -> Recipe:
    """Check what was given for a network of the size t, s or b; the rest takes its default.

    Raises: OptionError listing every wrong or missing field and every contradiction.
    """
    mistakes = [f"{name}: missing; a recipe has one" for name in REQUIRED if name not in given]
    found = read_all(_of_size(given, size, mistakes), FIELD, mistakes)
    if not mistakes:
        mistakes = contradictions(Recipe(**found))
    refuse(mistakes, f"the recipe has {len(mistakes)} mistakes")
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


def _of_size(given: Mapping[str, Given], size: str, mistakes: list[str]) -> dict[str, Given]:
    """Return what holds for a size, adding to `mistakes` what leaves a size out."""
    found = dict(given)
    for name in SIZED:
        if name in given and isinstance(raw := given[name].raw, Mapping):
            if set(raw) == set(SIZES):
                found[name] = given[name]._replace(raw=raw[size])
            else:
                sizes = f"has {', '.join(raw)}; by size it has {', '.join(SIZES)}."
                mistakes.append(f"{found.pop(name).place} {sizes}")
    return found
