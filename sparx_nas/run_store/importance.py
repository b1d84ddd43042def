"""`importance/`: how much each aggregated edge of a trained architecture matters, one JSON each."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparx_nas.ground.errors import RunError
from sparx_nas.ground.record import read_json, write_json

IMPORTANCE = "importance"
SCHEMA = 1
KIND = "importance"
HINT = "delete the file, and let `sparx-nas importance` write it anew"

FIELDS: Mapping[str, type] = {
    "trial": int,
    "architecture_id": str,
    "data": str,
    "split": str,
    "images": int,
    "device": str,
    "top1": float,
    "nll": float,
    "fidelity": dict,
    "edges": list,
    "agreement": list,
    "says": str,
}
EDGE: Mapping[str, type] = {
    "source": str,
    "target": str,
    "mass": float,
    "gradient": float,
    "gradient_raw": float,
    "ablation_top1": float,
    "ablation_nll": float,
}
LATER: Mapping[str, type] = {"ablation_nll_error": float}
"""Fields of an edge that older records lack."""
AGREEMENT: Mapping[str, type] = {"measures": list, "n": int}
BOUNDS = ("spearman", "low", "high")
"""Fields of an agreement that are numbers, or null where it is not defined."""


def importance_path(path: Path, architecture_id: str) -> Path:
    """Return where the importance of an architecture's edges stands in a run."""
    return path / IMPORTANCE / f"{architecture_id}.json"


def write_importance(path: Path, record: Mapping[str, Any]) -> Path:
    """Write a whole record in one step, replacing an older one, and return its file."""
    wrong = _record_mistakes(dict(record), record["architecture_id"])
    assert not wrong, wrong
    file = importance_path(path, record["architecture_id"])
    write_json(file, dict(record))
    return file


def read_importance(path: Path, architecture_id: str) -> dict[str, Any] | None:
    """Return what is known of an architecture's edges; None where nobody has measured them.

    Raises: RunError naming the file and every field that is not as it is written.
    """
    file = importance_path(path, architecture_id)
    if not file.exists():
        return None
    record = read_json(file, RunError)
    if wrong := _record_mistakes(record, architecture_id):
        raise RunError.of(str(file), wrong, hint=HINT)
    known: dict[str, Any] = record
    return known


def _record_mistakes(record: Any, architecture_id: str) -> list[str]:
    """List what is wrong with a record of an architecture."""
    if not isinstance(record, dict) or (record.get("schema"), record.get("kind")) != (SCHEMA, KIND):
        return [f"not the importance of edges, schema {SCHEMA}"]
    if wrong := _mistakes(record, FIELDS, ""):
        return wrong
    for i, edge in enumerate(record["edges"]):
        later = {key: kind for key, kind in LATER.items() if isinstance(edge, dict) and key in edge}
        wrong += _mistakes(edge, {**EDGE, **later}, f"edges[{i}].")
    for i, pair in enumerate(record["agreement"]):
        wrong += _pair_mistakes(pair, f"agreement[{i}].")
    if record["architecture_id"] != architecture_id:
        wrong.append(f"it is of architecture {record['architecture_id']}")
    return wrong


def _mistakes(value: Any, known: Mapping[str, type], where: str) -> list[str]:
    """List the fields that are missing or of another type; a whole number is a number too."""
    if not isinstance(value, dict):
        return [f"{where.rstrip('.')} is no table"]
    return [
        f"{where}{name} is missing" if name not in value else f"{where}{name} is no {kind.__name__}"
        for name, kind in known.items()
        if name not in value or not _is(value[name], kind)
    ]


def _pair_mistakes(pair: Any, where: str) -> list[str]:
    """List what is wrong with one agreement."""
    wrong = _mistakes(pair, AGREEMENT, where)
    if wrong:
        return wrong
    return [
        f"{where}{name} is no number and not null"
        for name in BOUNDS
        if name not in pair or not (pair[name] is None or _is(pair[name], float))
    ]


def _is(value: Any, kind: type) -> bool:
    """Tell whether a JSON value is of a type; numbers are finite."""
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind
