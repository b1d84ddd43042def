"""A file that is handed on says nothing of the machine it was made on."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sparx_nas
from sparx_nas.ground.errors import ExportError

EVERYWHERE = ("/", "/usr", "/usr/local")
"""Folders that tell nothing, for other machines have them too."""


def refuse_local_paths(name: str, content: bytes) -> None:
    """Look for folders of this machine in a file: home, working folder, Python's, this package's.

    Raises: ExportError with the folder that was found.
    """
    package = Path(sparx_nas.__file__).resolve().parent
    for folder in (Path.home(), Path.cwd(), Path(sys.prefix), package):
        if str(folder) not in EVERYWHERE and _tells_of(folder, content):
            raise ExportError(f"{name} would tell of {folder}, a folder of this machine")


def _tells_of(folder: Path, content: bytes) -> bool:
    """Tell whether a folder stands in a content.

    A single word such as /data is a part of names that every file of a form has (model/data/...),
    so it has to stand by itself.
    """
    text = str(folder).encode()
    if len(folder.parts) > 2:
        return text in content
    return re.search(rb"(?<![\w./-])" + re.escape(text) + rb"(?![\w-])", content) is not None


def without_folders(value: Any) -> Any:
    """Return JSON values in which every absolute path is its last part alone."""
    if isinstance(value, Mapping):
        return {name: without_folders(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(part) for part in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value
