"""The settings file that a calibration leaves for `search --config`."""

import tempfile
from dataclasses import replace
from pathlib import Path

from sparx_nas.ground.errors import OptionError
from sparx_nas.ground.scalars import yaml_text
from sparx_nas.search.asked.known import KEY, to_record
from sparx_nas.search.asked.settings import Settings, written
from sparx_nas.search.calibrating.levels import Level
from sparx_nas.search.calibrating.options import SHARED
from sparx_nas.space import SearchSpace

WRITTEN = tuple(name for names in SHARED.values() for name in names)
"""What the file holds besides the level: all that a calibration shares with a search."""


def check_place(path: Path) -> None:
    """Make sure that the settings can be written, before anything is trained.

    Raises: OptionError if there is no such folder, it cannot be written, or the file is there.
    """
    if not path.parent.is_dir():
        raise OptionError(f"--write {path}: there is no folder {path.parent}")
    if path.exists():
        raise OptionError(f"--write {path}: the file exists", hint="--write names another")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent):
            pass
    except OSError as cause:
        reason = f"cannot write in {path.parent}: {cause.strerror}"
        raise OptionError(
            f"--write {path}: {reason}", hint="--write names another place"
        ) from cause


def settings_text(settings: Settings, space: SearchSpace, level: Level) -> str:
    """Return the file: what was asked, a level that can be proposed, and its reliability."""
    found, seeds = level.scores, level.seeds
    assert found is not None, "a proposed level has one"
    assert seeds is not None, "a proposed level has them"
    chosen = replace(settings, epochs=level.epochs, images=level.images, seeds=seeds)
    known = written(chosen)
    body = {name: known[name] for name in WRITTEN if known[name] is not None}
    body |= {name: known[name] for name in ("epochs", "images", "seeds")}
    body[KEY] = to_record(found, chosen, space)
    head = "# Measured by sparx-nas calibrate; a reliability is that of one training's score.\n"
    return head + yaml_text(body)
