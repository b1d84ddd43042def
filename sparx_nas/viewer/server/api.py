"""The addresses of the server: `/api/v1/…` for the page, `/page/…` for its files."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request, send_from_directory
from werkzeug.exceptions import HTTPException

from sparx_nas.architecture import Architecture
from sparx_nas.drawing.exports import EXPORTS
from sparx_nas.drawing.facts import titled
from sparx_nas.drawing.report import report_html
from sparx_nas.ground.errors import ArchitectureError, RunError, SparxError
from sparx_nas.run_store import enqueue, trials_table, withdraw
from sparx_nas.viewer.columns import stage_columns
from sparx_nas.viewer.comparing import scores_words
from sparx_nas.viewer.server import answers
from sparx_nas.viewer.server.catalogue import Catalogue
from sparx_nas.viewer.server.exchange import (
    answer,
    check_address,
    download,
    failed,
    number_of,
    sent,
)
from sparx_nas.viewer.server.source import Source
from sparx_nas.viewer.what_if import read_architecture

PAGE = Path(__file__).parent / "page"


def blueprint(catalogue: Catalogue, *, read_only: bool) -> Blueprint:
    """Return the routes over what a server may open."""
    api = Blueprint("api", __name__)
    posts = {**POSTS} | (dict.fromkeys(CHANGES, refused) if read_only else {})
    api.add_url_rule("/page/<path:name>", "page_file", page_file)
    api.add_url_rule("/api/v1/runs", "runs", partial(runs, catalogue))
    for rule, view in GETS.items():
        path = f"/api/v1/run/<run>/{rule}"
        api.add_url_rule(path, f"get_{view.__name__}", partial(view, catalogue))
    for rule, view in posts.items():
        path, name = f"/api/v1/run/<run>/{rule}", f"post_{rule.partition('.')[0]}"
        api.add_url_rule(path, name, partial(view, catalogue), methods=["POST"])
    api.before_request(check_address)
    for kind in (SparxError, HTTPException, Exception):
        api.register_error_handler(kind, failed)
    return api


def page_file(name: str) -> Response:
    """Return a file of the page."""
    return send_from_directory(PAGE, name, max_age=0)


def runs(catalogue: Catalogue) -> Response:
    """List what can be opened."""
    return answer({"runs": catalogue.listing()})


def trials(catalogue: Catalogue, run: str) -> Response:
    """Return summary and columns, or that nothing changed since the revision the page holds."""
    source = catalogue.open(run)
    found = source.snapshot()
    if request.if_none_match.contains(found.revision):
        out = Response(status=304)
    else:
        out = Response(found.body, mimetype="application/json")
        out.headers["Content-Encoding"] = "gzip"
    out.headers["Cache-Control"] = "no-cache"
    out.headers["X-SparX-Note"] = quote(source.error, safe=" ")
    out.set_etag(found.revision)
    return out


def trial(catalogue: Catalogue, run: str, number: int) -> Response:
    """Return everything of one trial."""
    source = catalogue.open(run)
    return answer(answers.trial_answer(source, answers.trial_of(source, number)))


def curves(catalogue: Catalogue, run: str) -> Response:
    """Return the curves of the trials in the query."""
    numbers = [number_of(word) for word in request.args.get("trials", "").split(",") if word]
    return answer(answers.curves_answer(catalogue.open(run), numbers))


def features(catalogue: Catalogue, run: str) -> Response:
    """Return which features go with accuracy."""
    return answer(answers.features_answer(catalogue.open(run)))


def stages(catalogue: Catalogue, run: str) -> Response:
    """Return what each stage of each trial's wiring is like, for a search by it."""
    return answer(stage_columns(catalogue.open(run).snapshot().run))


def wiring(catalogue: Catalogue, run: str) -> Response:
    """Return a drawing."""
    return answer(drawing(catalogue.open(run), sent()))


def what_if(catalogue: Catalogue, run: str) -> Response:
    """Return what a change leads to."""
    return answer(answers.what_if_answer(catalogue.open(run), sent()))


def enqueued(catalogue: Catalogue, run: str) -> Response:
    """Hand a design to the search."""
    source = catalogue.open(run)
    design = read_architecture(sent().get("architecture"), "enqueue")
    if source.path is None:
        raise RunError("a space has no search to send a design to")
    with source.queueing:
        # Two pages may send the same design at the same moment.
        found = enqueue(source.path, source.snapshot().run, source.space, design)
        source.read()
    return answer(asdict(found) | {"id": design.id})


