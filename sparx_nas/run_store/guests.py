"""Guests: designs that a run's space cannot express, trained in it all the same.

They have a study of their own in the same storage, so that the sampler's joint distribution stays
what it was. Guest k, from 1, has the number -k wherever the run shows trials.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import ArchitectureError, RunError
from sparx_nas.run_store.study import has_study, open_study
from sparx_nas.trial.values import Objective

SUFFIX = "-guests"


def guests_name(name: str) -> str:
    """Return the name of the guests' study, from that of the run's."""
    return f"{name}{SUFFIX}"


def open_guests(
    name: str, storage: str, objectives: Sequence[Objective], *, create: bool = False
) -> optuna.Study | None:
    """Open the guests' study of a run, whose own study is `name`; None if it has no guests yet.

    With `create` it is made if need be.

    Raises: StorageError if the database cannot be reached.
    """
    known = guests_name(name)
    there = has_study(known, storage)
    if not there and not create:
        return None
    try:
        return open_study(name=known, storage=storage, objectives=objectives, create=not there)
    except RunError:
        # Another process made it in between, unless it is there with other objectives.
        if there or not has_study(known, storage):
            raise
        return open_study(name=known, storage=storage, objectives=objectives, create=False)


def has_guests(study: optuna.Study) -> bool:
    """Tell whether the run of a study has guests: one query over the connection that is open."""
    try:
        study._storage.get_study_id_from_name(guests_name(study.study_name))
    except KeyError:
        return False
    return True


def guest_of(trial: optuna.Trial | FrozenTrial) -> Architecture:
    """Return the design that a trial of the guests' study was queued with.

    Raises: ArchitectureError if it has none.
    """
    said: Any = trial.user_attrs.get("guest")
    if not isinstance(said, Mapping):
        raise ArchitectureError("guest: there is no architecture in it")
    try:
        return Architecture.from_dict(said, where="guest")
    except (AttributeError, TypeError, ValueError) as cause:
        raise ArchitectureError(f"guest: not an architecture: {cause}") from cause


def turned(number: int) -> int:
    """Turn a number in the guests' study into that in the run, or back."""
    return -number - 1
