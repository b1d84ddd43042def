"""What a search needs before its first trial: prepared once, checked, and handed on."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray

from sparx_nas import run_store
from sparx_nas.architecture import Architecture
from sparx_nas.command.stopping import Stop, listening
from sparx_nas.cost import estimate
from sparx_nas.data import find_data
from sparx_nas.ground.errors import DeviceError, RunError, SparxError
from sparx_nas.search.asked.places import Cluster, Slots, slots
from sparx_nas.search.asked.settings import Settings, to_config
from sparx_nas.search.proposing.proposals import Proposal
from sparx_nas.search.running import worker
from sparx_nas.search.running.cluster import cluster, dashboard_lines
from sparx_nas.search.telling.wording import what_it_is
from sparx_nas.space import SearchSpace
from sparx_nas.trial.values import Fidelity

LOG = logging.getLogger("sparx_nas")


@dataclass(frozen=True)
class Search:
    """What every part of a running search needs: nothing in it changes, but that it may `stop`.

    `data` describes the images, `device` and `kernels` say what trials compute with, `dashboard`
    how Ray's dashboard is opened.
    """

    settings: Settings
    space: SearchSpace
    path: Path
    slots: Slots
    data: Mapping[str, Any]
    fidelity: Fidelity
    device: str
    kernels: str
    dashboard: tuple[str, ...]
    stop: Stop

    def job(self, proposal: Proposal) -> worker.Job:
        """Return a proposal as the JSON values a worker trains."""
        s = self.settings
        return {
            "number": proposal.number,
            "label": what_it_is(proposal.architecture, proposal.baseline),
            "architecture": proposal.architecture.to_dict(),
            "fidelity": self.fidelity.to_dict(),
            "recipe": {"lr": s.lr, "drop_path": s.drop_path},
            "data": _data_request(s),
            "device": self.slots.device,
            "threads": self.slots.threads,
            "target": dict(self.space.target),
            "wants_latency": any(o.name == "latency_ms" for o in s.objectives),
        }

    def target_cost(self, architecture: Architecture) -> dict[str, Any]:
        """Count a candidate in full."""
        return self.space.cost(architecture).to_dict()

    def proxy_cost(self, architecture: Architecture) -> dict[str, Any]:
        """Count a candidate as it is trained."""
        f, chans, classes = self.fidelity, self.data["in_chans"], self.data["num_classes"]
        cost = estimate(architecture, f.image_size, chans, classes, f.width, f.stem_stride)
        return cost.to_dict()


@contextmanager
def prepared(settings: Settings, space: SearchSpace, resume: Path | None) -> Iterator[Search]:
    """Make sure of place, data and cluster, in this order, and hold the cluster in the block.

    The folder of a new run is made last, so that nothing is left of one that cannot be.

    Raises: SparxError for anything of it that the user can mend.
    """
    path = resume or Path(settings.output) / settings.name
    if resume:
        settings = replace(settings, output=str(path.parent))
    else:
        _check_new(path)
    if not settings.address:
        folder = Path(settings.data_dir) if settings.data_dir else None
        found = find_data(settings.data, folder).data_dir
        settings = replace(settings, data_dir=str(found) if found else None)
    # Ray has handlers of signals of its own; ours come after.
    with (
        cluster(address=settings.address, dashboard=settings.dashboard) as ray_cluster,
        listening() as stop,
    ):
        search = _look(settings, space, path, ray_cluster, stop)
        _open_folder(search, resumed=resume is not None)
        yield search


def _look(
    settings: Settings, space: SearchSpace, path: Path, ray_cluster: Cluster, stop: Stop
) -> Search:
    """Share out the cluster and open the data there."""
    places = slots(settings, ray_cluster)
    seen = _look_at_data(settings, places)
    names = ("data", "epochs", "batch_size", "image_size", "width", "stem_stride", "seed")
    same = {name: getattr(settings, name) for name in names}
    return Search(
        settings=settings,
        space=space,
        path=path,
        slots=places,
        data=seen["data"],
        fidelity=Fidelity(data_id=seen["data"]["data_id"], **same),
        device=seen["device"],
        kernels=seen["kernels"],
        dashboard=tuple(dashboard_lines(ray_cluster)),
        stop=stop,
    )


def _open_folder(search: Search, *, resumed: bool) -> None:
    """Make the run's folder, or make sure that it can go on."""
    path, config = search.path, to_config(search.settings, search.space)
    if resumed:
        _same_data(path, search.data)
        run_store.write_config(path, config)
    else:
        env = run_store.environment(search.data, search.device)
        run_store.create_folder(path, config=config, space_text=search.space.source_text, env=env)
    run_store.write_status(path, state="running", asked=search.settings.trials)


def _check_new(path: Path) -> None:
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


def _data_request(settings: Settings) -> dict[str, Any]:
    """Return the arguments with which workers open the data."""
    return {
        "name": settings.data,
        "data_dir": settings.data_dir,
        "image_size": settings.image_size,
        "seed": settings.seed,
    }


def _look_at_data(settings: Settings, places: Slots) -> dict[str, Any]:
    """Open the data where the trials will, here or on a worker, and describe them.

    Raises: what the worker raised, if a user can mend it.
    """
    request = (_data_request(settings), places.device)
    if not settings.address:
        return worker.look_at_data(*request)
    task = ray.remote(worker.look_at_data).options(**places.resources())
    try:
        return dict(ray.get(task.remote(*request)))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SparxError):
            raise error.cause from None
        raise DeviceError(f"a worker could not open the data: {error.cause}") from error


def _same_data(path: Path, data: Mapping[str, Any]) -> None:
    """Refuse to go on with other images than the run began with.

    Raises: RunError with both hashes.
    """
    before = run_store.read_env(path).get("data", {}).get("data_id")
    if before != data["data_id"]:
        raise RunError(
            f"{path}: the data changed since the run began (hash {before}, now {data['data_id']})",
            hint="bring the old data back, or start a new run",
        )
