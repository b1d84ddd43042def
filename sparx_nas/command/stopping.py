"""Ending work before its time: Ctrl-C, SIGTERM, SIGHUP, too many failures."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What asks a process to end; all end it alike."""
Handler = Callable[[int, FrameType | None], None] | signal.Handlers
ONE_S = 1.0
"""Signals within so many seconds are one: `timeout` tells a process, and then its group."""
LOOKS_S = 1.0
"""How often a worker looks for its parent."""


def ended_by(name: str) -> int:
    """Return the exit code of a process that a signal ended; 0 for what is no signal's name."""
    return 128 + signal.Signals[name] if name in signal.Signals.__members__ else 0


def end_with_parent(parent: int) -> None:
    """End this process, a worker of `parent`, soon after that one is gone, whatever ended it."""

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(LOOKS_S)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def stand_apart() -> None:
    """Let no signal but a kill reach this worker: its parent hears them and ends it."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Stop:
    """Whether the work was asked to stop, and why; asked twice, it stops at once."""

    def __init__(self) -> None:
        self.reason, self.since = "", 0.0

    @property
    def asked(self) -> bool:
        """Tell whether anybody asked."""
        return bool(self.reason)

    @property
    def exit_code(self) -> int:
        """Return what the process ends with."""
        return ended_by(self.reason)

    def ask(self, reason: str) -> None:
        """Stop after the writes under way."""
        self.reason = self.reason or reason

    def on_signal(self, number: int, _: FrameType | None) -> None:
        """Ask on the first signal, interrupt on the second."""
        if not self.asked:
            self.since = time.monotonic()
        elif time.monotonic() - self.since > ONE_S:
            raise KeyboardInterrupt(number)
        self.ask(signal.Signals(number).name)


@contextmanager
def deaf() -> Iterator[None]:
    """Let processes that are started in the block, and this one meanwhile, pass over signals."""
    with _heard_by(signal.SIG_IGN):
        yield


@contextmanager
def listening() -> Iterator[Stop]:
    """Turn the signals that end a process into a request to stop while the block runs."""
    stop = Stop()
    with _heard_by(stop.on_signal):
        yield stop


@contextmanager
def interruptible() -> Iterator[None]:
    """Let every signal that ends a process raise KeyboardInterrupt, as Ctrl-C does, in the block.

    Its argument is the signal.
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    with _heard_by(interrupt):
        yield


@contextmanager
def _heard_by(handler: Handler) -> Iterator[None]:
    """Set a handler of signals while the block runs; one that is passed over stays so (nohup)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = {number: old for number, old in before.items() if old != signal.SIG_IGN}
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in heard.items():
            signal.signal(number, old)
