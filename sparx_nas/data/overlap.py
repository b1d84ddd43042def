"""Images that two parts of a data set share, by content, whatever the files are called."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sparx_nas.data.file_pool import FilePool
from sparx_nas.data.source import HASHED_WHOLE

SAMPLE = 1_000
"""Images of a part that are compared where there are more than `HASHED_WHOLE` together."""

Kind = tuple[int, str]
"""What files that may be the same have in common: the size, and in a large set the name."""


class Shared(NamedTuple):
    """Images of one pool that another has as well, position by position.

    `looked_for` says how many of the other were compared.
    """

    twins: Mapping[int, int]
    looked_for: int


def shared(pool: FilePool, other: FilePool) -> Shared:
    """Find the images of a pool that are in another as well.

    Files of one size are compared by their contents: all, or in a large set a sample of `other`
    with files of the same name.
    """
    whole = len(pool.files) + len(other.files) <= HASHED_WHOLE
    step = 1 if whole else -(-len(other.files) // SAMPLE)
    sought: dict[Kind, list[int]] = {}
    looked_for = range(0, len(other.files), step)
    for index in looked_for:
        sought.setdefault(_kind(other, index, whole), []).append(index)
    contents: dict[Kind, dict[bytes, int]] = {}
    twins: dict[int, int] = {}
    for index in range(len(pool.files)):
        kind = _kind(pool, index, whole)
        if kind not in sought:
            continue
        if kind not in contents:
            contents[kind] = {_content(other, twin): twin for twin in sought[kind]}
        twin = contents[kind].get(_content(pool, index))
        if twin is not None:
            twins[index] = twin
    return Shared(twins, len(looked_for))


def _kind(pool: FilePool, index: int, whole: bool) -> Kind:
    """Return what a file has in common with those that it may be the same as."""
    return pool.sizes[index], "" if whole else Path(pool.files[index]).name


def _content(pool: FilePool, index: int) -> bytes:
    """Hash a file; one that cannot be read is like no other."""
    file = pool.root / pool.files[index]
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return str(file).encode(errors="surrogateescape")
