"""What a calibration prints: a line while it trains, a screen at its end."""

import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from sparx_nas.ground.quantities import counted, duration, percent
from sparx_nas.search.calibrating.levels import WANTED, Level, proposed
from sparx_nas.search.telling.wording import WIDTH
from sparx_nas.trial.noise import above_chance
from sparx_nas.trial.reliability import Reliability

HEAD = "  epochs   images    top-1   seeds  designs   reliability       of 3  a training"


class Line:
    """Progress on one line of a terminal; elsewhere a line a level."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()

    def say(self, text: str, *, ends: bool = False) -> None:
        """Show where it stands; a line that `ends` stays."""
        if self.live:
            sys.stderr.write(f"\r\033[K{text}" + ("\n" if ends else ""))
        elif ends:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def screen(levels: Sequence[Level], why: str, data: Mapping[str, Any]) -> str:
    """Return the table of levels, what it means, and why it ended; `data` describes the images."""
    best = proposed(levels)
    rows = [_row(level, chosen=level is best) for level in levels]
    lines = ["", HEAD, *rows, "", *textwrap.wrap(_meaning(best, levels, data), WIDTH)]
    lines += textwrap.wrap(why, WIDTH) if why else []
    return "\n".join(lines) + "\n"


def _row(level: Level, *, chosen: bool) -> str:
    """Return the line of a level; the proposed one has a mark."""
    found = level.scores
    mark = ">" if chosen else " "
    row = f"{mark} {level.epochs:>6} {level.images:>8,} {100 * level.top1:>6.1f} %"
    if found is None:
        return f"{row}   no spread was measured"
    spreads = [_spread(level, spread) for spread in (found.within, found.between)]
    row += f" {spreads[0]:>7} {spreads[1]:>8}   {_interval(found):<17}"
    return f"{row} {max(found.of_mean(3)[0], 0.0):.2f} {duration(level.seconds):>11}"


def _spread(level: Level, value: float) -> str:
    """Write a standard deviation: of top-1 in points, of a loss in nats."""
    return f"{100 * value:.2f}" if level.measure == "top1" else f"{value:.4f}"


def _interval(found: Reliability) -> str:
    """Write a reliability with its interval."""
    return f"{max(found.one, 0.0):.2f} ({found.low:.2f}-{found.high:.2f})"


def _meaning(best: Level | None, levels: Sequence[Level], data: Mapping[str, Any]) -> str:
    """Say what to do."""
    top1 = levels[0].measure == "top1"
    score = "validation top-1 in points" if top1 else "validation loss in nats"
    columns = (
        f"seeds and designs: standard deviations of {score}, between the trainings of one design "
        "and between designs; reliability: the share of a single score's variance that is between "
        "designs, with its 95 % interval. "
    )
    if best is None or best.scores is None or best.seeds is None:
        return columns + _nothing(levels, data)
    share, low, high = best.scores.of_mean(best.seeds)
    trainings = counted(best.seeds, "training")
    return (
        f"{columns}Proposed: {counted(best.epochs, 'epoch')}, {trainings} a candidate, for a "
        f"reliability of {share:.2f} ({low:.2f} to {high:.2f}; {WANTED:g} was asked for) at "
        f"{duration(best.seeds * best.seconds)} of one place."
    )


def _nothing(levels: Sequence[Level], data: Mapping[str, Any]) -> str:
    """Say why no level can be proposed, and what to change."""
    tried = max(levels, key=lambda level: level.seconds)
    upto = f"up to {counted(tried.epochs, 'epoch')} of {tried.images:,} images"
    chance, images = data["commonest_class"], min(tried.images, data["splits"]["val"])
    if not above_chance([answer.top1 for answer in tried.answers], chance, images):
        return (
            f"The networks learned nothing that can be seen, {upto}: always naming one class gives "
            f"{percent(chance)}. Give more --minutes or larger images (--image-size), and see that "
            "the labels are right."
        )
    return (
        f"At none of these fidelities is it sure that a few seeds make a score that ranks designs: "
        f"{upto} it may be all noise. Give more --minutes, --designs or --repeats, more or harder "
        "images, or search among designs that differ more."
    )
