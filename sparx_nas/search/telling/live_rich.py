"""The view on a terminal: where the search stands, its front, and the trials in training."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sparx_nas.ground.quantities import duration
from sparx_nas.search.asked.settings import Settings
from sparx_nas.search.telling.progress import Progress, Running
from sparx_nas.search.telling.wording import (
    BEST,
    WIDTH,
    best_of,
    clipped,
    costs,
    counts,
    eta,
    measured,
    reason,
    sparkline,
    what_it_is,
)
from sparx_nas.trial.measures import MEASURES, amount
from sparx_nas.trial.values import TrialRecord, mark_of

FRONT_ROWS, RUNNING_ROWS = 10, 8
REPAINTS_PER_S = 4


class RichView:
    """A picture that repaints in place; lines that stay scroll above it.

    Without a terminal nothing repaints: the last picture is printed when it closes.
    """

    def __init__(
        self,
        settings: Settings,
        path: Path,
        dashboard_lines: Sequence[str],
        header: Sequence[str],
        console: Console | None = None,
    ) -> None:
        self.name, self.path = settings.name, path
        self.console = console or Console(highlight=False)
        self.console.width = min(self.console.width, WIDTH)
        self.progress: Progress | None = None
        self.since = time.monotonic()
        for line in (*header, *dashboard_lines):
            self.message(line)
        self.live = Live(
            console=self.console, get_renderable=self.picture, refresh_per_second=REPAINTS_PER_S
        )
        self.live.start()

    def message(self, text: str) -> None:
        """Print a line above the picture; long ones wrap, so that addresses stay whole."""
        self.console.print(Text(text), soft_wrap=True)

    def update(self, progress: Progress) -> None:
        """Take in where the search stands; the next repaint shows it."""
        self.progress, self.since = progress, time.monotonic()

    def finished(self, trial: TrialRecord, progress: Progress) -> None:
        """Take in a trial that ended; a failure stays as a line."""
        self.update(progress)
        if trial.state not in ("complete", "infeasible", "duplicate"):
            self.message(clipped(f"{trial.mark} {reason(trial)}", self.console.width))

    def close(self) -> None:
        """Paint a last time and give the cursor back."""
        self.live.stop()

    def picture(self) -> Group:
        """Draw the search as it is now."""
        if self.progress is None:
            return Group(Text(f"{self.name}  starting …", style="dim"))
        p, passed = self.progress, time.monotonic() - self.since
        left = None if p.eta_s is None else max(p.eta_s - passed, 0)
        width = self.console.width
        elapsed = f"{duration(p.elapsed_s + passed)}, {eta(left)}"
        parts: list[RenderableType] = [
            Text(clipped(f"{self.name} • {elapsed}", width), style="bold"),
            Text(clipped(" • ".join(counts(p)), width)),
            bar(p.trained / max(p.asked, 1), width),
        ]
        if p.front:
            parts += [Text(front_title(p), style="bold"), front_table(p)]
        if p.running:
            parts += [Text("Running", style="bold"), running_table(p.running)]
        return Group(*parts)


def bar(share: float, width: int) -> Text:
    """Draw a bar that is filled to a share of its width."""
    done = min(width, int(share * width))
    return Text.assemble(("━" * done, "green"), ("─" * (width - done), "dim"))


def front_title(progress: Progress) -> str:
    """Say how many of the front are shown and how much it has reached."""
    shown = min(FRONT_ROWS, len(progress.front))
    of = f"{shown} of {len(progress.front)}" if shown < len(progress.front) else str(shown)
    return f"Front ({of}, hypervolume {progress.hypervolume:.3f})"


def front_table(progress: Progress) -> Table:
    """List the front, the most accurate first."""
    table = _table()
    table.add_column("", justify="right")
    table.add_column("")
    names = ["top1", *costs(progress.objectives)]
    for name in names:
        table.add_column(MEASURES[name].column, justify="right")
    table.add_column("wiring", no_wrap=True, overflow="ellipsis")
    ordered = sorted(progress.front, key=lambda t: measured(t, "top1") or 0.0, reverse=True)
    best = best_of(progress.front)
    for trial in ordered[:FRONT_ROWS]:
        cells = [amount(name, measured(trial, name)) for name in names]
        star = BEST if best and trial.number == best.number else ""
        what = what_it_is(trial.architecture, trial.baseline)
        style = "cyan" if trial.baseline else ""
        table.add_row(trial.mark, Text(star, style="yellow"), *cells, what, style=style)
    return table


def running_table(running: Sequence[Running]) -> Table:
    """List the trials in training, each with its accuracy so far."""
    table = _table(head=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for trial in running[:RUNNING_ROWS]:
        last = amount("top1", trial.top1[-1] if trial.top1 else None)
        epoch = f"epoch {trial.epoch}/{trial.epochs}"
        line = Text(sparkline(trial.top1), style="green")
        table.add_row(mark_of(trial.number), epoch, last, line, trial.label)
    if len(running) > RUNNING_ROWS:
        table.add_row("", f"and {len(running) - RUNNING_ROWS} more", "", "", "")
    return table


def _table(*, head: bool = True) -> Table:
    """Return a table without lines."""
    return Table(box=None, padding=(0, 1), show_header=head, header_style="dim")
