"""What is known of how reliable scores are at given settings, before anything is trained."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from sparx_nas.ground.errors import OptionError
from sparx_nas.ground.record import content_id
from sparx_nas.search.asked.settings import Settings
from sparx_nas.space import SearchSpace
from sparx_nas.trial.measures import score_of
from sparx_nas.trial.reliability import Reliability, stepped_up

DECIDES = (
    *("data", "images", "epochs", "batch_size", "image_size", "width", "stem_stride"),
    *("statistics_images", "val_copies", "lr", "drop_path", "constraints"),
)
"""Settings that a reliability belongs to, besides the number of seeds."""
KEY = "reliability"
"""Where a settings file holds it."""


def measured_with(settings: Settings, space: SearchSpace) -> str:
    """Return 16 hex digits over all that the reliability of one training's score belongs to."""
    score = score_of(objective.name for objective in settings.objectives)
    of = {name: getattr(settings, name) for name in DECIDES}
    of["constraints"] = dict(settings.constraints)
    return content_id(of | {"space": space.fingerprint, "score": score})


def to_record(found: Reliability, settings: Settings, space: SearchSpace) -> dict[str, Any]:
    """Return a measured reliability of one training as a settings file and the table hold it."""
    numbers = {name: round(getattr(found, name), 4) for name in ("one", "low", "high")}
    counts = {"designs": found.designs, "trainings": found.trainings}
    return numbers | counts | {"measured_with": measured_with(settings, space)}


def known_reliability(
    settings: Settings, space: SearchSpace, config: Path | None
) -> tuple[tuple[float, float, float], str] | None:
    """Return estimate, low and high of a score's reliability, and where they were measured.

    From the file that `sparx-nas calibrate` wrote, if it measured these settings, else from the
    table that comes with the package, else None.

    Raises: OptionError if the file's reliability is no such thing.
    """
    key = measured_with(settings, space)
    if config is not None:
        record = _record_of(config)
        if record is not None and record["measured_with"] == key:
            return _of_mean(record, settings.seeds), f"measured by calibrate ({config})"
    for row in shipped():
        if row["measured_with"] == key:
            said = f"{row['trainings']} trainings of {row['designs']} designs of {space.name}"
            return _of_mean(row, settings.seeds), f"measured once, on {said}"
    return None


def shipped() -> list[dict[str, Any]]:
    """Return the table of reliabilities that were measured at the spaces' own settings."""
    text = files("sparx_nas.search.asked").joinpath("reliability.json").read_text()
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return rows


def _of_mean(record: Mapping[str, Any], seeds: int) -> tuple[float, float, float]:
    """Return estimate, low and high of the mean of so many trainings."""
    one, low, high = (stepped_up(record[name], seeds) for name in ("one", "low", "high"))
    return one, low, high


def _record_of(config: Path) -> Mapping[str, Any] | None:
    """Return what a settings file says of its reliability, if it does.

    Raises: OptionError if that is not what calibrate writes.
    """
    content = yaml.safe_load(config.read_text(encoding="utf-8-sig"))
    if not isinstance(content, Mapping) or KEY not in content:
        return None
    record = content[KEY]
    if not isinstance(record, Mapping) or not _is_sound(record):
        raise OptionError(
            f"{config}: {KEY} is not as sparx-nas calibrate writes it",
            hint=f"leave {KEY} out, or calibrate anew",
        )
    return record


def _is_sound(record: Mapping[str, Any]) -> bool:
    """Tell whether a record holds three ascending numbers and the settings they belong to."""
    values = [record.get(name) for name in ("low", "one", "high")]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    ascending = len(numbers) == len(values) and -1 <= min(numbers) <= max(numbers) <= 1
    # An estimate below 0 has the bounds 0 or above.
    ordered = ascending and numbers[1] <= numbers[2] and numbers[0] <= numbers[2]
    return ordered and isinstance(record.get("measured_with"), str)
