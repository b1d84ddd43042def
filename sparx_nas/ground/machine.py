"""What a machine refuses (room, rights, open files), as errors that name the place and the fix."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sparx_nas.ground.errors import MachineError
from sparx_nas.ground.quantities import si

FULL = (errno.ENOSPC, errno.EDQUOT)
HANDLES = (errno.EMFILE, errno.ENFILE)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file that is written in the block, and its disk, where the system refuses to.

    Raises: MachineError.
    """
    try:
        yield
    except OSError as cause:
        raise refusal(cause, path) from cause


def refusal(cause: OSError, path: Path | None = None) -> MachineError:
    """Say what the system refused, at `path` where the error itself names no file."""
    known = Path(os.fsdecode(cause.filename)) if cause.filename else path
    at = f" {known}" if known else ""
    reason = cause.strerror or str(cause)
    if cause.errno in HANDLES:
        return MachineError(
            f"cannot open{at or ' another file'}: {reason} ({_handles()})",
            hint="allow more (ulimit -n 4096), or run fewer things at once",
        )
    disk = f"; {_disk(known)}" if known else ""
    if cause.errno in FULL:
        said = "the disk is full" if cause.errno == errno.ENOSPC else "the quota is used up"
        return MachineError(f"cannot write{at}: {said}{disk}", hint="make room there")
    if cause.errno == errno.EFBIG:
        return MachineError(f"cannot write{at}: {reason}", hint="allow larger files (ulimit -f)")
    if cause.errno in CLOSED:
        return MachineError(f"cannot use{at}: {reason}{disk}", hint="make the place writable")
    if cause.errno == errno.ENOENT:
        return MachineError(f"cannot use{at}: it is not there", hint="bring the place back")
    return MachineError(f"cannot use{at}: {reason}", hint="-v shows where it happened")


def _disk(path: Path) -> str:
    """Name the disk of a file, which need not be there yet, and what is free on it."""
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    said = ""
    with suppress(OSError):
        said = f", {si(shutil.disk_usage(place).free, 'B')} free"
    while not place.is_mount() and place != place.parent:
        place = place.parent
    return f"it is on {place}{said}"


def _handles() -> str:
    """Say how many files this process may open."""
    try:
        import resource
    except ImportError:
        return "there is a limit for each process"
    return f"a process may have {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} open"
