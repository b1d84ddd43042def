"""What a user asks for: the options of `python -m sparx_nas.train`, read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sparx_nas.command.checks import file_word, one_of, path, some_text, whole
from sparx_nas.command.flags import parse_flags
from sparx_nas.command.options import (
    HINT,
    Given,
    exclusions,
    option,
    options_of,
    read_all,
    refuse,
    switch,
)
from sparx_nas.train.recipe import FIELD, GROUPS


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for; None is what the data or the machine decides.

    `fields` are those of the recipe that were given as flags, unchecked.
    """

    arch: str | None = option(
        None, some_text, "FILE|DIR|NAME", "arch.json, a run's best/, or a name: sparx_mamba_t", ""
    )
    data: str | None = option(
        None,
        some_text,
        "NAME|DIR",
        "imagenet, digits, fashion_mnist, cifar10, cifar100, an image folder",
        "",
    )
    data_dir: Path | None = option(
        None, path, "DIR", "where the data set is", "where it is usually found"
    )
    recipe: str | None = option(
        None,
        some_text,
        "NAME|FILE",
        "imagenet, photos, small, digits, or a YAML file",
        "by the data",
    )
    output: Path = option(Path("runs/train"), path, "DIR", "folder of the trainings")
    name: str | None = option(
        None, file_word, "NAME", "name of this one and of its folder", "<arch>-<data>-<date>-<time>"
    )
    resume: Path | None = option(None, path, "DIR", "go on with a training's folder")
    device: str = option(
        "auto", one_of("auto", "cpu", "cuda"), "NAME", "auto (a GPU if there is one), cpu or cuda"
    )
    workers: int | None = option(
        None,
        whole(0, 1024, auto=True),
        "N|auto",
        "processes that decode images, for each of torchrun's",
        "auto",
    )
    dry_run: bool = switch("show what would be run and what it takes; write nothing", "")
    verbose: bool = switch("show tracebacks", "")
    evaluate: Path | None = option(None, path, "DIR", "score a trained folder instead; no training")
    split: Literal["val", "test"] = option(
        "val", one_of("val", "test"), "NAME", "val or test, which --evaluate scores"
    )
    fields: Mapping[str, Given] = field(default_factory=dict)


OPTIONS = options_of(Options)
OWN_GROUPS = {
    "what": ("arch", "data", "data_dir", "recipe"),
    "run": ("output", "name", "resume", "device", "workers", "dry_run", "verbose"),
    "evaluation": ("evaluate", "split"),
}
JUDGING = ("batch_size", "image_size", "crop_pct", "crop_mode", "interpolation", "amp", "limit")
"""Fields of a recipe that an evaluation may be given."""

DESCRIPTION = """Train one architecture in full, by a recipe.

It is a backbone of which some layers may be ganglion layers, which read several earlier ones, and
the others normal layers: what a search found, or a published network.

On several processes: torchrun --nproc-per-node N -m sparx_nas.train …

Every field of a recipe has a flag of its own, which wins over the recipe.
"""


def read_options(argv: Sequence[str], prog: str) -> Options:
    """Read a command line.

    `--help` and unknown flags end the process (exit 0 and 2).

    Raises: OptionError listing every wrong or missing option.
    """
    rows = OPTIONS | FIELD
    named = OWN_GROUPS | {f"recipe_{group}": names for group, names in GROUPS.items()}
    groups = {group: {name: rows[name] for name in names} for group, names in named.items()}
    given = parse_flags(groups, argv, prog=prog, description=DESCRIPTION)
    mistakes = _conflicts(given)
    found = read_all(given, rows, mistakes)
    refuse(mistakes, f"{len(mistakes)} options are wrong", hint=HINT)
    own = {name: value for name, value in found.items() if name in OPTIONS}
    return Options(**own, fields={name: given[name] for name in given if name in FIELD})


def _conflicts(given: Mapping[str, Given]) -> list[str]:
    """Return what is missing, and what cannot be asked for at once."""
    mistakes = []
    if "evaluate" not in given and "resume" not in given:
        wants = {"arch": "an architecture", "data": "a data set"}
        mistakes += [
            f"--{name} is missing: a training needs {what}."
            for name, what in wants.items()
            if name not in given
        ]
    rules = [("resume", other, "") for other in ("evaluate", "name", "output")]
    rules += [("evaluate", other, "") for other in ("arch", "recipe", "name", "output", "dry_run")]
    mistakes += exclusions(given, rules)
    if "split" in given and "evaluate" not in given:
        mistakes.append("--split is for --evaluate; a training decides it.")
    if "evaluate" in given:
        strange = [name for name in given if name in FIELD and name not in JUDGING]
        mistakes += [f"{given[name].place} does not matter to --evaluate." for name in strange]
    return mistakes
