"""Work of several processes on one device, of which some has to be alone."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Room:
    """A device that processes of one machine share, by locks on files in a folder.

    Locks end with the process that holds them, so nobody waits for one that was killed. Who is to
    be alone waits until the others have left, and meanwhile nobody enters.
    """

    folder: Path

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Work beside others in the block; waits while someone is alone, or waits to be."""
        with self._file("inside") as inside:
            with self._file("door") as door:
                fcntl.flock(door, fcntl.LOCK_EX)
                fcntl.flock(inside, fcntl.LOCK_SH)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Work alone in the block; no `shared` of the same process may be open."""
        with ExitStack() as held:
            door, inside = (held.enter_context(self._file(n)) for n in ("door", "inside"))
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(inside, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _file(self, name: str) -> Iterator[IO[bytes]]:
        """Open one of the two files; closing it ends its lock."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / name).open("ab") as file:
            yield file
