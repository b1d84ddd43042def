"""The flags of the command line: groups, help and spelling; values stay as they were typed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, make_dataclass
from typing import Annotated, Any, NamedTuple

import tyro

SWITCHES = ("list_spaces", "explain", "dry_run", "verbose")
TWO_WAY = ("dashboard",)
FROM_SPACE = ("data", "epochs", "batch_size", "image_size", "width", "stem_stride")
"""Options whose default is in the `proxy` section of the space file."""


class Flag(NamedTuple):
    """How `--help` shows an option: what stands for its value, and what it does."""

    metavar: str
    help: str


GROUPS: Mapping[str, Mapping[str, Flag]] = {
    "what": {
        "space": Flag("NAME|FILE", "the search space, by name or as the path of a YAML file"),
        "list_spaces": Flag("", "list the spaces that have a name, and end"),
        "explain": Flag("", "say what the space holds, with drawings, and end"),
        "config": Flag("FILE", "YAML file of options, such as a run's config.yaml; flags win"),
    },
    "goal": {
        "objectives": Flag("NAMES", "of top1, macs, params, activation_bytes, latency_ms"),
        "constraint": Flag(
            "RULE",
            "a limit on params, macs, activation_bytes, weight_bytes or published_flops: "
            "'params<=30M'",
        ),
    },
    "budget": {
        "trials": Flag("N", "distinct architectures to train, besides the baselines"),
        "time_budget": Flag("TIME", "start no trial after this: 90s, 30m, 2h, 1h30m"),
        "max_failures": Flag("N", "give up when more trials than this have failed"),
    },
    "search": {
        "sampler": Flag("NAME", "auto (tpe up to 100 trials, then nsga2), tpe, nsga2 or random"),
        "seed": Flag("N", "decides candidates, splits and weights"),
    },
    "train": {
        "data": Flag("NAME|DIR", "digits, fashion_mnist, cifar10, cifar100, an image folder"),
        "data_dir": Flag("DIR", "where the data set is"),
        "epochs": Flag("N", "epochs of a trial"),
        "batch_size": Flag("N", "images of a training step"),
        "image_size": Flag("PX", "side of a training image"),
        "width": Flag("X", "multiplier of all widths in training, 1 for full width"),
        "stem_stride": Flag("4|2|1", "stride of the stem in training, 4 as published"),
        "lr": Flag("RATE", "peak learning rate of AdamW"),
        "drop_path": Flag("RATE", "stochastic depth, up to this rate in the last layer"),
    },
    "resources": {
        "device": Flag("NAME", "auto (a GPU if there is one), cpu or cuda"),
        "concurrency": Flag("N|auto", "trials at a time"),
        "gpus_per_trial": Flag("X|auto", "GPUs of a trial, such as 0.5; auto is 1 on a GPU"),
        "address": Flag("HOST:PORT", "Ray cluster to join"),
        "dashboard": Flag("", "Ray's dashboard on this machine"),
    },
    "run": {
        "output": Flag("DIR", "folder of the runs"),
        "experiment": Flag("NAME", "name of the run and of its folder"),
        "resume": Flag("RUN", "go on with a run folder; its options hold unless given anew"),
        "storage": Flag("URL", "Optuna storage of the study"),
        "keep_weights": Flag("WHOSE", "front, all or none"),
        "dry_run": Flag("", "show what would be done and what it would take; write nothing"),
    },
    "output": {
        "format": Flag("FORM", "auto (rich on a terminal, otherwise plain), rich, plain or json"),
        "verbose": Flag("", "show tracebacks and the log"),
    },
}
HINTS: Mapping[str, str] = {
    "config": "(default: none)",
    "constraint": "(repeatable; default: the space's limits)",
    "objectives": "(default: top1,macs)",
    "time_budget": "(default: none)",
    "data_dir": "(default: where the data set is usually found)",
    "gpus_per_trial": "(default: auto)",
    "concurrency": "(default: auto)",
    "address": "(default: $RAY_ADDRESS, else none)",
    "experiment": "(default: <space>-<date>-<time>)",
    "resume": "(default: none)",
    "storage": "(default: study.db in the run)",
}
"""What the help says of a default that is no plain value."""

NOT_GIVEN = "\0"
"""What an absent flag holds: no command line can."""

DESCRIPTION = """Search the wirings of a vision backbone: train candidates, keep the Pareto front.

The published SparX design and the plain and dense ones are always trained for comparison.
"""


def parse_flags(argv: Sequence[str], prog: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that stand on a command line, by name: text, tuples of text, or booleans.

    `defaults` are only shown in the help. `--help` and unknown flags end the process (exit 0, 2).
    """
    groups = {name: _group(name, flags, defaults) for name, flags in GROUPS.items()}
    parser: Any = make_dataclass(
        "Flags", [(name, group, field(default_factory=group)) for name, group in groups.items()]
    )
    config = (tyro.conf.OmitArgPrefixes,)
    found = tyro.cli(parser, args=list(argv), prog=prog, description=DESCRIPTION, config=config)
    given = {name: value for group in asdict(found).values() for name, value in group.items()}
    asked = {flag for flag in SWITCHES if given[flag]}
    asked |= {flag for flag in TWO_WAY if {f"--{flag}", f"--no-{flag}"} & set(argv)}
    switches = (*SWITCHES, *TWO_WAY)
    return {
        name: value
        for name, value in given.items()
        if (name in asked if name in switches else value not in (NOT_GIVEN, ()))
    }


def _group(name: str, flags: Mapping[str, Flag], defaults: Mapping[str, Any]) -> Any:
    """Return the dataclass of one group of the help."""
    rows = [(flag, *_row(flag, shown, defaults[flag])) for flag, shown in flags.items()]
    return make_dataclass(name.capitalize(), rows)


def _row(name: str, flag: Flag, default: Any) -> tuple[Any, Any]:
    """Return the annotation of a flag, and what it holds when it is not given.

    Annotations are plain classes: tyro checks others with a package that takes 0.1 s to load.
    """
    hint = "(default: from the space)" if name in FROM_SPACE else HINTS.get(name)
    shown = tyro.conf.arg(
        help=flag.help,
        metavar=flag.metavar or None,
        help_behavior_hint=hint or f"(default: {_spelled(default)})",
        aliases=("-v",) if name == "verbose" else None,
    )
    if name in SWITCHES:
        return Annotated[bool, shown, tyro.conf.FlagCreatePairsOff], False
    if name in TWO_WAY:
        return Annotated[bool, shown], True
    if name == "constraint":
        return Annotated[tuple, shown, tyro.conf.UseAppendAction], ()
    if name == "objectives":
        return Annotated[tuple, shown], ()
    return Annotated[str, shown], NOT_GIVEN


def _spelled(default: Any) -> str:
    """Spell a default as a user would type it."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return str(default)
