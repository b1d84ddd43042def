"""What the server may open: one run, the runs of a folder, or a space; nothing else by any name."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparx_nas.command.typed import typed
from sparx_nas.ground.errors import RunError, did_you_mean
from sparx_nas.run_store import read_status
from sparx_nas.space import SearchSpace, load_space
from sparx_nas.trial.values import Objective, Run, TrialRecord
from sparx_nas.viewer.bounds import LONGEST
from sparx_nas.viewer.server.source import Source

CONFIG = "config.yaml"
DRAWN = 200
"""Random designs that a space without a run is shown by."""


class Catalogue:
    """The sources by name; those of a folder come and go with its runs."""

    def __init__(self, sources: Mapping[str, Source], folder: Path | None) -> None:
        self._sources, self._folder = dict(sources), folder
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of what can be opened, the newest run first."""
        if self._folder is None:
            return list(self._sources)
        return [path.name for path in runs_in(self._folder)]

    def open(self, name: str) -> Source:
        """Return a source by its exact name.

        Raises: RunError if there is none of that name.
        """
        names = self.names()
        if name not in names:
            # Looking for the nearest name takes the product of their lengths.
            near = did_you_mean(name[:LONGEST], names)
            raise RunError(f"there is no run {name[:LONGEST]!r} here.{near}")
        with self._lock:
            if name not in self._sources:
                assert self._folder is not None, "only runs of a folder are opened later"
                self._sources[name] = Source(name, path=self._folder / name, space=None)
            return self._sources[name]

    def listing(self) -> list[dict[str, Any]]:
        """Say what there is, and how each run stands."""
        return [_listed(name, self._path(name)) for name in self.names()]

    def _path(self, name: str) -> Path | None:
        """Return where a run is; None for a space."""
        if self._folder is not None:
            return self._folder / name
        return self._sources[name].path


def catalogue_of(target: Path | None, space: str) -> Catalogue:
    """Make the catalogue of a run, of a folder of runs, or of a space.

    Raises: RunError if there is neither a run nor a folder with runs; SpaceError for the space.
    """
    if space:
        known = load_space(space)
        run = space_run(known)
        return Catalogue({known.name: Source(known.name, path=None, space=known, run=run)}, None)
    assert target is not None, "without a space there is a place to look at"
    if (target / CONFIG).is_file():
        name = target.resolve().name
        return Catalogue({name: Source(name, path=target, space=None)}, None)
    if not target.is_dir():
        raise RunError(
            f"there is no run and no folder of runs at {target}",
            hint=f"{typed('search')} makes one; --space NAME looks at a space without",
        )
    if not runs_in(target):
        raise RunError(
            f"{target} holds no runs",
            hint=f"{typed('search')} makes one; --space NAME looks at a space without",
        )
    return Catalogue({}, target)


def runs_in(folder: Path) -> list[Path]:
    """Return the runs of a folder, the newest first; links that lead out of it are none."""
    root = folder.resolve()
    try:
        found = [
            entry
            for entry in folder.iterdir()
            if not entry.name.startswith(".")
            and (entry / CONFIG).is_file()
            and entry.resolve().is_relative_to(root)
        ]
        return sorted(found, key=lambda run: (run / CONFIG).stat().st_mtime, reverse=True)
    except OSError:
        return []


def space_run(space: SearchSpace) -> Run:
    """Return a space as a run that trained nothing: its baselines, and seeded random designs."""
    designs = {
        architecture.id: (name, architecture) for name, architecture in space.baselines.items()
    }
    for architecture in space.draws(DRAWN, seed=0):
        designs.setdefault(architecture.id, ("", architecture))
    trials = []
    for number, (name, architecture) in enumerate(designs.values()):
        cost = space.cost(architecture).to_dict()
        numbers = {key: value for key, value in cost.items() if isinstance(value, int | float)}
        broken = space.violations(cost)
        trials.append(
            TrialRecord(
                number=number,
                architecture=architecture,
                state="untrained",
                baseline=name,
                cost=numbers,
                feasible=not broken,
                violations=broken,
            )
        )
    objectives: tuple[Objective, ...] = ()
    return Run(
        name=space.name,
        path="",
        space=space.name,
        objectives=objectives,
        trials=tuple(trials),
        front=(),
        target=space.target,
        config={},
        env={},
        status={"state": "space"},
    )


def _listed(name: str, path: Path | None) -> dict[str, Any]:
    """Say how a run stands."""
    if path is None:
        return {"name": name, "state": "space"}
    try:
        status = read_status(path)
    except RunError as error:
        return {"name": name, "state": "unreadable", "message": str(error)}
    wanted = ("state", "trained", "asked", "updated")
    return {"name": name} | {key: status.get(key) for key in wanted}
