"""What is known of how reliable scores are at given settings, before anything is trained."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from sparx_nas.search.asked.settings import Settings, written
from sparx_nas.space import SearchSpace
from sparx_nas.trial.measures import score_of
from sparx_nas.trial.reliability import stepped_up

DECIDES = (
    *("data", "images", "epochs", "batch_size", "image_size", "width", "stem_stride"),
    *("statistics_images", "val_copies", "lr", "drop_path"),
)
"""Settings that a reliability belongs to, besides the number of seeds."""


def known_reliability(
    settings: Settings, space: SearchSpace, config: Path | None
) -> tuple[tuple[float, float, float], str] | None:
    """Return estimate, low and high of a score's reliability, and where they were measured.

    From the file that `sparx-nas calibrate` wrote, if its settings hold, else from the table that
    comes with the package; None if neither has these settings.
    """
    if config is not None and (found := _calibrated(settings, config)) is not None:
        return found, f"measured by calibrate ({config})"
    score = score_of(objective.name for objective in settings.objectives)
    for row in shipped():
        same = all(row[name] == getattr(settings, name) for name in DECIDES)
        if same and (row["space"], row["score"]) == (space.name, score):
            one, low, high = (
                stepped_up(row[name], settings.seeds) for name in ("one", "low", "high")
            )
            said = f"{row['trainings']} trainings of {row['designs']} designs of {space.name}"
            return (one, low, high), f"measured once, on {said}"
    return None


def shipped() -> list[dict[str, Any]]:
    """Return the table of reliabilities that were measured at the spaces' own settings."""
    text = files("sparx_nas.search.asked").joinpath("reliability.json").read_text()
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return rows


def _calibrated(settings: Settings, config: Path) -> tuple[float, float, float] | None:
    """Return the reliability that a settings file holds, if nothing that it says was changed."""
    content = yaml.safe_load(config.read_text(encoding="utf-8-sig"))
    if not isinstance(content, Mapping) or "reliability" not in content:
        return None
    now = written(settings)
    names = [n for n in (*DECIDES, "seeds", "space", "objectives") if n in content]
    if any(content[name] != now[name] for name in names):
        return None
    estimate, low, high = (float(value) for value in content["reliability"])
    return estimate, low, high
