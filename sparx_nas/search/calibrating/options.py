"""The options of `sparx-nas calibrate`: those that say how a search trains, and its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparx_nas.command.checks import number, path, whole
from sparx_nas.command.flags import parse_flags
from sparx_nas.command.options import HINT, Given, option, options_of, read_all, refuse, switch
from sparx_nas.search.asked.options import OPTIONS, Options, read_options

SHARED = {
    "what": ("space", "objectives"),
    "train": (
        *("data", "data_dir", "batch_size", "image_size", "width", "stem_stride"),
        *("statistics_images", "val_copies", "lr", "drop_path", "seed"),
    ),
    "resources": ("device", "concurrency"),
}
"""Options of a search that a calibration takes, by their group in the help."""

DESCRIPTION = """Say how much of a short training's score is signal, on your own images.

Trains a few wirings with several seeds at growing fidelities within the time
given, says how reliable a score is at each and what it costs, and writes
settings for a search: --config takes the file.
"""


@dataclass(frozen=True, kw_only=True)
class Own:
    """What only a calibration asks; `minutes` of wall time."""

    minutes: float = option(10.0, number(0, 10**6, open_low=True), "M", "minutes that it may take")
    designs: int = option(8, whole(3, 1000), "N", "wirings to train, the baselines among them")
    repeats: int = option(3, whole(2, 100), "N", "trainings of each at each fidelity")
    most_epochs: int = option(16, whole(1, 100_000), "N", "epochs of the last fidelity at most")
    write: Path = option(Path("calibrated.yaml"), path, "FILE", "where the settings go")
    verbose: bool = switch("show tracebacks")


OWN = options_of(Own)


def command_line(argv: Sequence[str], prog: str) -> dict[str, Given]:
    """Return the options that stand on the command line, unchecked.

    `--help` and unknown flags end the process (exit 0 and 2).
    """
    shared = {group: {name: OPTIONS[name] for name in names} for group, names in SHARED.items()}
    own = {"calibration": OWN}
    return parse_flags(shared | own, argv, prog=prog, description=DESCRIPTION)


def read(given: Mapping[str, Given]) -> tuple[Own, Options]:
    """Check what was given; the rest takes its default.

    Raises: OptionError listing every wrong value.
    """
    mistakes: list[str] = []
    mine = {name: value for name, value in given.items() if name in OWN}
    found: dict[str, Any] = read_all(mine, OWN, mistakes)
    refuse(mistakes, f"{len(mistakes)} options are wrong", hint=HINT)
    return Own(**found), read_options({k: v for k, v in given.items() if k not in OWN})
