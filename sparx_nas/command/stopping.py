"""Ending a search or a training before its time: Ctrl-C, SIGTERM, too many failures."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143}
LOOKS_S = 1.0
"""How often a worker looks for its parent."""


def end_with_parent(parent: int) -> None:
    """End this process, a worker of `parent`, soon after that one is gone, whatever ended it."""

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(LOOKS_S)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


class Stop:
    """Whether the work was asked to stop, and why; asked twice, it stops at once."""

    def __init__(self) -> None:
        self.reason = ""

    @property
    def asked(self) -> bool:
        """Tell whether anybody asked."""
        return bool(self.reason)

    @property
    def exit_code(self) -> int:
        """Return what the process ends with."""
        return EXIT_CODES.get(self.reason, 0)

    def ask(self, reason: str) -> None:
        """Stop after the writes under way."""
        self.reason = self.reason or reason

    def on_signal(self, number: int, _: FrameType | None) -> None:
        """Ask on the first signal, interrupt on the second."""
        if self.asked:
            raise KeyboardInterrupt
        self.ask(signal.Signals(number).name)


@contextmanager
def deaf() -> Iterator[None]:
    """Let processes that are started in the block, and this one meanwhile, pass over Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def listening() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a request to stop while the block runs."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop.on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
