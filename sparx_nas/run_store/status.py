"""`status.json`: who drives a run, since when, and how far it is."""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from sparx_nas.ground.errors import MachineError, RunError
from sparx_nas.ground.record import read_json, write_json

STATUS = "status.json"
SCHEMA = 1
STATES = ("running", "finished", "interrupted", "failed", "exhausted")
CLOCK_SLACK_S = 2.0
"""How far two readings of one process's start may lie apart."""
BEAT_S, FRESH_S = 30.0, 120.0
"""How often a driver says that it lives, and how old that may be where its process is not seen."""
WRITING = threading.Lock()
"""Held while a status is read and written: the beat comes from a thread of its own."""


def write_status(path: Path, **fields: Any) -> None:
    """Update the status of a run: this process is the one that drives it.

    Fields: `state` (one of `STATES`), `trained`, `asked`, `message`; what is left out stays as it
    was. The process, its machine and the times are filled in.
    """
    assert fields.get("state", "running") in STATES, fields["state"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    driver = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "machine": _machine(),
        "process_started": psutil.Process().create_time(),
        "process_ticks": _ticks(os.getpid()),
        "updated": now,
    }
    file = path / STATUS
    with WRITING:
        known = read_json(file, RunError) if file.exists() else {"state": "running", "started": now}
        write_json(file, {"schema": SCHEMA} | known | driver | fields)


@contextmanager
def beating(path: Path) -> Iterator[None]:
    """Show other machines, which do not see this process, that a run is driven in the block."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            # A full disk is told by what has to be written; a folder that is gone stays gone.
            with suppress(MachineError, RunError):
                if (path / STATUS).exists():
                    write_status(path)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def read_status(path: Path) -> dict[str, Any]:
    """Return the status of a run; one that says it is running and is not reads as interrupted.

    On this machine that goes by the process and its start; elsewhere by the age of the status.

    Raises: RunError if the file is no JSON.
    """
    if not (path / STATUS).exists():
        return {"state": "interrupted"}
    status: dict[str, Any] = read_json(path / STATUS, RunError)
    if status.get("state") == "running" and not _driven(status):
        status["state"] = "interrupted"
    return status


def is_alive(path: Path) -> bool:
    """Tell whether another process drives this run."""
    status = read_status(path)
    own = _is_here(status) and status.get("pid") == os.getpid()
    return status.get("state") == "running" and not own


def _driven(status: Mapping[str, Any]) -> bool:
    """Tell whether the process that wrote a status still drives its run."""
    if _is_here(status):
        return _process_lives(status)
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(status["updated"])
    except (KeyError, TypeError, ValueError):
        return False
    # A status of the future is one from before the clock was put back.
    return abs(age.total_seconds()) < FRESH_S


def _is_here(status: Mapping[str, Any]) -> bool:
    """Tell whether the process of a status would be seen here."""
    known = status.get("machine", _machine())
    return status.get("host") == socket.gethostname() and known == _machine()


def _machine() -> str:
    """Return what tells this boot, and this container's processes, from others of one name."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
    return ""


def _ticks(pid: int) -> int | None:
    """Return when a process started, in ticks since the boot: a clock that nobody sets."""
    with suppress(OSError, ValueError, IndexError):
        # The name of the program, in brackets, may hold anything.
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(said.rpartition(")")[2].split()[19])
    return None


def _process_lives(status: Mapping[str, Any]) -> bool:
    """Tell whether the process of a status is there, and not another under its number."""
    try:
        process = psutil.Process(status.get("pid", -1))
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        ticks = status.get("process_ticks")
        if ticks is not None and ticks == _ticks(process.pid):
            return True
        started: float = status.get("process_started", 0.0)
        return abs(process.create_time() - started) < CLOCK_SLACK_S
    except (psutil.NoSuchProcess, ValueError):
        return False
