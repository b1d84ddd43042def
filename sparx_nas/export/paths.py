"""A file that is handed on says nothing of the machine it was made on."""

import sys
from pathlib import Path

import sparx_nas
from sparx_nas.errors import ExportError

EVERYWHERE = ("/", "/usr", "/usr/local")
"""Folders that tell nothing, for other machines have them too."""


def refuse_local_paths(name: str, content: bytes) -> None:
    """Look for folders of this machine in a file: home, working folder, Python's, this package's.

    Raises: ExportError with the folder that was found.
    """
    package = Path(sparx_nas.__file__).resolve().parent
    for folder in (Path.home(), Path.cwd(), Path(sys.prefix), package):
        if str(folder) not in EVERYWHERE and str(folder).encode() in content:
            raise ExportError(f"{name} would tell of {folder}, a folder of this machine")
