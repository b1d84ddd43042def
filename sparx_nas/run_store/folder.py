"""The folder of a run: made once, never overwritten; and what it was made with."""

import os
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from sparx_nas.command.typed import quoted
from sparx_nas.ground.errors import RunError, did_you_mean
from sparx_nas.ground.record import read_json, write_json, write_text
from sparx_nas.ground.scalars import yaml_text
from sparx_nas.run_store.status import write_status
from sparx_nas.space.fields import USUAL_TARGET

CONFIG = "config.yaml"
SPACE = "space.yaml"
ENV = "env.json"
STUDY = "study.db"


def create_folder(
    path: Path, *, config: Mapping[str, Any], space_text: str, env: Mapping[str, Any]
) -> None:
    """Make the folder of a new run in one step, its files in it; its status says it is running.

    `config` holds plain YAML values. The study's name is the folder's, and is kept in env.json,
    so that a folder which is renamed later still finds its study.

    Raises: RunError if there is something under that name already, or it cannot be written.
    """
    if path.exists():
        raise RunError(
            f"{path} exists",
            hint=f"--resume {quoted(path)} continues it, --experiment names another",
        )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        write_config(part, config)
        write_text(part / SPACE, space_text)
        write_json(part / ENV, {"schema": 1, "study": path.resolve().name, **env})
        write_status(part)
        part.rename(path)
    except OSError as cause:
        raise RunError(
            f"cannot make {path}: {cause.strerror}", hint="--output names another place"
        ) from cause
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Write the settings of a run, plain YAML values; those of a resumed one replace the old."""
    write_text(path / CONFIG, yaml_text(dict(config), allow_unicode=True))


def read_config(path: Path) -> dict[str, Any]:
    """Return the content of a run's config.yaml.

    Raises: RunError if the folder is no run, with those that are there, or the file is no YAML.
    """
    text = _text(path, CONFIG)
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        problem = getattr(cause, "problem", None) or "it cannot be read"
        raise RunError(f"{path / CONFIG}{place}: not valid YAML: {problem}") from cause
    if not isinstance(config, dict):
        raise RunError(f"{path / CONFIG}: not a configuration: it holds no options")
    return config


def read_space_text(path: Path) -> str:
    """Return the text of the space file that a run was made with.

    Raises: RunError if the folder is no run, with those that are there.
    """
    return _text(path, SPACE)


def read_target(path: Path) -> dict[str, int]:
    """Return what costs of a run are counted at, as its copy of the space file says.

    Only that section is read, so that a run can be looked at whose space is of an older version.

    Raises: RunError if there is no such file, or the section holds anything but whole numbers.
    """
    said = _target(read_space_text(path))
    if said is None:
        raise RunError(f"{path / SPACE}: target holds {', '.join(USUAL_TARGET)}, whole numbers")
    return {**USUAL_TARGET, **said}


@lru_cache(maxsize=8)
def _target(text: str) -> dict[str, int] | None:
    """Return the target section of a space file, empty where there is none; None if it is none."""
    try:
        space = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    said = (space.get("target") or {}) if isinstance(space, dict) else None
    if not isinstance(said, dict) or not all(type(v) is int and v > 0 for v in said.values()):
        return None
    return said if said.keys() <= USUAL_TARGET.keys() else None


def read_env(path: Path) -> dict[str, Any]:
    """Return the content of a run's env.json.

    Raises: RunError if it is missing or no JSON.
    """
    env = read_json(path / ENV, RunError)
    if not isinstance(env, dict):
        raise RunError(f"{path / ENV}: not the environment of a run")
    return env


def study_name(path: Path) -> str:
    """Return the name of a run's study: that of the folder when it was made.

    Raises: RunError if env.json is missing or no JSON.
    """
    return str(read_env(path).get("study") or path.resolve().name)


def default_storage(path: Path) -> str:
    """Return the Optuna storage URL of the study in the run's own folder."""
    return f"sqlite:///{(path.resolve() / STUDY).as_posix()}"


def storage_of(path: Path, config: Mapping[str, Any]) -> str:
    """Return the Optuna storage URL of a run: the configured one, or the run's own."""
    return str(config.get("storage") or default_storage(path))


def _text(path: Path, name: str) -> str:
    """Read one of the files that every run has."""
    try:
        return (path / name).read_text(encoding="utf-8")
    except UnicodeDecodeError as cause:
        raise RunError(f"{path / name}: not a text file") from cause
    except OSError as cause:
        raise RunError(_no_run(path, name), hint=_runs_there(path)) from cause


def _no_run(path: Path, name: str) -> str:
    """Say what is wrong with a folder that lacks a file."""
    if not path.exists():
        found = _runs(path.parent) or _runs(Path("runs"))
        near = did_you_mean(path.name, [run.name for run in found])
        return f"there is no run {path}.{near}"
    if not path.is_dir():
        return f"{path} is a file; a run is a folder"
    return f"{path} is not a run: {name} is missing"


def _runs_there(path: Path) -> str:
    """List the runs in and beside a folder that is none, the newest first."""
    for place in (path, path.parent, Path("runs")):
        if found := _runs(place):
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            return f"runs in {place}: {', '.join(run.name for run in found[:5])}{more}"
    return "a run is a folder that a search has made"


def _runs(place: Path) -> list[Path]:
    """List the runs in a folder, the newest first."""
    try:
        found = [entry for entry in place.iterdir() if (entry / CONFIG).is_file()]
        whole = [entry for entry in found if not entry.name.startswith(".")]
        return sorted(whole, key=lambda run: (run / CONFIG).stat().st_mtime, reverse=True)
    except OSError:
        return []
