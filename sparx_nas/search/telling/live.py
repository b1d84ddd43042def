"""The views of a running search: on a terminal, line by line, or for a machine."""

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from sparx_nas.ground.quantities import counted, duration
from sparx_nas.search.asked.limits import limit_words
from sparx_nas.search.asked.settings import Settings
from sparx_nas.search.telling.data_words import data_words
from sparx_nas.search.telling.live_json import JsonView
from sparx_nas.search.telling.live_rich import RichView
from sparx_nas.search.telling.progress import Progress, View
from sparx_nas.search.telling.wording import (
    BEST,
    WIDTH,
    clipped,
    costs,
    eta,
    measured,
    reason,
    what_it_is,
)
from sparx_nas.trial.measures import MEASURES, amount
from sparx_nas.trial.values import TrialRecord


class PlainView:
    """One line for each trial that ends; what logs, pipes and batch jobs keep."""

    def __init__(
        self, settings: Settings, path: Path, dashboard_lines: Sequence[str], out: TextIO
    ) -> None:
        self.out = out
        for line in (*header(settings, path), *dashboard_lines, "", trial_heads(settings)):
            self.message(line)

    def message(self, text: str) -> None:
        """Write a line."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def update(self, progress: Progress) -> None:
        """Say nothing: epochs are too many for lines that stay."""

    def finished(self, trial: TrialRecord, progress: Progress) -> None:
        """Write the trial's line."""
        self.message(trial_line(trial, progress))

    def close(self) -> None:
        """Leave the stream as it is."""
        self.out.flush()


def make_view(settings: Settings, path: Path, dashboard_lines: Sequence[str]) -> View:
    """Open the view that is asked for on standard output; "auto" is rich on a terminal, else plain.

    `path` is the run's folder, `dashboard_lines` what opens the dashboards. The JSON view writes
    its messages to standard error.
    """
    if settings.format == "json":
        return JsonView(settings, path, dashboard_lines, sys.stdout, sys.stderr)
    if settings.format == "rich" or (settings.format == "auto" and sys.stdout.isatty()):
        return RichView(settings, path, dashboard_lines, header(settings, path))
    return PlainView(settings, path, dashboard_lines, sys.stdout)


def header(settings: Settings, path: Path) -> list[str]:
    """Say what is searched, on what, and where it goes."""
    names = ", ".join(f"{o.name} {o.direction}" for o in settings.objectives)
    epochs = counted(settings.epochs, "epoch")
    limits = f"  limits    {limit_words(settings.constraints, settings.limit_sources)}"
    seeds = f", each the mean of {settings.seeds} seeds" if settings.seeds > 1 else ""
    images = f", {settings.images:,} images" if settings.images else ""
    lines = [
        f"{settings.name}: {settings.trials} architectures of {settings.space}, {names}",
        f"  training  {settings.data}{images}, {epochs} at {settings.image_size} px, "
        f"{settings.width:g} of full width, batch {settings.batch_size}",
        f"  search    {settings.sampler}, seed {settings.seed}{seeds}",
    ]
    hung = " " * 12
    return [
        *(clipped(line) for line in lines),
        *textwrap.wrap(limits, WIDTH, subsequent_indent=hung),
        f"  run       {path}",
    ]


def data_lines(described: Mapping[str, Any]) -> list[str]:
    """Say on which images it is searched, and how they were divided, below the header."""
    return [
        line
        for i, words in enumerate(data_words(described))
        for line in textwrap.wrap(
            f"  {'data' if i == 0 else '':<10}{words}",
            WIDTH,
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def trial_heads(settings: Settings) -> str:
    """Return the heads of the columns of `trial_line`."""
    cells = [MEASURES[name].column.rjust(8) for name in ("top1", *costs(settings.objectives))]
    return f"  {'#':<4}  {' '.join(cells)}  wiring"


def trial_line(trial: TrialRecord, progress: Progress) -> str:
    """Write an ended trial on one line: number, values, what it is, time, what is left."""
    number = trial.mark.ljust(5)
    if trial.state != "complete":
        what = what_it_is(trial.architecture, trial.baseline)
        return clipped(f"  {number} {what}, {reason(trial)}")
    on_front = trial.number in {member.number for member in progress.front}
    names = ("top1", *costs(progress.objectives))
    cells = [amount(name, measured(trial, name)).rjust(8) for name in names]
    left = eta(progress.eta_s) if progress.trained < progress.asked else ""
    done = f"{progress.trained}/{progress.asked}".rjust(2 * len(str(progress.asked)) + 1)
    tail = f"{duration(trial.seconds):>8}  {done}  {left:<13}"
    head = f"{BEST if on_front else ' '} {number} {' '.join(cells)}  "
    room = WIDTH - len(head) - len(tail) - 2
    what = what_it_is(trial.architecture, trial.baseline, room)
    return clipped(f"{head}{what.ljust(room)}  {tail}".rstrip())
