"""The page: a server-drawn shell that is there at once, and Dash's charts that follow."""

import json
import re
from pathlib import Path
from string import Template
from typing import Any

from dash import Dash, dcc, html
from flask import Flask, request

from sparx_nas.drawing.associations_chart import ASSOCIATIONS_CSS
from sparx_nas.drawing.facts import titled
from sparx_nas.drawing.markup import text
from sparx_nas.drawing.paint import Paint
from sparx_nas.drawing.theme import CHART_CSS, THEME_CSS, WIRING_CSS
from sparx_nas.drawing.wiring import wiring_svg
from sparx_nas.ground.errors import SparxError
from sparx_nas.trial.pareto import best_trial
from sparx_nas.viewer.columns import run_summary
from sparx_nas.viewer.server.api import blueprint
from sparx_nas.viewer.server.catalogue import Catalogue
from sparx_nas.viewer.server.guard import Guard, protect
from sparx_nas.viewer.server.source import Source

TEMPLATE = Path(__file__).parent / "page" / "index.html"
EMPTY_FIGURE: dict[str, Any] = {
    "data": [],
    "layout": {
        "xaxis": {"visible": False},
        "yaxis": {"visible": False},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    },
}
CHART: Any = {
    "responsive": True,
    "scrollZoom": False,
    "doubleClick": "autosize",
    # Named one by one: a new Plotly may add others, as it did one that uploads the chart.
    "modeBarButtons": [
        ["zoom2d", "pan2d", "select2d", "lasso2d"],
        ["zoomIn2d", "zoomOut2d", "resetScale2d"],
    ],
    "displaylogo": False,
    "showLink": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "topojsonURL": "",
}
"""How charts behave; nothing in them leads to another server."""


class ExplorerApp(Dash):
    """Dash with a page of our own around its charts."""

    def __init__(self, catalogue: Catalogue, guard: Guard, *, read_only: bool) -> None:
        self.catalogue, self.guard, self.read_only = catalogue, guard, read_only
        super().__init__(
            "sparx_nas",
            server=Flask("sparx_nas"),  # type: ignore[arg-type]
            assets_folder=str(TEMPLATE.parent / "none"),
            title="SparX explorer",
            update_title="",
            enable_mcp=False,
            add_log_handler=False,
        )

    def interpolate_index(self, **parts: Any) -> str:  # type: ignore[override]
        """Return the page: the drawing of the asked-for trial is in it, the columns follow."""
        boot = self.boot()
        return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
            app=parts["app_entry"],
            dash=parts["config"] + parts["scripts"] + parts["renderer"],
            dash_css=parts["css"],
            css=THEME_CSS + WIRING_CSS + CHART_CSS + ASSOCIATIONS_CSS,
            boot=json.dumps(boot["data"], ensure_ascii=True).replace("<", "\\u003c"),
            drawing=boot["drawing"],
            title=text(boot["data"]["run"] or "SparX explorer"),
        )

    def boot(self) -> dict[str, Any]:
        """Return what the page starts with."""
        names = self.catalogue.names()
        asked = request.args.get("run", "")
        name = asked if asked in names else (names[0] if names and not asked else "")
        data: dict[str, Any] = {
            "run": name,
            "asked": asked,
            "csrf": self.guard.csrf,
            "readOnly": self.read_only,
            "summary": None,
            "trial": None,
        }
        drawing = ""
        if name:
            source = self.catalogue.open(name)
            data["isSpace"] = source.path is None
            if source.ready():
                data["summary"], data["trial"], drawing = _first(source)
        return {"data": data, "drawing": drawing}


def _first(source: Source) -> tuple[dict[str, Any], int | None, str]:
    """Return the summary, the trial to show first, and its drawing."""
    try:
        found = source.snapshot()
    except SparxError:
        return {}, None, ""
    asked = request.args.get("trial", "")
    wanted = int(asked) if re.fullmatch(r"-?[0-9]{1,9}", asked) else None
    trial = found.by_number.get(wanted) if wanted is not None else None
    trial = trial or best_trial(found.run) or next(iter(found.run.trials), None)
    if trial is None:
        return run_summary(found.run), None, ""
    named = titled(trial)
    paint = Paint(image_size=found.run.target["image_size"])
    drawing = wiring_svg(trial.architecture, title=named, ids="w", standalone=False, paint=paint)
    return run_summary(found.run), trial.number, drawing


def make_app(catalogue: Catalogue, guard: Guard, *, read_only: bool) -> Flask:
    """Return the server's application."""
    app = ExplorerApp(catalogue, guard, read_only=read_only)
    app.layout = html.Div(
        [
            dcc.Graph(id="front", figure=EMPTY_FIGURE, config=CHART, responsive=True),
            dcc.Graph(id="curves", figure=EMPTY_FIGURE, config=CHART, responsive=True),
        ],
        id="charts",
    )
    app.server.register_blueprint(blueprint(catalogue, read_only=read_only))
    protect(app.server, guard, " ".join(app.csp_hashes()))
    server: Flask = app.server
    return server