def withdrawn(catalogue: Catalogue, run: str) -> Response:
    """Take a design back that waits to be trained."""
    source, number = catalogue.open(run), sent().get("number")
    if source.path is None:
        raise RunError("a space has no search to take a design back from")
    if type(number) is not int:
        raise ArchitectureError(f"number is {number!r}; it is that of a design that waits")
    with source.queueing:
        found = withdraw(source.path, number)
        source.read()
    return answer({"number": found.number, "id": found.architecture.id})


def refused(catalogue: Catalogue, run: str) -> Response:
    """Refuse what a server that only reads is asked to do."""
    raise RunError("this explorer only reads (--read-only)")


def export(catalogue: Catalogue, run: str, number: int, kind: str) -> Response:
    """Return a trial's design as a file."""
    source = catalogue.open(run)
    found = answers.trial_of(source, number)
    return exported(source, found.architecture, f"{run} {found.name}", kind)


def export_sent(catalogue: Catalogue, run: str, kind: str) -> Response:
    """Return a design that the page sends as a file."""
    source = catalogue.open(run)
    design = read_architecture(sent().get("architecture"), "export")
    return exported(source, design, f"{source.name} what-if", kind)


def drawing_file(catalogue: Catalogue, run: str) -> Response:
    """Return a drawing as it is shown, with its style and legend in it."""
    svg = drawing(catalogue.open(run), sent(), standalone=True)["svg"]
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{svg}\n'
    return download(text, "image/svg+xml", f"{run}.svg")


def table(catalogue: Catalogue, run: str) -> Response:
    """Return all trials as comma-separated values."""
    text = trials_table(catalogue.open(run).snapshot().run)
    return download(text, "text/csv", f"{run}.csv")


def report(catalogue: Catalogue, run: str) -> Response:
    """Return the offline report, as the run is now."""
    text = report_html(catalogue.open(run).snapshot().run)
    return download(text, "text/html", f"{run}-report.html")


GETS: Mapping[str, Callable[..., Response]] = {
    "trials": trials,
    "trial/<int(signed=True):number>": trial,
    "curves": curves,
    "features": features,
    "stages": stages,
    "export/<int(signed=True):number>.<kind>": export,
    "trials.csv": table,
    "report.html": report,
}
POSTS: Mapping[str, Callable[..., Response]] = {
    "wiring": wiring,
    "what-if": what_if,
    "enqueue": enqueued,
    "withdraw": withdrawn,
    "export.<kind>": export_sent,
    "drawing.svg": drawing_file,
}


CHANGES = ("enqueue", "withdraw")
"""Posts that change a run."""


def drawing(
    source: Source, asked: Mapping[str, Any], *, standalone: bool = False
) -> dict[str, Any]:
    """Draw what the page asks for: `a` and perhaps `b`, each a trial's number or a design.

    Of a population `only` lists the trials' numbers; without it all are looked at.
    """
    view = str(asked.get("view", "arc"))
    if view == answers.POPULATION:
        only = asked.get("only")
        kept = {n for n in only if type(n) is int} if isinstance(only, list) else None
        return answers.population_answer(source, kept, standalone=standalone)
    title, design = _design(source, asked.get("a"))
    versus = _design(source, asked["b"]) if asked.get("b") is not None else None
    paint = answers.paint_of(
        source, design, str(asked.get("color", "class")), str(asked.get("width", "plain"))
    )
    found = answers.wiring_answer(
        source, (title, design), versus=versus, view=view, paint=paint, standalone=standalone
    )
    numbers = [n for n in (asked.get("a"), asked.get("b")) if type(n) is int]
    if len(numbers) == 2:
        both = [answers.trial_of(source, number) for number in numbers]
        found["scores"] = scores_words(source.snapshot().run, *both)
    return found


def exported(source: Source, design: Architecture, title: str, kind: str) -> Response:
    """Return a design as a file, its shapes and costs those of the run's target.

    Raises: ArchitectureError for an unknown kind of file.
    """
    if kind not in EXPORTS:
        raise ArchitectureError(f"no export {kind!r}; there are {', '.join(EXPORTS)}")
    found = EXPORTS[kind]
    return download(
        found.write(design, title, source.target()), found.media_type, f"{title}.{found.ending}"
    )


def _design(source: Source, asked: Any) -> tuple[str, Architecture]:
    """Return what the page calls a trial's number or an architecture."""
    if type(asked) is int:
        trial = answers.trial_of(source, asked)
        role = f" ({trial.baseline})" if trial.baseline else ""
        return f"{titled(trial)}{role}", trial.architecture
    return "What-if", read_architecture(asked, "drawing")
