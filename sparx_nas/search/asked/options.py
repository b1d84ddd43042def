"""What a user asks for: the options of `python -m sparx_nas.search`, read and checked.

Options come from the command line, from a `--config` file and from the run that `--resume` names;
the command line wins.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from sparx_nas.command.checks import file_word, number, one_of, path, some_text, stride, whole
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
from sparx_nas.search.asked import values
from sparx_nas.trial.measures import MEASURES
from sparx_nas.trial.values import Objective

SamplerChoice = Literal["auto", "tpe", "nsga2", "random"]
DeviceChoice = Literal["auto", "cpu", "cuda"]
Format = Literal["auto", "rich", "plain", "json"]
KeepWeights = Literal["front", "all", "none"]

LEAST_STATISTICS = 16
"""Images that say something of a mean and a variance."""
DEFAULT_OBJECTIVES = ("val_loss", "macs")
_from_space = partial(option, None, said="from the space")
"""An option whose default is in the `proxy` section of the space file."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for; None is what the space, the device or the clock decides.

    Fields are named as the flags are. `time_budget` is in seconds, `constraint` holds largest
    counts by measure, `data` to `stem_stride` default to the space's `proxy`, `concurrency` and
    `gpus_per_trial` are None for auto, `device` and `sampler` say "auto".
    """

    space: str = option(
        "mamba_t", some_text, "NAME|FILE", "the search space, by name or as the path of a YAML file"
    )
    list_spaces: bool = switch("list the spaces that have a name, and end")
    explain: bool = switch("say what the space holds, with drawings, and end")
    config: Path | None = option(
        None, path, "FILE", "YAML file of options, such as a run's config.yaml; flags win"
    )
    objectives: tuple[Objective, ...] = option(
        tuple(
            Objective(name=name, direction=MEASURES[name].direction) for name in DEFAULT_OBJECTIVES
        ),
        values.objectives,
        "NAMES",
        "of top1, val_loss, macs, params, activation_bytes, latency_ms",
        ",".join(DEFAULT_OBJECTIVES),
        "words",
    )
    constraint: Mapping[str, int] = option(
        dict,
        values.constraints,
        "RULE",
        "a limit on params, macs, activation_bytes, weight_bytes or published_flops: "
        "'params<=30M' (repeatable; default: the space's limits)",
        "",
        "repeated",
    )
    trials: int = option(9, whole(1), "N", "distinct architectures to train, besides the baselines")
    time_budget: float | None = option(
        None, values.seconds, "TIME", "start no trial after this: 90s, 30m, 2h, 1h30m"
    )
    plan: bool = switch(
        "choose what is left open so that it fills --time-budget; where --space is left out, too, "
        "a --time-budget alone asks for that"
    )
    max_failures: int = option(10, whole(0), "N", "give up when more trials than this have failed")
    sampler: SamplerChoice = option(
        "auto",
        one_of(*get_args(SamplerChoice)),
        "NAME",
        "auto (tpe up to 100 trials, then nsga2), tpe, nsga2 or random",
    )
    seed: int = option(0, whole(0, 2**31 - 1), "N", "decides candidates, splits and weights")
    data: str | None = _from_space(
        some_text, "NAME|DIR", "digits, fashion_mnist, cifar10, cifar100, an image folder"
    )
    data_dir: Path | None = option(
        None, path, "DIR", "where the data set is", "where the data set is usually found"
    )
    images: int | None = _from_space(
        whole(0), "N", "images of train and of val at most, each class in its share; 0: all"
    )
    epochs: int | None = _from_space(whole(1, 100_000), "N", "epochs of a trial")
    batch_size: int | None = _from_space(whole(1, 1_000_000), "N", "images of a training step")
    image_size: int | None = _from_space(whole(1, 8192), "PX", "side of a training image")
    width: float | None = _from_space(
        number(0, 16, open_low=True), "X", "multiplier of all widths in training, 1 for full width"
    )
    stem_stride: int | None = _from_space(
        stride, "4|2|1", "stride of the stem in training, 4 as published"
    )
    seeds: int | None = _from_space(
        whole(1, 1000),
        "N",
        "trainings of a candidate; its score is their mean (baselines: 3 at least)",
    )
    statistics_images: int = option(
        128,
        values.zero_or(LEAST_STATISTICS),
        "N",
        "training images that BatchNorm statistics are taken of before a score; 0: running ones",
    )
    val_copies: int = option(
        1,
        whole(0, 1000),
        "N",
        "augmented copies of each validation image that a score is taken of; 0: the images",
    )
    lr: float = option(3e-3, number(0, 10, open_low=True), "RATE", "peak learning rate of AdamW")
    drop_path: float = option(
        0.0,
        number(0, 1, open_high=True),
        "RATE",
        "stochastic depth, up to this rate in the last layer",
    )
    device: DeviceChoice = option(
        "auto", one_of(*get_args(DeviceChoice)), "NAME", "auto (a GPU if there is one), cpu or cuda"
    )
    concurrency: int | None = option(
        None, whole(1, 4096, auto=True), "N|auto", "trials at a time", "auto"
    )
    gpus_per_trial: float | None = option(
        None,
        number(0, 64, auto=True),
        "X|auto",
        "GPUs of a trial, such as 0.5; auto is 1 on a GPU",
        "auto",
    )
    address: str | None = option(
        None, some_text, "HOST:PORT", "Ray cluster to join", "$RAY_ADDRESS, else none"
    )
    dashboard: bool = switch("Ray's dashboard on this machine", on=True)
    output: Path = option(Path("runs"), path, "DIR", "folder of the runs")
    experiment: str | None = option(
        None, file_word, "NAME", "name of the run and of its folder", "<space>-<date>-<time>"
    )
    resume: Path | None = option(
        None, path, "RUN", "go on with a run folder; its options hold unless given anew"
    )
    storage: str | None = option(
        None, values.url, "URL", "Optuna storage of the study", "study.db in the run"
    )
    keep_weights: KeepWeights = option(
        "front", one_of(*get_args(KeepWeights)), "WHOSE", "front, all or none"
    )
    dry_run: bool = switch("show what would be done and what it would take; write nothing")
    format: Format = option(
        "auto",
        one_of(*get_args(Format)),
        "FORM",
        "auto (rich on a terminal, otherwise plain), rich, plain or json",
    )
    verbose: bool = switch("show tracebacks and the log")


OPTIONS = options_of(Options)
GROUPS = {
    "what": ("space", "list_spaces", "explain", "config"),
    "goal": ("objectives", "constraint"),
    "budget": ("trials", "time_budget", "plan", "max_failures"),
    "search": ("sampler", "seed"),
    "train": (
        *("data", "data_dir", "images", "epochs", "batch_size", "image_size", "width"),
        *("stem_stride", "seeds", "statistics_images", "val_copies"),
        *("lr", "drop_path"),
    ),
    "resources": ("device", "concurrency", "gpus_per_trial", "address", "dashboard"),
    "run": ("output", "experiment", "resume", "storage", "keep_weights", "dry_run"),
    "output": ("format", "verbose"),
}
"""Which options stand together in the help."""
ASKED_OF_ONE_CALL = ("list_spaces", "explain", "dry_run", "verbose", "config", "resume", "plan")
"""What a configuration file cannot ask for."""
CONFIGURABLE = tuple(name for name in OPTIONS if name not in ASKED_OF_ONE_CALL)

DESCRIPTION = """Search the wirings of a vision backbone: train candidates, keep the Pareto front.

