"""What a terminal, or a log, is told while a network trains."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sparx_nas.ground.quantities import duration, percent

WIDTH = 80


class View:
    """One live line on a terminal, a line an epoch everywhere; nothing where `quiet`.

    The time left counts the epochs of this sitting alone.
    """

    def __init__(
        self, epochs: int, *, images: int, quiet: bool, console: Console | None = None
    ) -> None:
        self.epochs, self.images, self.quiet = epochs, images, quiet
        self.console = console or Console(highlight=False, file=sys.stdout)
        self.console.width = min(self.console.width, WIDTH)
        self.begun, self.done = time.monotonic(), 0.0
        self.live: Live | None = None
        if self.console.is_terminal and not quiet:
            self.live = Live(console=self.console, refresh_per_second=4, transient=True)
            self.live.start()

    def message(self, text: str) -> None:
        """Print a line; long ones wrap."""
        if not self.quiet:
            self.console.print(Text(text), soft_wrap=True)

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Show how far an epoch is; `epoch` counts those that are done."""
        if self.live is None:
            return
        passed = time.monotonic() - self.begun
        run = max(self.done + step / steps, 1e-9)
        left = passed / run * (self.epochs - epoch - step / steps)
        speed = self.images * run / max(passed, 1e-9)
        line = (
            f"epoch {epoch + 1}/{self.epochs}  step {step}/{steps}  loss {loss:.4f}  "
            f"{speed:.0f} images/s  left {duration(left)}"
        )
        self.live.update(Text(line[:WIDTH]))

    def epoch(self, epoch: int, loss: float, top1: Mapping[str, float], seconds: float) -> None:
        """Print the line of an epoch that is done and judged; `top1` by the name of the weights."""
        self.done += 1
        left = (time.monotonic() - self.begun) / self.done * (self.epochs - epoch)
        scores = "  ".join(f"{name} {percent(value)}" for name, value in top1.items())
        wide = len(str(self.epochs))
        self.message(
            f"epoch {epoch:>{wide}}/{self.epochs}  loss {loss:.4f}  {scores}  "
            f"{duration(seconds)}  left {duration(left)}"
        )
        sys.stdout.flush()

    def close(self) -> None:
        """Give the cursor back."""
        if self.live is not None:
            self.live.stop()
