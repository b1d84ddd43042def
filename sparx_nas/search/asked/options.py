"""What a user asks for: the options of `python -m sparx_nas.search`, read and checked.

Options come from the command line, from a `--config` file and from the run that `--resume` names;
the command line wins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sparx_nas.command import checks
from sparx_nas.command.checks import Check
from sparx_nas.ground.errors import OptionError
from sparx_nas.search.asked import values
from sparx_nas.search.asked.flags import SWITCHES, parse_flags
from sparx_nas.trial.measures import MEASURES
from sparx_nas.trial.values import Objective

SamplerChoice = Literal["auto", "tpe", "nsga2", "random"]
DeviceChoice = Literal["auto", "cpu", "cuda"]
Format = Literal["auto", "rich", "plain", "json"]
KeepWeights = Literal["front", "all", "none"]

HINT = "--help lists every option"
DEFAULT_OBJECTIVES = ("top1", "macs")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for; None is what the space, the device or the clock decides.

    Fields are named as the flags are. `time_budget` is in seconds, `constraint` holds largest
    counts by measure, `data` to `stem_stride` default to the space's `proxy`, `concurrency` and
    `gpus_per_trial` are None for auto, `device` and `sampler` say "auto".
    """

    space: str = "mamba_t"
    list_spaces: bool = False
    explain: bool = False
    config: Path | None = None
    objectives: tuple[Objective, ...] = tuple(
        Objective(name=name, direction=MEASURES[name].direction) for name in DEFAULT_OBJECTIVES
    )
    constraint: Mapping[str, int] = field(default_factory=dict)
    trials: int = 24
    time_budget: float | None = None
    max_failures: int = 10
    sampler: SamplerChoice = "auto"
    seed: int = 0
    data: str | None = None
    data_dir: Path | None = None
    epochs: int | None = None
    batch_size: int | None = None
    image_size: int | None = None
    width: float | None = None
    stem_stride: int | None = None
    lr: float = 3e-3
    drop_path: float = 0.0
    device: DeviceChoice = "auto"
    concurrency: int | None = None
    gpus_per_trial: float | None = None
    address: str | None = None
    dashboard: bool = True
    output: Path = Path("runs")
    experiment: str | None = None
    resume: Path | None = None
    storage: str | None = None
    keep_weights: KeepWeights = "front"
    dry_run: bool = False
    format: Format = "auto"
    verbose: bool = False


CHECKS: Mapping[str, Check] = {
    "space": checks.some_text,
    "config": checks.path,
    "trials": checks.whole(1),
    "time_budget": values.seconds,
    "max_failures": checks.whole(0),
    "sampler": checks.one_of("auto", "tpe", "nsga2", "random"),
    "seed": checks.whole(0, 2**31 - 1),
    "data": checks.some_text,
    "data_dir": checks.path,
    "epochs": checks.whole(1, 100_000),
    "batch_size": checks.whole(1, 1_000_000),
    "image_size": checks.whole(1, 8192),
    "width": checks.number(0, 16, open_low=True),
    "stem_stride": checks.one_of("4", "2", "1"),
    "lr": checks.number(0, 10, open_low=True),
    "drop_path": checks.number(0, 1, open_high=True),
    "device": checks.one_of("auto", "cpu", "cuda"),
    "concurrency": checks.whole(1, 4096, auto=True),
    "gpus_per_trial": checks.number(0, 64, auto=True),
    "address": checks.some_text,
    "dashboard": checks.yes_or_no,
    "output": checks.path,
    "experiment": checks.file_word,
    "resume": checks.path,
    "storage": values.url,
    "keep_weights": checks.one_of("front", "all", "none"),
    "format": checks.one_of("auto", "rich", "plain", "json"),
    "list_spaces": checks.yes_or_no,
    "explain": checks.yes_or_no,
    "dry_run": checks.yes_or_no,
    "verbose": checks.yes_or_no,
}
"""How each option but `objectives` and `constraint`, which are lists, is read."""

LIST_CHECKS = {"objectives": values.objectives, "constraint": values.constraints}

ASKED_OF_ONE_CALL = (*SWITCHES, "config", "resume")
"""What a configuration file cannot ask for."""

CONFIGURABLE = tuple(f.name for f in fields(Options) if f.name not in ASKED_OF_ONE_CALL)


class Given(NamedTuple):
    """An option as it was given: text, or texts of a list; `place` is how messages call it."""

    place: str
    raw: str | tuple[str, ...]


def defaults() -> dict[str, Any]:
    """Return what each option is when nobody gives it."""
    plain = Options()
    return {f.name: getattr(plain, f.name) for f in fields(Options)}


def command_line(argv: Sequence[str], prog: str) -> dict[str, Given]:
    """Return the options that stand on the command line, unchecked.

    `--help` and unknown flags end the process (exit 0 and 2).
    """
    found = parse_flags(argv, prog, defaults())
    return {name: Given(f"--{name.replace('_', '-')}", raw_of(v)) for name, v in found.items()}


def raw_of(value: Any) -> str | tuple[str, ...]:
    """Spell a value of a command line or a YAML file as text; a list as texts."""
    if isinstance(value, list | tuple):
        return tuple(_objective_words(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def read_options(given: Mapping[str, Given]) -> Options:
    """Check what was given; the rest takes its default.

    Raises: OptionError listing every wrong value.
    """
    found: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, (place, raw) in given.items():
        try:
            found[name] = _checked(name, raw)
        except ValueError as wrong:
            mistakes += [f"{place} {line}" for line in str(wrong).split("\n")]
    mistakes += _conflicts(given)
    if len(mistakes) == 1:
        raise OptionError(mistakes[0].rstrip("."), hint=HINT)
    if mistakes:
        items = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise OptionError(f"{len(mistakes)} options are wrong\n{items}", hint=HINT)
    return Options(**found)


def _checked(name: str, raw: str | tuple[str, ...]) -> Any:
    """Read one option."""
    if name in LIST_CHECKS:
        return LIST_CHECKS[name]((raw,) if isinstance(raw, str) else raw)
    if not isinstance(raw, str):
        raise ValueError("is a list; it is a single value.")
    value = CHECKS[name](raw)
    return int(value) if name == "stem_stride" else value


def _conflicts(given: Mapping[str, Given]) -> list[str]:
    """Return what cannot be asked for at once."""
    rules = [
        ("resume", "config", "the run has a configuration of its own"),
        ("resume", "experiment", "the run has a name"),
        ("list_spaces", "explain", "each is an answer of its own"),
        ("dry_run", "explain", "each is an answer of its own"),
    ]
    return [
        f"{given[a].place} and {given[b].place} cannot both be given: {why}."
        for a, b, why in rules
        if a in given and b in given
    ]


def _objective_words(item: Any) -> str:
    """Spell an item of a list; `{name: macs, direction: min}` is `macs:min`."""
    if isinstance(item, Mapping) and set(item) == {"name", "direction"}:
        return f"{item['name']}:{item['direction']}"
    return str(item)
