"""Files of weights: downloaded once, their checksum recorded then and checked ever after."""

import hashlib
import http.client
import os
import pickle
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sparx_nas.ground.errors import DataError
from sparx_nas.ground.record import write_text
from sparx_nas.models.names import unwrapped

CACHE = "SPARX_NAS_CACHE"
"""Environment variable of the folder for downloads; by default ~/.cache/sparx_nas."""
CHUNK = 2**20
TIMEOUT_S = 60
DAMAGE = (
    SafetensorError,
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    KeyError,
    pickle.UnpicklingError,
)
"""What the readers of weights raise on a damaged file, each in its own way."""


def downloaded(url: str, *, cache_dir: str | Path | None = None) -> Path:
    """Return the local copy of a file at an address, downloading it the first time.

    Its SHA-256 is written beside it then, and compared whenever the copy is used.

    Raises: DataError if it cannot be fetched, or the copy is no longer what was downloaded.
    """
    folder = Path(cache_dir) if cache_dir else _cache() / "checkpoints"
    name = Path(unquote(urlsplit(url).path)).name or "weights"
    # Files of two releases may be called the same.
    path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}"
    record = path.with_name(path.name + ".sha256")
    if not path.exists():
        _fetch(url, path, record)
        return path
    said, found = _recorded(record), digest(path)
    if said != found:
        raise DataError(
            f"{path} has SHA-256 {found}, and {record.name} says {said}",
            hint="delete both files to download it again",
        )
    return path


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read the state dict in a file of safetensors or of torch, on the CPU; no code is run.

    Raises: DataError if the file is missing or damaged, ArchitectureError if it holds none.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return unwrapped(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as cause:
        raise DataError(f"there is no file {path}") from cause
    except DAMAGE as cause:
        reason = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        raise DataError(f"{path} holds no weights that can be read: {reason}") from cause


def _cache() -> Path:
    """Return the folder for what can be fetched again."""
    return Path(os.environ.get(CACHE) or "~/.cache/sparx_nas").expanduser()


def _recorded(record: Path) -> str:
    """Return the checksum in a record; "nothing" if there is none."""
    text = record.read_text(encoding="utf-8", errors="replace") if record.exists() else ""
    return next(iter(text.split()), "nothing")


def _fetch(url: str, path: Path, record: Path) -> None:
    """Download a file beside its place, record its checksum, and then put it there.

    Raises: DataError naming address and reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise DataError(
            f"cannot keep downloads in {path.parent}: {cause}",
            hint=f"set {CACHE} to a folder that can be written to",
        ) from cause
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, part.open("wb") as file:
            expected = answer.headers.get("Content-Length")
            while block := answer.read(CHUNK):
                file.write(block)
        if expected is not None and part.stat().st_size != int(expected):
            raise OSError(f"{part.stat().st_size} of {expected} bytes came")
        write_text(record, f"{digest(part)}  {path.name}\n")
        part.replace(path)
    except (OSError, ValueError, http.client.HTTPException) as cause:
        raise DataError(
            f"cannot download {url}: {cause}",
            hint=f"download it yourself, and give its path; downloads are kept in {path.parent}",
        ) from cause
    finally:
        part.unlink(missing_ok=True)
