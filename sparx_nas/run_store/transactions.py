"""Transactions of a study's database, gathered: Optuna waits for the disk at every attribute.

A trial has some thirty. What is gathered here is written all together, or not at all by a kill.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session, sessionmaker


class _Gathering(Session):
    """A session of Optuna's that leaves commits to whoever gathers them."""

    gathers = False

    def commit(self) -> None:
        """Send what is new to the database; while commits are gathered, that does not end it."""
        if self.gathers:
            self.flush()
        else:
            super().commit()

    def close(self) -> None:
        """Stay open while commits are gathered."""
        if not self.gathers:
            super().close()


def gather(backend: RDBStorage) -> None:
    """Let a storage, which is new, gather commits for `at_once`."""
    sessions: Any = scoped_session(sessionmaker(bind=backend.engine, class_=_Gathering))
    backend.scoped_session = sessions


@contextmanager
def at_once(study: optuna.Study) -> Iterator[None]:
    """Write what the block tells a study in one transaction; within another it is part of that.

    Nobody else writes to a SQLite database meanwhile, not even another study of this process, so
    the block is short. What was told before an error stays. A study in memory has no transactions,
    and one that was opened elsewhere has one for everything that it is told.
    """
    backend: Any = getattr(study._storage, "_backend", None)
    session = backend.scoped_session() if backend is not None else None
    if not isinstance(session, _Gathering) or session.gathers:
        yield
        return
    session.gathers = True
    try:
        yield
    finally:
        session.gathers = False
        try:
            session.commit()
        except SQLAlchemyError:
            session.rollback()
            raise
        finally:
            session.close()
