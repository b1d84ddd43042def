"""The flags of the command line: groups, help and spelling; values stay as they were typed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, make_dataclass
from typing import Annotated, Any, NamedTuple

import tyro

from sparx_nas.train.fields import GROUPS as RECIPE_GROUPS

SWITCHES = ("dry_run", "verbose")


class Flag(NamedTuple):
    """How `--help` shows an option: what stands for its value, what it does, and its default."""

    metavar: str
    help: str
    default: str


GROUPS: Mapping[str, Mapping[str, Flag]] = {
    "what": {
        "arch": Flag("FILE|DIR|NAME", "arch.json, a run's best/, or a name: sparx_mamba_t", ""),
        "data": Flag(
            "NAME|DIR", "imagenet, digits, fashion_mnist, cifar10, cifar100, an image folder", ""
        ),
        "data_dir": Flag("DIR", "where the data set is", "where it is usually found"),
        "recipe": Flag("NAME|FILE", "imagenet, small, digits, or a YAML file", "by the data"),
    },
    "run": {
        "output": Flag("DIR", "folder of the trainings", "runs/train"),
        "name": Flag("NAME", "name of this one and of its folder", "<arch>-<data>-<date>-<time>"),
        "resume": Flag("DIR", "go on with a training's folder", "none"),
        "device": Flag("NAME", "auto (a GPU if there is one), cpu or cuda", "auto"),
        "workers": Flag("N|auto", "processes that decode images, for each of torchrun's", "auto"),
        "dry_run": Flag("", "show what would be run and what it takes; write nothing", ""),
        "verbose": Flag("", "show tracebacks", ""),
    },
    "evaluation": {
        "evaluate": Flag("DIR", "score a trained folder instead; no training", "none"),
        "split": Flag("NAME", "val or test, which --evaluate scores", "val"),
    },
}

NOT_GIVEN = "\0"
"""What an absent flag holds: no command line can."""

DESCRIPTION = """Train one architecture in full, by a recipe.

On several processes: torchrun --nproc-per-node N -m sparx_nas.train …

Every field of a recipe has a flag of its own, which wins over the recipe.
"""


def parse_flags(argv: Sequence[str], prog: str) -> dict[str, str | bool]:
    """Return the options that stand on a command line, by name; switches as true.

    `--help` and unknown flags end the process (exit 0, 2).
    """
    groups = {name: _group(name, flags) for name, flags in GROUPS.items()}
    for name, recipe_fields in RECIPE_GROUPS.items():
        flags = {key: Flag(f.metavar, f.help, "the recipe's") for key, f in recipe_fields.items()}
        groups[f"recipe_{name}"] = _group(f"recipe: {name}", flags)
    parser: Any = make_dataclass(
        "Flags", [(name, group, field(default_factory=group)) for name, group in groups.items()]
    )
    config = (tyro.conf.OmitArgPrefixes,)
    found = tyro.cli(parser, args=list(argv), prog=prog, description=DESCRIPTION, config=config)
    given = {name: value for group in asdict(found).values() for name, value in group.items()}
    return {name: value for name, value in given.items() if value not in (NOT_GIVEN, False)}


def _group(title: str, flags: Mapping[str, Flag]) -> Any:
    """Return the dataclass of one group of the help."""
    rows: list[tuple[str, Any, Any]] = []
    for name, flag in flags.items():
        shown = tyro.conf.arg(
            help=flag.help,
            metavar=flag.metavar or None,
            help_behavior_hint=f"(default: {flag.default})" if flag.default else "",
            aliases=("-v",) if name == "verbose" else None,
        )
        if name in SWITCHES:
            rows.append((name, Annotated[bool, shown, tyro.conf.FlagCreatePairsOff], False))
        else:
            rows.append((name, Annotated[str, shown], NOT_GIVEN))
    words = title.replace(":", "").title().replace(" ", "")
    return make_dataclass(words, rows)
