"""`status.json`: who drives a run, since when, and how far it is."""

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from sparx_nas.ground.errors import RunError
from sparx_nas.ground.record import read_json, write_json

STATUS = "status.json"
SCHEMA = 1
STATES = ("running", "finished", "interrupted", "failed", "exhausted")
CLOCK_SLACK_S = 2.0
"""How far two readings of one process's start may lie apart."""
FRESH_S = 120.0
"""How recent the status of a run driven from another host must be for it to count as alive."""


def write_status(path: Path, **fields: Any) -> None:
    """Update the status of a run: this process is the one that drives it.

    Fields: `state` (one of `STATES`), `trained`, `asked`, `message`; what is left out stays as it
    was. The process, the host and the times are filled in. Call it at least once a minute, for
    another host can tell a live run only by that.
    """
    assert fields.get("state", "running") in STATES, fields["state"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    file = path / STATUS
    known = read_json(file, RunError) if file.exists() else {"state": "running", "started": now}
    driver = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "process_started": psutil.Process().create_time(),
        "updated": now,
    }
    write_json(file, {"schema": SCHEMA} | known | driver | fields)


def read_status(path: Path) -> dict[str, Any]:
    """Return the status of a run; one that says it is running and is not reads as interrupted.

    Whether a run of another host still goes on is not known here: its status stays as written.

    Raises: RunError if the file is no JSON.
    """
    if not (path / STATUS).exists():
        return {"state": "interrupted"}
    status: dict[str, Any] = read_json(path / STATUS, RunError)
    here = status.get("host") == socket.gethostname()
    if status.get("state") == "running" and here and not _process_lives(status):
        status["state"] = "interrupted"
    return status


def is_alive(path: Path) -> bool:
    """Tell whether another process drives this run.

    On this host by the process and its start time; on another by a status that is fresh.
    """
    status = read_status(path)
    if status.get("state") != "running":
        return False
    if status.get("host") == socket.gethostname():
        return status.get("pid") != os.getpid()
    age = datetime.now(UTC) - datetime.fromisoformat(status["updated"])
    return age.total_seconds() < FRESH_S


def _process_lives(status: Mapping[str, Any]) -> bool:
    """Tell whether the process of a status is there, and not another under its number."""
    try:
        process = psutil.Process(status.get("pid", -1))
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        started: float = status.get("process_started", 0.0)
        return abs(process.create_time() - started) < CLOCK_SLACK_S
    except (psutil.NoSuchProcess, ValueError):
        return False
