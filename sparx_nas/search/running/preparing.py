"""What a search needs before it begins: its place, Ray, the data, its folder and its log."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from sparx_nas import run_store
from sparx_nas.command.stopping import listening
from sparx_nas.command.typed import quoted
from sparx_nas.data import find_data
from sparx_nas.ground.errors import DeviceError, RunError, SparxError
from sparx_nas.ground.machine import writing
from sparx_nas.kernels.fusing import parts_on
from sparx_nas.search.asked.limits import check_limits
from sparx_nas.search.asked.opening import check_same_images
from sparx_nas.search.asked.places import Slots, slots
from sparx_nas.search.asked.prepared import Search, data_request
from sparx_nas.search.asked.settings import Settings, to_config
from sparx_nas.search.running import worker
from sparx_nas.search.running.cluster import cluster, dashboard_lines
from sparx_nas.search.telling.live import PlainView
from sparx_nas.search.telling.summary import summary_lines
from sparx_nas.space import SearchSpace

LOG = logging.getLogger("sparx_nas")


@contextmanager
def prepared(settings: Settings, space: SearchSpace, resume: Path | None) -> Iterator[Search]:
    """Make sure of all that a search needs, and yield it; Ray is up and signals are heard.

    Raises: SparxError for what is missing or does not fit; nothing is written then.
    """
    path = resume or Path(settings.output) / settings.name
    # Workers inherit the variable: a wrong one would fail every trial.
    parts_on()
    if resume is None:
        _check_new(path)
    check_limits(space, settings.constraints)
    settings = replace(settings, output=str(path.parent))
    if not settings.address:
        folder = Path(settings.data_dir) if settings.data_dir else None
        found = find_data(settings.data, folder).data_dir
        settings = replace(settings, data_dir=str(found) if found else None)
        # Ray takes seconds to start, and mistakes in the data shall be told at once.
        worker.opened(**data_request(settings))
    # Ray has handlers of signals of its own; ours come after.
    with (
        cluster(address=settings.address, dashboard=settings.dashboard) as ray_cluster,
        listening() as stop,
    ):
        places = slots(settings, ray_cluster)
        seen = _look_at_data(settings, places)
        _write_folder(path, settings, space, seen, resumed=resume is not None)
        with _logging_to(path / "search.log"), run_store.beating(path):
            began = "resumed" if resume else "begun"
            LOG.info("search %s on %s: %s", began, seen["device"], places)
            LOG.info("trials run on %s", seen["kernels"])
            yield Search(
                settings=settings,
                space=space,
                path=path,
                slots=places,
                data=seen["data"],
                storage=settings.storage or run_store.default_storage(path),
                dashboard_lines=dashboard_lines(ray_cluster),
                stop=stop,
            )


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
    view = PlainView(settings, path, [], sys.stdout)
    said = "Nothing is left to train; --trials N asks more."
    for line in (*summary_lines(run, path), "", said):
        view.message(line)
    return True


def _check_new(path: Path) -> None:
    """Make sure that a run can be made there, before anything is started.

    Raises: RunError if there is something already, or the place cannot be written.
    """
    if path.exists():
        hint = f"--resume {quoted(path)} goes on with it; --experiment gives another name"
        raise RunError(f"{path} exists; a run is never overwritten", hint=hint)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "--output names another place"
        raise RunError(f"cannot make {path.parent}: {error.strerror}", hint=hint) from error


def _look_at_data(settings: Settings, places: Slots) -> dict[str, Any]:
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


def _write_folder(
    path: Path, settings: Settings, space: SearchSpace, seen: Mapping[str, Any], *, resumed: bool
) -> None:
    """Make the folder of a new run, or write the settings with which one goes on.

    Raises: RunError with both hashes for other images than the run began with.
    """
    config, data = to_config(settings, space), seen["data"]
    if not resumed:
        env = run_store.environment(data, seen["device"])
        if settings.plan:
            env |= {"plan": settings.plan.to_record()}
        run_store.create_folder(path, config=config, space_text=space.source_text, env=env)
    else:
        check_same_images(path, data["data_id"])
        run_store.write_config(path, config)
    run_store.write_status(path, state="running", asked=settings.trials)


class _Log(logging.FileHandler):
    """A log that says nothing where it cannot be written: the search's own files tell of it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Leave a record out."""


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write the log of the search, and what Ray Tune complains of, to a file in the block."""
    with writing(path):
        handler = _Log(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logs = (LOG, logging.getLogger("ray.tune"))
    for log in logs:
        log.addHandler(handler)
        log.propagate = False
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        for log in logs:
            log.removeHandler(handler)
        # What a full disk did not take in is not written at the end either.
        with suppress(OSError):
            handler.close()
