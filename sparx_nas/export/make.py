"""Make an export: every form that was asked for, one failure keeping none of the others back."""

import hashlib
import platform
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sparx_nas.data import find_data
from sparx_nas.export.card import write_card
from sparx_nas.export.check import check_forms
from sparx_nas.export.design import default_folder, read_design
from sparx_nas.export.job import Job
from sparx_nas.export.onnx_file import write_onnx
from sparx_nas.export.program import write_program
from sparx_nas.export.request import Request
from sparx_nas.export.single_file import write_python
from sparx_nas.export.source import Source, read_source
from sparx_nas.export.target import Target
from sparx_nas.export.weights import write_weights
from sparx_nas.ground.errors import ExportError, SparxError
from sparx_nas.ground.installed import versions

CARD = "card"
WRITERS: Mapping[str, Callable[[Job], dict[str, Any]]] = {
    "safetensors": write_weights,
    "onnx": write_onnx,
    "torch_export": write_program,
    "python": write_python,
    CARD: write_card,
}
EXPORT = "export"
PACKAGES = ("sparx-nas", "torch", "timm", "safetensors", "onnx", "onnxscript", "onnxruntime")
"""Whose versions say how the files were made."""


def make_export(
    request: Request, done: Callable[[str, Mapping[str, Any]], None] = lambda form, entry: None
) -> Path:
    """Make the forms that are asked for and return their folder; `done` hears of each.

    Raises: ExportError listing the forms that could not be made, after the others were; any error
    of `find_data`, `read_source` and `Target.claim` before anything is written.
    """
    if request.check is not None:
        # A misspelt name is told before minutes of work.
        find_data(request.check.data, request.check.data_dir)
    if request.full is not None:
        source = read_design(request)
        folder = request.to or default_folder(source)
    else:
        source = read_source(request.folder)
        folder = request.to or source.folder / EXPORT
    job = Job(source=source, request=request, target=Target.claim(folder, _head(source)))
    failures: dict[str, Exception] = {}
    for step, work in _steps(job):
        try:
            done(step, work(job))
        # An exporter may raise anything; whatever it is, the other forms are made.
        except Exception as cause:
            job.target.drop(step)
            failures[step] = cause
    if failures:
        mistakes = [f"{form}: {_reason(cause)}" for form, cause in failures.items()]
        hints = [cause.hint for cause in failures.values() if isinstance(cause, SparxError)]
        error = ExportError.of(str(folder), mistakes, hint="; ".join(filter(None, hints)))
        raise error from next(iter(failures.values()))
    return folder


def _steps(job: Job) -> Iterator[tuple[str, Callable[[Job], dict[str, Any]]]]:
    """Yield what is done: the forms, a check of them, and the card, which tells of both."""
    wanted = job.request.formats
    yield from ((form, WRITERS[form]) for form in wanted if form != CARD)
    if job.request.check is not None:
        yield "check", _checked
    yield from ((form, WRITERS[form]) for form in wanted if form == CARD)


def _checked(job: Job) -> dict[str, Any]:
    """Score all forms on real images."""
    assert job.request.check is not None, "a check is asked for"
    job.target.note(check_forms(job, job.request.check))
    return job.target.checked


def _reason(cause: Exception) -> str:
    """Say in a line what went wrong."""
    said = str(cause).strip() or "no reason given"
    return said if isinstance(cause, SparxError) else f"{type(cause).__name__}: {_line(said)}"


def _line(text: str) -> str:
    """Return the first line of a text that says something."""
    return text.splitlines()[0]


def _head(source: Source) -> dict[str, Any]:
    """Tell the network and the versions it is exported with."""
    if source.weights is None:
        # New weights have no file; what tells designs apart is how they are built and fed.
        weights: dict[str, Any] = {"untrained": source.network.to_dict()}
    else:
        weights = {"weights_sha256": hashlib.sha256(source.weights.read_bytes()).hexdigest()}
    return {
        "architecture": source.network.architecture.id,
        **weights,
        "versions": {"python": platform.python_version(), **versions(PACKAGES)},
    }
