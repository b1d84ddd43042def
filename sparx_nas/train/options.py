"""What a user asks for: the options of `python -m sparx_nas.train`, read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sparx_nas.command import checks
from sparx_nas.command.checks import Check
from sparx_nas.ground.errors import OptionError
from sparx_nas.train.fields import FIELD
from sparx_nas.train.flags import parse_flags
from sparx_nas.train.reading import Given

HINT = "--help lists every option"
OUTPUT = Path("runs/train")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for; None is what the data or the machine decides.

    `fields` are those of the recipe that were given as flags, unchecked.
    """

    arch: str | None = None
    data: str | None = None
    data_dir: Path | None = None
    recipe: str | None = None
    output: Path = OUTPUT
    name: str | None = None
    resume: Path | None = None
    evaluate: Path | None = None
    split: Literal["val", "test"] = "val"
    device: str = "auto"
    workers: int | None = None
    dry_run: bool = False
    verbose: bool = False
    fields: Mapping[str, Given] = field(default_factory=dict)


CHECKS: Mapping[str, Check] = {
    "arch": checks.some_text,
    "data": checks.some_text,
    "data_dir": checks.path,
    "recipe": checks.some_text,
    "output": checks.path,
    "name": checks.file_word,
    "resume": checks.path,
    "evaluate": checks.path,
    "split": checks.one_of("val", "test"),
    "device": checks.one_of("auto", "cpu", "cuda"),
    "workers": checks.whole(0, 1024, auto=True),
}
JUDGING = ("batch_size", "image_size", "crop_pct", "crop_mode", "interpolation", "amp", "limit")
"""Fields of a recipe that an evaluation may be given."""


def read_options(argv: Sequence[str], prog: str) -> Options:
    """Read a command line.

    `--help` and unknown flags end the process (exit 0 and 2).

    Raises: OptionError listing every wrong or missing option.
    """
    given = parse_flags(argv, prog)
    found: dict[str, Any] = {}
    fields: dict[str, Given] = {}
    mistakes = _conflicts(given)
    for name, raw in given.items():
        place = f"--{name.replace('_', '-')}"
        check = CHECKS.get(name) or (FIELD[name].check if name in FIELD else None)
        try:
            value = check(str(raw)) if check else raw
        except ValueError as wrong:
            mistakes.append(f"{place} {wrong}")
            continue
        if name in FIELD:
            fields[name] = Given(place, str(raw))
        else:
            found[name] = value
    if len(mistakes) == 1:
        raise OptionError(mistakes[0].rstrip("."), hint=HINT)
    if mistakes:
        items = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise OptionError(f"{len(mistakes)} options are wrong\n{items}", hint=HINT)
    return Options(**found, fields=fields)


def _conflicts(given: Mapping[str, Any]) -> list[str]:
    """Return what is missing, and what cannot be asked for at once."""
    mistakes = []
    alone = "evaluate" in given or "resume" in given
    if not alone:
        wants = {"arch": "an architecture", "data": "a data set"}
        mistakes += [
            f"--{name} is missing: a training needs {what}."
            for name, what in wants.items()
            if name not in given
        ]
    pairs = [("resume", other) for other in ("evaluate", "name", "output")]
    pairs += [("evaluate", other) for other in ("arch", "recipe", "name", "output", "dry_run")]
    mistakes += [
        f"--{a} and --{b.replace('_', '-')} cannot both be given."
        for a, b in pairs
        if a in given and b in given
    ]
    if "split" in given and "evaluate" not in given:
        mistakes.append("--split is for --evaluate; a training decides it.")
    if "evaluate" in given:
        strange = [name for name in given if name in FIELD and name not in JUDGING]
        mistakes += [f"--{n.replace('_', '-')} does not matter to --evaluate." for n in strange]
    return mistakes
