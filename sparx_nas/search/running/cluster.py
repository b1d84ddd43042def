"""Ray: a local cluster of our own, or a place in one that is there already."""

import logging
import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import ray
from ray._private import services

import sparx_nas
from sparx_nas.ground.errors import DeviceError
from sparx_nas.search.asked.places import Cluster
from sparx_nas.search.running import joining

PREFIX = "sparx-nas-"
LOOPBACK = "127.0.0.1"
DASHBOARD_PORT = 8265
TRIES, SLOW = 5, "timed out during startup"
"""How often Ray is started, and what it says where the machine was too slow for it."""
QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "64",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@contextmanager
def cluster(*, address: str | None, dashboard: bool) -> Iterator[Cluster]:
    """Start Ray on this machine, or join the cluster at `address`.

    Ends what it started, and never what it joined. Sessions live in a short temporary folder, for
    sockets need short paths; it is removed at the end, and those that a kill left are too.

    Raises: DeviceError if the cluster cannot be reached or started.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    if address:
        joining.reach(address)
        joining.take_token()
    else:
        joining.make_token()
    _sweep()
    session = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=_short_folder()))
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        folder = str(Path(sparx_nas.__file__).parent)
        options |= {"address": address, "runtime_env": {"py_modules": [folder]}}
    else:
        options |= {"address": "local", "_temp_dir": str(session), "include_dashboard": dashboard}
        options |= {"dashboard_host": LOOPBACK, "dashboard_port": _free_port(DASHBOARD_PORT)}
    try:
        context = _start(options, address)
        found = ray.cluster_resources()
        shown = f"http://{context.dashboard_url}" if dashboard and context.dashboard_url else ""
        yield Cluster(int(found.get("CPU", 1)), int(found.get("GPU", 0)), shown, bool(address))
    finally:
        ray.shutdown()
        shutil.rmtree(session, ignore_errors=True)


def _start(options: dict[str, Any], address: str | None) -> Any:
    """Start or join Ray.

    Raises: DeviceError with Ray's reason.
    """
    try:
        with warnings.catch_warnings(), _apart():
            warnings.simplefilter("ignore")
            return ray.init(**options) if address else _patiently(options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if not address:
            raise DeviceError(f"cannot start Ray on this machine: {error}") from error
        if (told := joining.refused(address, error)) is not None:
            raise told from error
        said = f"cannot join the Ray cluster at {address}: {error}"
        raise DeviceError(said, hint=joining.HINT) from error


def _patiently(options: dict[str, Any]) -> Any:
    """Start Ray, again where it was too slow for itself: it waits 30 s for its own processes.

    Raises: DeviceError if it never is quick enough.
    """
    here = psutil.Process()
    for _ in range(TRIES):
        before = set(here.children())
        try:
            return ray.init(**options)
        # What is raised has no kind of its own.
        except Exception as error:
            if SLOW not in str(error):
                raise
            for child in set(here.children()) - before:
                child.kill()
    said = f"Ray did not start in {TRIES} tries: this machine is too busy"
    raise DeviceError(said, hint="try again when less runs on it")


@contextmanager
def _apart() -> Iterator[None]:
    """Start Ray's processes in the block in sessions of their own.

    A signal to our process group (Ctrl-C, `timeout`, a batch system) is then heard by the search
    alone, which ends them in order; they die with it, whatever ends it.
    """
    popen = services.ConsolePopen

    def apart(*args: Any, **options: Any) -> Any:
        return popen(*args, **options, start_new_session=True)

    services.ConsolePopen = apart
    try:
        yield
    finally:
        services.ConsolePopen = popen


def dashboard_lines(found: Cluster) -> list[str]:
    """Say how to open the dashboard: Ray asks for its token once a browser."""
    if not found.dashboard:
        return []
    lines = [f"Ray dashboard  {found.dashboard}"]
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    token = joining.token()
    if mode != "disabled" and token:
        lines.append(f"       token   {token}")
    return lines


def _short_folder() -> str:
    """Return where sessions are kept: /tmp where there is one, for paths of sockets are short."""
    return "/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir()


def _sweep() -> None:
    """Remove the session folders of searches that no longer run."""
    for folder in Path(_short_folder()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _free_port(first: int) -> int:
    """Return the first port from `first` on that nobody listens at."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)):
                return port
    raise DeviceError(f"no free port from {first} to {first + 99} for the dashboard")
