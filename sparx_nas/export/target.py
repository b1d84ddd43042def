"""Where an export goes: a folder that is new, empty, or an earlier export; and its record."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sparx_nas.ground.errors import ExportError
from sparx_nas.ground.record import read_json, write_bytes, write_json

RECORD = "export.json"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Target:
    """A folder of one network's forms; `entries` say of each form how it was made and compared.

    `checked` tells how many real images all of them get right, if that was asked.

    Its record lists the files of each form, so that nothing but they is ever replaced or deleted.
    """

    folder: Path
    head: Mapping[str, Any]
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    checked: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def claim(cls, folder: Path, head: Mapping[str, Any]) -> Self:
        """Take a folder for an export; `head` tells the network, as JSON values.

        Forms that are there of the same network stay, those of another are deleted.

        Raises: ExportError if the folder holds something that is no export.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            there = any(folder.iterdir())
        except OSError as cause:
            raise ExportError(f"cannot make {folder}: {cause.strerror}", hint=_HINT) from cause
        old = _record(folder) if there else {"formats": {}}
        out = cls(folder=folder, head=head)
        same = all(old.get(name) == value for name, value in head.items())
        for name, entry in old["formats"].items():
            if same:
                out.entries[name] = entry
            else:
                out._delete(entry["files"])
        out._save()
        return out

    def put(self, name: str, files: Mapping[str, bytes], entry: Mapping[str, Any]) -> None:
        """Write the files of a form, each in one step, and enter it in the record."""
        for file, content in files.items():
            write_bytes(self.folder / file, content)
        said = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
        old = self.entries.get(name, {}).get("files", {})
        self._delete(file for file in old if file not in files)
        self.entries[name] = {"files": said, **entry}
        self._save()

    def note(self, checked: Mapping[str, Any]) -> None:
        """Enter in the record what a check on real images came to."""
        self.checked.update(checked)
        self._save()

    def drop(self, name: str) -> None:
        """Delete a form that could not be made: an older one would pass for it."""
        self._delete(self.entries.pop(name, {}).get("files", {}))
        self._save()

    def _delete(self, files: Iterable[str]) -> None:
        """Delete files of a form."""
        for file in files:
            (self.folder / file).unlink(missing_ok=True)

    def _save(self) -> None:
        """Write the record."""
        head = {"schema": SCHEMA, "kind": "export", **self.head}
        check = {"check": self.checked} if self.checked else {}
        write_json(self.folder / RECORD, {**head, **check, "formats": self.entries})


_HINT = "--to names another folder"


def _record(folder: Path) -> dict[str, Any]:
    """Read the record of an earlier export.

    Raises: ExportError if there is none.
    """
    path = folder / RECORD
    if not path.is_file():
        raise ExportError(f"{folder} holds files and no export", hint=_HINT)
    value = read_json(path, ExportError)
    formats = value.get("formats") if isinstance(value, dict) else None
    known = isinstance(formats, dict) and all(
        isinstance(entry, dict) and all(Path(file).name == file for file in entry.get("files", ""))
        for entry in formats.values()
    )
    if not known or value.get("kind") != "export":
        raise ExportError(f"{path} is not the record of an export", hint=_HINT)
    return dict(value)
