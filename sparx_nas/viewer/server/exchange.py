"""What comes in and what goes out, whatever is asked: JSON, files, errors, and their sizes."""

import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from flask import Response, abort, request
from werkzeug.exceptions import HTTPException

from sparx_nas.ground.errors import ArchitectureError, RunError, SparxError
from sparx_nas.viewer.bounds import check_sent

LOG = logging.getLogger(__name__)
MOST_BYTES = 200_000
"""Largest request body: an architecture has a few thousand."""
MOST_ADDRESS = 4_000
"""Longest address with its query, in characters: sixty trials' numbers have a few hundred."""


def answer(value: Mapping[str, Any]) -> Response:
    """Return JSON; a number that is none becomes null, for JSON knows no other."""
    text = json.dumps(finite(value), separators=(",", ":"), allow_nan=False)
    return Response(text, mimetype="application/json")


def finite(value: Any) -> Any:
    """Return JSON values with None in place of what is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value


def failed(error: Exception) -> tuple[Response, int]:
    """Return an error as JSON: what is wrong, and how to mend it."""
    if isinstance(error, SparxError):
        code = 404 if isinstance(error, RunError) else 400
        return answer({"error": str(error), "hint": error.hint}), code
    if isinstance(error, HTTPException):
        return answer({"error": error.description or error.name, "hint": ""}), error.code or 500
    LOG.exception("a fault of the explorer")
    said = f"a fault of the explorer: {type(error).__name__}: {error}"
    return answer({"error": said, "hint": "its terminal says where, with -v"}), 500


def sent() -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises: ArchitectureError if it is none, or too large, or holds what is too large.
    """
    if (request.content_length or 0) > MOST_BYTES:
        raise ArchitectureError(f"a request of more than {MOST_BYTES:,} bytes")
    try:
        value = request.get_json(silent=True)
    except RecursionError:
        value = None
    if not isinstance(value, dict):
        raise ArchitectureError("a request without a JSON object")
    check_sent(value)
    return value


def download(text: str, media_type: str, name: str) -> Response:
    """Return text as a file with a harmless name."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)
    out = Response(text, mimetype=media_type)
    out.headers["Content-Disposition"] = f'attachment; filename="{kept}"'
    return out


def check_address() -> None:
    """Refuse an address that is longer than any that the page asks for."""
    if len(request.path) + len(request.query_string) > MOST_ADDRESS:
        abort(414, f"an address of more than {MOST_ADDRESS:,} characters")


def number_of(word: str) -> int:
    """Return a trial's number.

    Raises: RunError if it is none.
    """
    try:
        return int(word)
    except ValueError as cause:
        raise RunError(f"{word[:40]!r} is no trial's number") from cause
