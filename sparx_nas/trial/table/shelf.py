"""Where tables are: those of the package, by name, and files, by path; one npz each."""

import io
import json
import zipfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import SparxError, did_you_mean
from sparx_nas.ground.record import write_bytes
from sparx_nas.trial.table.table import Table, TableError

SUFFIX = ".npz"
SCHEMA = 1
CURVES = ("val_loss", "val_loss_error", "top1", "train_loss", "seconds")
TRAININGS = ("design", "seed", "test_correct")
COST = "cost_"


def open_table(name: str) -> Table:
    """Open a table of the package by the name of its space, or a file by its path.

    Raises: TableError if there is none, with those that there are.
    """
    if name.endswith(SUFFIX) or "/" in name:
        return read_table(Path(name))
    if name not in shipped():
        near = did_you_mean(name, shipped())
        raise TableError(
            f"there is no table {name!r}.{near}",
            hint=f"shipped are {', '.join(shipped()) or 'none'}; a path ends in {SUFFIX}",
        )
    return _read(_folder().joinpath(f"{name}{SUFFIX}").read_bytes(), name)


def shipped() -> list[str]:
    """List the spaces that the package has a table of."""
    names = [entry.name for entry in _folder().iterdir()] if _folder().is_dir() else []
    return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))


def read_table(path: Path) -> Table:
    """Read a table from a file.

    Raises: TableError if it is missing, or no table.
    """
    try:
        return _read(path.read_bytes(), str(path))
    except OSError as cause:
        raise TableError(f"cannot read {path}: {cause.strerror}") from cause


def write_table(table: Table, path: Path) -> None:
    """Write a table, compressed, in one step; losses and shares in single precision."""
    arrays: dict[str, Any] = {
        "about": _packed({"schema": SCHEMA} | dict(table.about)),
        "designs": _packed([design.to_dict() for design in table.designs]),
        "baselines": _packed({str(place): name for place, name in table.baselines.items()}),
    }
    arrays |= {f"{COST}{name}": values for name, values in table.costs.items()}
    arrays |= {name: getattr(table, name).astype(np.int32) for name in TRAININGS}
    arrays |= {name: table.curves[name].astype(np.float32) for name in CURVES}
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    write_bytes(path, out.getvalue())


def _read(content: bytes, where: str) -> Table:
    """Read a table from the bytes of its file."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = _unpacked(arrays["about"])
        if about["schema"] != SCHEMA:
            raise TableError(
                f"{where}: a table of schema {about['schema']}, this version reads {SCHEMA}",
                hint="another version of sparx-nas wrote it",
            )
        return Table(
            designs=tuple(Architecture.from_dict(d) for d in _unpacked(arrays["designs"])),
            baselines={int(k): name for k, name in _unpacked(arrays["baselines"]).items()},
            costs={
                name.removeprefix(COST): values
                for name, values in arrays.items()
                if name.startswith(COST)
            },
            about=about,
            curves={name: arrays[name].astype(np.float64) for name in CURVES},
            **{name: arrays[name].astype(np.int64) for name in TRAININGS},
        )
    except TableError:
        raise
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, SparxError) as cause:
        raise TableError(
            f"{where}: no table, or a damaged one: {cause}",
            hint="tests/benchmarks/table.py pack writes them",
        ) from cause


def _packed(value: Any) -> Any:
    """Return a JSON value as an array of bytes."""
    return np.frombuffer(json.dumps(value, separators=(",", ":")).encode(), np.uint8)


def _unpacked(array: Any) -> Any:
    """Return the JSON value of an array of bytes."""
    return json.loads(array.tobytes())


def _folder() -> Traversable:
    """Return where the package keeps its tables."""
    return files("sparx_nas.trial.table").joinpath("tables")
