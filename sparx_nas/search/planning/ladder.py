"""The fidelities that may be planned, from the cheapest that says anything to the dearest."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SIDES = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224)
WIDTHS = (0.35, 0.5, 0.7, 1.0)
WIDER = 1.2
"""A next width is at least so much wider."""
LEAST_SIDE, LEAST_SIDE_OF_PHOTOS, PHOTO = 16, 32, 48
"""Scores were measured from 16 px on, on images as small; a photograph says little at 16."""
NARROWEST = 16
"""Width of stage 1 at least: docs/signal.md has 24, and half of it nearly as reliable at half the
time."""
LEAST_VISITS = 4320
"""Images that a training sees at least, 90 steps of 48: fewer were hardly reliable there."""
LEAST_STEPS = 45
"""Steps of a larger batch at least."""
LEAST_EPOCHS, MOST_EPOCHS = 4, 32
OF_A_CLASS = 10
"""Training images of a class at least, where there are as many."""
SPARE = 1.5
"""Up to so many times the images that are needed, all are taken."""
BATCH = 48


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the images are: how many of each split, how large, how long one takes to read.

    `native` is the shorter side of a typical one as stored; `decode_s` is 0 for images in memory.
    """

    train: int
    val: int
    test: int
    classes: int
    in_chans: int
    native: int
    decode_s: float


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One fidelity; `images` is the setting (0 for all), `train` and `val` what it comes to."""

    image_size: int
    stem_stride: int
    width: float
    epochs: int
    images: int
    batch_size: int
    train: int
    val: int


FIELDS = ("image_size", "stem_stride", "width", "epochs", "images", "batch_size")
"""What of a rung is a setting."""


def ladder(
    facts: Facts, given: Mapping[str, Any], *, first_width: int, largest_side: int
) -> list[Rung]:
    """Return the rungs, each dearer than the one before, width, side and length in turn.

    `given` settings are kept. `first_width` is that of the space's stage 1 in full, `largest_side`
    that of the target.
    """
    sides, lengths = _sides(facts, given, largest_side), _lengths(facts, given)
    widths = _widths(given, first_width)
    rungs: list[Rung] = []
    for k, i, j in _in_turn((len(widths), len(sides), len(lengths))):
        rungs.append(_rung(facts, given, sides[i], lengths[j], widths[k]))
    return rungs


def _in_turn(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Yield positions on several axes, one axis a step further each time, until all are at ends."""
    at, turn = [0] * len(sizes), 0
    yield at
    while any(i + 1 < size for i, size in zip(at, sizes, strict=True)):
        axis, turn = turn % len(sizes), turn + 1
        if at[axis] + 1 < sizes[axis]:
            at[axis] += 1
            yield at


def _sides(facts: Facts, given: Mapping[str, Any], largest: int) -> Sequence[int]:
    """Return the sides to train at: up to that of the images, or of the target."""
    if "image_size" in given:
        return (given["image_size"],)
    least = LEAST_SIDE_OF_PHOTOS if facts.native >= PHOTO else LEAST_SIDE
    most = max(least, min(facts.native, largest))
    return (*(side for side in SIDES if least <= side < most), most)


def _widths(given: Mapping[str, Any], first_width: int) -> Sequence[float]:
    """Return the multipliers that leave stage 1 wide enough."""
    if "width" in given:
        return (given["width"],)
    least = min(1.0, math.ceil(100 * NARROWEST / first_width) / 100)
    return [least, *(w for w in WIDTHS if w >= WIDER * least)]


def _lengths(facts: Facts, given: Mapping[str, Any]) -> Sequence[int]:
    """Return numbers of images seen in a training, each twice the last, that make a difference."""
    visits = max(LEAST_VISITS, LEAST_STEPS * given.get("batch_size", BATCH))
    lengths, last = [visits], _images_and_epochs(facts, given, visits)
    while last[1] < MOST_EPOCHS:
        visits *= 2
        now = _images_and_epochs(facts, given, visits)
        if now == last:
            break
        lengths.append(visits)
        last = now
    return lengths


def _images_and_epochs(facts: Facts, given: Mapping[str, Any], visits: int) -> tuple[int, int]:
    """Share a training's length out: as many images as four epochs allow, then more epochs."""
    epochs = given.get("epochs", LEAST_EPOCHS)
    most = given.get("images") or facts.train
    if "images" not in given:
        most = max(-(-visits // epochs), OF_A_CLASS * facts.classes)
    spare = 1.0 if "images" in given else SPARE
    images = facts.train if facts.train <= spare * most else most
    if "epochs" not in given:
        epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, round(visits / images)))
    return images, epochs


def _rung(facts: Facts, given: Mapping[str, Any], side: int, visits: int, width: float) -> Rung:
    """Put one fidelity together."""
    train, epochs = _images_and_epochs(facts, given, visits)
    limit = given.get("images", train if train < facts.train else 0)
    return Rung(
        image_size=side,
        # Maps are then at least as large as those of 16 px and stride 2, which was measured.
        stem_stride=given.get("stem_stride", 4 if side >= 32 else 2),
        width=width,
        epochs=epochs,
        images=limit,
        batch_size=given.get("batch_size", _batch(train)),
        train=train,
        val=min(facts.val, limit or facts.val),
    )


def _batch(train: int) -> int:
    """Return the images of a step: fewer where an epoch would be less than four."""
    return BATCH if train >= 4 * BATCH else max(8, train // 32 * 8)
