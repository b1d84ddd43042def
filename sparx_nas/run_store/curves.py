"""`curves.jsonl`: what the study cannot hold, appended as it happens, one JSON object a line.

Kinds of record, each with the number of its trial: `start` (forgets what an interrupted attempt
wrote), `epoch`, `end` (written before the study is told, so that no finished trial is lost) and
`test`. A kill can tear only the last line; it is ignored, and cut off before the next append.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sparx_nas.ground.errors import RunError
from sparx_nas.ground.record import append_line
from sparx_nas.trial.latency import Latency
from sparx_nas.trial.values import Epoch

CURVES = "curves.jsonl"
METRICS = {field.name: field.default for field in fields(Epoch)}
"""By the default of those that older records lack."""


@dataclass(frozen=True, kw_only=True)
class End:
    """How a trial's training ended; `objectives` by name, `seconds` of wall time."""

    number: int
    objectives: Mapping[str, float]
    top1: float | None
    seconds: float
    device: str
    proxy_cost: Mapping[str, Any]
    latency: Latency | None = None


@dataclass(frozen=True)
class Curve:
    """The latest attempt at a trial; `test` is the share of test images right, a training each."""

    epochs: tuple[Epoch, ...] = ()
    end: End | None = None
    test: tuple[float, ...] = ()


def log_start(path: Path, number: int, **facts: Any) -> None:
    """Say that a trial begins to train; its earlier epochs no longer count."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    _append(path, {"kind": "start", "trial": number, "time": time, **facts})


def log_epoch(path: Path, number: int, epoch: Epoch) -> None:
    """Record an epoch; numbers that are not finite are written as null."""
    metrics = {key: _finite(value) for key, value in asdict(epoch).items()}
    _append(path, {"kind": "epoch", "trial": number, **metrics})


def log_end(path: Path, end: End) -> None:
    """Record that a trial has its values; it is on disk when this returns."""
    values = asdict(end)
    _append(path, {"kind": "end", "trial": values.pop("number"), **values}, durable=True)


def log_test(path: Path, number: int, *, correct: Sequence[int], images: int) -> None:
    """Record how many of the test images each training of a trial has right."""
    record = {"kind": "test", "trial": number, "correct": list(correct), "images": images}
    _append(path, record, durable=True)


def read_curves(path: Path) -> dict[int, Curve]:
    """Return the curve of every trial that has one; a file that is not there yet has none.

    Raises: RunError naming the line that is no record, unless it is a last line cut short.
    """
    curves: dict[int, Curve] = {}
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for place, line in enumerate(lines, 1):
        if place == len(lines) and (not line or _torn(line)):
            break
        try:
            record = json.loads(line)
            number = record["trial"]
            curves[number] = _extended(curves.get(number, Curve()), record)
        except (ValueError, KeyError, TypeError) as cause:
            fix = "delete the line to go on without it"
            raise RunError(f"{path}:{place}: not a record of a curve: {fix}") from cause
    return curves


def _extended(curve: Curve, record: Mapping[str, Any]) -> Curve:
    """Add a record to the curve of its trial."""
    kind = record["kind"]
    if kind == "start":
        return Curve()
    if kind == "epoch":
        known = {n: record[n] if v is MISSING else record.get(n, v) for n, v in METRICS.items()}
        epoch = Epoch.from_dict({name: _read(value) for name, value in known.items()})
        return replace(curve, epochs=(*curve.epochs, epoch))
    if kind == "end":
        names = [f.name for f in fields(End) if f.name not in ("number", "latency")]
        said = record.get("latency")
        latency = Latency.from_dict(said) if said else None
        known = {name: record[name] for name in names}
        end = End(number=record["trial"], latency=latency, **known)
        return replace(curve, end=end)
    if kind == "test":
        correct = record["correct"]
        each = correct if isinstance(correct, list) else [correct]  # one, in older records
        return replace(curve, test=tuple(count / record["images"] for count in each))
    raise ValueError(f"no such kind of record: {kind}")


def _append(path: Path, record: Mapping[str, Any], *, durable: bool = False) -> None:
    """Add a line after mending the one before; `durable` waits for the disk.

    Raises: MachineError if it cannot be written; nothing of it is then in the file.
    """
    line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    whole, missing = _ended(path)
    append_line(path, missing + line, whole=whole, durable=durable)


def _ended(path: Path) -> tuple[int, bytes]:
    """Return how many bytes of a file are whole records, and the newline if that is missing."""
    if not path.exists():
        return 0, b""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        if file.read() in (b"", b"\n"):
            return size, b""
        file.seek(0)
        last = file.read().rsplit(b"\n", 1)[-1]
    return (size - len(last), b"") if _torn(last) else (size, b"\n")


def _torn(line: bytes) -> bool:
    """Tell whether a line without its newline is less than a record."""
    try:
        return not isinstance(json.loads(line), dict)
    except ValueError:
        return True


def _finite(value: Any) -> Any:
    """Write what JSON has no number for as null."""
    if isinstance(value, tuple):
        return [_finite(one) for one in value]
    return value if math.isfinite(value) else None


def _read(value: Any) -> Any:
    """Read what `_finite` wrote."""
    if isinstance(value, list):
        return [_read(one) for one in value]
    return math.nan if value is None else value
