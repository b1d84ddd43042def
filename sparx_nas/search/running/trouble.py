"""What a search says when the machine refuses it something: what is saved, and how to go on."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from sparx_nas import run_store
from sparx_nas.ground.errors import DataError, MachineError, SparxError
from sparx_nas.ground.machine import refusal
from sparx_nas.ground.quantities import counted
from sparx_nas.run_store.environment import masked
from sparx_nas.run_store.study import LOCK_WAIT_S, StorageError

STORAGE = (StorageInternalError, SQLAlchemyError, sqlite3.Error)
TROUBLE = (MachineError, DataError, StorageError, OSError, *STORAGE)
"""What is no fault of a candidate, nor of the search: it goes on once the cause is gone."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Add to a trouble in the block what of a run is saved, and how to go on with it.

    Raises: MachineError, DataError or StorageError.
    """
    try:
        yield
    except TROUBLE as cause:
        told = known(cause, path)
        fix = f"{told.hint}; " if told.hint else ""
        hint = f"{fix}then --resume {path} goes on"
        raise type(told)(f"{told}\n{_saved(path)}", hint=hint) from cause


def known(cause: BaseException, path: Path) -> SparxError:
    """Return a trouble as an error that names its place."""
    if isinstance(cause, SparxError):
        return cause
    if isinstance(cause, OSError):
        return refusal(cause, path)
    return _of_storage(cause, path)


def _of_storage(cause: BaseException, path: Path) -> SparxError:
    """Say what a database of studies refused."""
    deepest = cause
    while (deeper := deepest.__cause__) is not None:
        deepest = deeper
    reason = masked(str(getattr(deepest, "orig", None) or deepest).strip().splitlines()[0])
    if "disk is full" in reason:
        return refusal(OSError(28, "No space left on device"), path / "study.db")
    if "locked" in reason:
        said = f"cannot write the study: another program kept it locked for {LOCK_WAIT_S} s"
        return StorageError(said, hint="end what else has it open")
    return StorageError(f"cannot use the study: {reason}", hint="bring its database back")


def _saved(path: Path) -> str:
    """Say what a run holds, as far as it can still be read."""
    try:
        ended = sum(trial.state == "complete" for trial in run_store.load_run(path).trials)
    except (*TROUBLE, SparxError):
        return f"What was trained before is saved in {path}."
    if not ended:
        return f"No trial had ended; the run {path} is whole."
    return f"Saved in {path}: {counted(ended, 'trained trial')}; those under way run again."
