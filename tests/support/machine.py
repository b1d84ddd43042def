"""A machine without room: files refuse to be written, as those of a full disk do."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest


def full_after(monkeypatch: pytest.MonkeyPatch, room: int, below: Path | None = None) -> None:
    """Let files that are opened to be written take so many bytes together, then no more.

    Reading goes on; with `below` files elsewhere have room.
    """
    left, opened = [room], Path.open

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            taken = min(left[0], len(data))
            if not taken and len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left[0] -= taken
            return super().write(bytes(data)[:taken])

    def open_(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if not {"w", "a", "x", "+"} & set(mode) or (below and below not in path.absolute().parents):
            return opened(path, mode, *args, **options)
        raw = Full(path, mode.replace("b", "").replace("t", ""))
        if options.get("buffering") == 0:
            return raw
        buffered = io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered)

    monkeypatch.setattr(Path, "open", open_)
