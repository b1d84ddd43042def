"""Write JSON and text so that a reader sees the old file or the new one, never half of one."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sparx_nas.ground.errors import SparxError
from sparx_nas.ground.machine import writing

ID_LENGTH = 16


def canonical_bytes(value: Any) -> bytes:
    """Return the one spelling of a JSON value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def content_id(value: Any) -> str:
    """Return 16 hex digits of SHA-256 over the canonical bytes (64 bits: safe to 10^8 values)."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()[:ID_LENGTH]


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: write beside it, flush to disk, rename over it.

    Raises: MachineError if the disk is full or closed; the old file is then whole, and alone.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def append_line(path: Path, line: bytes, *, whole: int, durable: bool) -> None:
    """Write a line behind the first `whole` bytes of a file, all of it or nothing.

    `durable` waits for the disk.

    Raises: MachineError if the disk is full or closed; the file then ends after `whole` bytes.
    """
    with writing(path), path.open("ab", buffering=0) as file:
        if file.tell() != whole:
            file.truncate(whole)
        try:
            left = memoryview(line)
            while left:
                left = left[file.write(left) :]
            if durable:
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(whole)
            raise


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step."""
    write_bytes(path, text.encode())


def json_text(value: Any) -> str:
    """Return a JSON value as files hold it: indented, for people read it too."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step."""
    write_text(path, json_text(value))


def read_json(path: Path, error: type[SparxError] = SparxError) -> Any:
    """Read a JSON file.

    Raises: `error`, naming the file and the line, if it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise error(f"{path} is not a text file, so it is not JSON") from cause
    except json.JSONDecodeError as cause:
        raise error(f"{path}:{cause.lineno}: not valid JSON: {cause.msg}") from cause