A wiring says which layers are ganglion layers and what each of them reads. A normal layer reads
the layer before it. A ganglion layer also reads several earlier outputs of its stage, by a dynamic
multi-layer channel aggregator (DMCA): the sparse cross-layer connections of SparX
(arXiv 2409.09649).

The published SparX design and the plain and dense ones are always trained for comparison.
"""


def command_line(argv: Sequence[str], prog: str) -> dict[str, Given]:
    """Return the options that stand on the command line, unchecked.

    `--help` and unknown flags end the process (exit 0 and 2).
    """
    groups = {group: {name: OPTIONS[name] for name in names} for group, names in GROUPS.items()}
    return parse_flags(groups, argv, prog=prog, description=DESCRIPTION)


def read_options(given: Mapping[str, Given]) -> Options:
    """Check what was given; the rest takes its default.

    Raises: OptionError listing every wrong value.
    """
    mistakes: list[str] = []
    found = read_all(given, OPTIONS, mistakes)
    rules = [
        ("resume", "config", "the run has a configuration of its own"),
        ("resume", "experiment", "the run has a name"),
        ("resume", "plan", "a run goes on as it was planned"),
        ("list_spaces", "explain", "each is an answer of its own"),
        ("dry_run", "explain", "each is an answer of its own"),
    ]
    mistakes += exclusions(given, rules)
    if found.get("plan") and "time_budget" not in given:
        mistakes.append("--plan needs a time to fill: --time-budget 1h.")
    refuse(mistakes, f"{len(mistakes)} options are wrong", hint=HINT)
    return Options(**found)


def asks_for_plan(asked: Options, given: Collection[str]) -> bool:
    """Tell whether a plan shall fill the time: by its word, or where a time is all that is said."""
    return asked.plan or ("time_budget" in given and "space" not in given)
