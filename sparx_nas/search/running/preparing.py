"""What is made sure before a search begins: the place, what is left to do, the data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray

from sparx_nas import run_store
from sparx_nas.ground.errors import DeviceError, RunError, SparxError
from sparx_nas.search.asked.places import Slots
from sparx_nas.search.asked.settings import Settings
from sparx_nas.search.running import worker
from sparx_nas.search.telling.live import make_view, summary_lines
from sparx_nas.trial.values import Fidelity


def check_new(path: Path) -> None:
    """Make sure that a run can be made there, before anything is started.

    Raises: RunError if there is something already, or the place cannot be written.
    """
    if path.exists():
        hint = f"--resume {path} goes on with it; --experiment gives another name"
        raise RunError(f"{path} exists; a run is never overwritten", hint=hint)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "--output names another place"
        raise RunError(f"cannot make {path.parent}: {error.strerror}", hint=hint) from error


def nothing_left(path: Path, settings: Settings) -> bool:
    """Tell whether a run has all that is asked for, and say so; a running one is refused.

    Raises: RunError if another process drives the run, or it cannot be read.
    """
    if run_store.is_alive(path):
        raise RunError(f"{path} is being run by another process", hint="wait for it, or stop it")
    storage = settings.storage or run_store.default_storage(path)
    if not run_store.has_study(run_store.study_name(path), storage):
        return False
    run = run_store.load_run(path)
    own = [t for t in run.trials if t.state == "complete" and not t.baseline and not t.guest]
    if run.status.get("state") != "finished" or len(own) < settings.trials:
        return False
    if run_store.waiting(path):
        return False
    view = make_view("plain", settings=settings, path=path, dashboard_lines=[])
    for line in (
        *summary_lines(run, path),
        "",
        "Nothing is left to train; --trials N asks more.",
    ):
        view.message(line)
    view.close()
    return True


def data_request(settings: Settings) -> dict[str, Any]:
    """Return the arguments with which workers open the data."""
    return {
        "name": settings.data,
        "data_dir": settings.data_dir,
        "image_size": settings.image_size,
        "seed": settings.seed,
    }


def look_at_data(settings: Settings, places: Slots) -> dict[str, Any]:
    """Open the data where the trials will, here or on a worker, and describe them.

    Raises: what the worker raised, if a user can mend it.
    """
    if not settings.address:
        return worker.look_at_data(data_request(settings), places.device)
    task = ray.remote(worker.look_at_data).options(**places.resources())
    try:
        return dict(ray.get(task.remote(data_request(settings), places.device)))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SparxError):
            raise error.cause from None
        raise DeviceError(f"a worker could not open the data: {error.cause}") from error


def same_data(path: Path, data: Mapping[str, Any]) -> None:
    """Refuse to go on with other images than the run began with.

    Raises: RunError with both hashes.
    """
    before = run_store.read_env(path).get("data", {}).get("data_id")
    if before != data["data_id"]:
        raise RunError(
            f"{path}: the data changed since the run began (hash {before}, now {data['data_id']})",
            hint="bring the old data back, or start a new run",
        )


def fidelity_of(settings: Settings, data: Mapping[str, Any]) -> Fidelity:
    """Say how every trial of the run is trained."""
    names = ("data", "epochs", "batch_size", "image_size", "width", "stem_stride", "seed")
    return Fidelity(data_id=data["data_id"], **{n: getattr(settings, n) for n in names})
