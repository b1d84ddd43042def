"""What an export is asked for: text from the command line, checked and turned into values."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sparx_nas.ground.errors import OptionError, did_you_mean

Split = Literal["val", "test"]
FORMATS = ("safetensors", "onnx", "torch_export", "python", "card")
"""In the order in which they are made: a card tells of the others."""
OPSETS = (18, 23)
"""The oldest opset that torch's exporter writes, and the newest that is tried here."""
ALL = "all"
DESIGN_FORMATS = ("python", "card")
"""What is made of an untrained design where nothing is named: a file to train, and what it is."""
WEIGHTS_OF_PYTHON = "safetensors"
"""The form whose file of weights `model.py` reads."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A real split on which every form has to get the same images right."""

    data: str
    data_dir: Path | None
    split: Split


@dataclass(frozen=True, kw_only=True)
class Full:
    """A design at full size with new weights, for so many classes and channels.

    None stands for those of the data that the design was searched or trained on.
    """

    classes: int | None = None
    in_chans: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """An export to make.

    `image_size` is (height, width) in pixels of the forms whose size is fixed; None stands for the
    network's own. `to` None stands for `export` in the folder. With `full` the weights in the
    folder are left aside, and the design is exported untrained.
    """

    folder: Path
    to: Path | None = None
    formats: tuple[str, ...] = FORMATS
    image_size: tuple[int, int] | None = None
    dynamic_batch: bool = True
    opset: int = OPSETS[0]
    check: Check | None = None
    full: Full | None = None


def read_request(
    folder: Path,
    *,
    to: Path | None,
    formats: Sequence[str],
    image_size: str,
    dynamic_batch: bool,
    opset: int,
    check: Check | None,
    full: Full | None = None,
) -> Request:
    """Check what was typed; `image_size` is "" and `formats` empty where nothing was.

    Raises: OptionError listing every mistake.
    """
    mistakes: list[str] = []

    def tried(option: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except ValueError as wrong:
            mistakes.append(f"{option} {wrong}")
            return None

    found = {
        "formats": tried("--formats", lambda: _formats(formats, untrained=full is not None)),
        "image_size": tried("--image-size", lambda: _size(image_size)),
        "opset": tried("--opset", lambda: _opset(opset)),
    }
    if full is not None:
        mistakes += _full_mistakes(full, check)
    if check is None or mistakes:
        pass
    elif found["image_size"] and found["image_size"][0] != found["image_size"][1]:
        mistakes.append("--check-data scores square images, and --image-size is not square")
    if mistakes:
        raise OptionError.of("command line", mistakes)
    return Request(
        folder=folder, to=to, dynamic_batch=dynamic_batch, check=check, full=full, **found
    )


def _full_mistakes(full: Full, check: Check | None) -> list[str]:
    """List what of a full-size export cannot be."""
    numbers = {"--classes": full.classes, "--in-chans": full.in_chans}
    said = [
        f"{name} is {number}; it is 1 or more"
        for name, number in numbers.items()
        if number is not None and number < 1
    ]
    if check is not None:
        said.append("--check-data scores trained networks, and --full exports an untrained one")
    return said


def _formats(words: Sequence[str], *, untrained: bool) -> tuple[str, ...]:
    """Read names apart by commas or blanks; `all` stands for all.

    The file of plain PyTorch brings the weights that it reads, if there are any.
    """
    names = [name for word in words for name in re.split(r"[,\s]+", word) if name]
    if not any(words):
        names = list(DESIGN_FORMATS) if untrained else [ALL]
    if "python" in names and not untrained:
        names.append(WEIGHTS_OF_PYTHON)
    unknown = [name for name in names if name not in (*FORMATS, ALL)]
    if unknown:
        near = did_you_mean(unknown[0], (*FORMATS, ALL))
        raise ValueError(f"has {unknown[0]!r}; known are {', '.join(FORMATS)} and all.{near}")
    if not names:
        raise ValueError(f"names nothing; known are {', '.join(FORMATS)} and all.")
    return tuple(name for name in FORMATS if name in names or ALL in names)


def _size(text: str) -> tuple[int, int] | None:
    """Read `224`, or height and width as `33,47` or `33x47`."""
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,5})(?:[,x](\d{1,5}))?", text)
    sides = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if min(sides) < 1:
        raise ValueError(f"is {text!r}; it is a side in pixels, or height and width as 33,47.")
    return sides


def _opset(number: int) -> int:
    """Check a number of ONNX's operator set."""
    low, high = OPSETS
    if not low <= number <= high:
        raise ValueError(f"is {number}; it is a whole number from {low} to {high}.")
    return number
