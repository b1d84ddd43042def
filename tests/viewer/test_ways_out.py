"""Nothing leaves the machine: no button, link, font or script leads to another server."""

import json
import re

import pytest

from sparx_nas.drawing.exports import EXPORTS
from sparx_nas.viewer.server.api import PAGE
from sparx_nas.viewer.server.app import CHART, make_app
from sparx_nas.viewer.server.catalogue import catalogue_of
from sparx_nas.viewer.server.guard import Guard
from support.browser import ARGUMENTS, CHROMIUM, opened, served
from support.runs import distinct, finished, new_run, new_study

RUN = "/api/v1/run/micro-1"
BUTTONS = {
    "Zoom",
    "Pan",
    "Box Select",
    "Lasso Select",
    "Zoom in",
    "Zoom out",
    "Reset axes",
}
NAMES = re.compile(r"http://(www\.w3\.org/|graphml\.graphdrawing\.org/)[\w./-]*")
"""Names of formats, which look like addresses and are never asked for."""
LEADING = re.compile(
    r"""(?i)\b(?:href|src|srcset|action|formaction|ping|poster)\s*=\s*["']?([^"'\s>]*)"""
)
LOADED = re.compile(r"(?i)url\(\s*['\"]?([^'\")]*)|@import\s+['\"]([^'\"]*)")
OPENERS = re.compile(r"window\.open|sendBeacon|WebSocket|EventSource|XMLHttpRequest|importScripts")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = new_run(tmp_path_factory.mktemp("runs"))
    study = new_study(path)
    for i, architecture in enumerate(distinct(24)):
        finished(
            path, study, architecture, 0.5 + 0.01 * (7 * i % 24), baseline="sparx" if i == 0 else ""
        )
    return path


@pytest.fixture(scope="module")
def documents(run):
    """Return all that the explorer hands out, by name: its page, files, drawings and exports."""
    guard = Guard(port=8050)
    client = make_app(catalogue_of(run, ""), guard, read_only=False).test_client()
    sent = {"X-SparX-CSRF": guard.csrf}
    found = {"page": client.get("/").get_data(as_text=True)}
    found |= {file.name: file.read_text() for file in PAGE.iterdir() if file.is_file()}
    found["report"] = client.get(f"{RUN}/report.html").get_data(as_text=True)
    found["features"] = client.get(f"{RUN}/features").get_json()["svg"]
    for body in ({"a": 1}, {"a": 1, "b": 2}, {"a": 1, "view": "matrix"}, {"view": "population"}):
        answer = client.post(f"{RUN}/drawing.svg", json={"a": 1} | body, headers=sent)
        found[json.dumps(body)] = answer.get_data(as_text=True)
    for kind in EXPORTS:
        found[kind] = client.get(f"{RUN}/export/1.{kind}").get_data(as_text=True)
    assert all(found.values())
    return found


def test_no_document_names_another_server(documents):
    for name, text in documents.items():
        left = re.sub(NAMES, "", text)
        assert re.findall(r"(?i)\b(?:https?|wss?|ftp)://[^\s\"'<]*", left) == [], name


def test_no_document_links_to_or_loads_from_elsewhere(documents):
    for name, text in documents.items():
        targets = [m for m in re.findall(LEADING, text) if not name.endswith(".js")]
        targets += [a or b for a, b in re.findall(LOADED, text)]
        away = [t for t in targets if t.startswith("//") or re.match(r"(?i)(?!data:)[a-z]+:", t)]
        assert away == [], name


def test_no_script_of_the_page_opens_a_way_of_its_own(documents):
    for name, text in documents.items():
        if name.endswith(".js"):
            assert not re.search(OPENERS, text), name


def test_every_chart_has_only_known_buttons(run):
    app = make_app(catalogue_of(run, ""), Guard(port=8050), read_only=True)
    told = app.test_client().get("/_dash-layout").get_json()
    charts = [child for child in told["props"]["children"] if child["type"] == "Graph"]
    assert len(charts) == 2
    for chart in charts:
        assert chart["props"]["config"] == CHART
    assert not CHART["plotlyServerURL"]
    assert not any(CHART[name] for name in ("showSendToCloud", "showLink", "displaylogo"))


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
def test_no_button_of_a_chart_opens_a_page(run):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with served(run) as address, opened(browser, f"{address}?tab=curves") as page:
            page.wait_for_selector("#curves .scatterlayer path")
            pages = []
            page.context.on("page", lambda opened: pages.append(opened.url))
            buttons = page.locator(".modebar-btn")
            titles = [buttons.nth(i).get_attribute("data-title") for i in range(buttons.count())]
            assert set(titles) == BUTTONS
            for i in range(len(titles)):
                buttons.nth(i).click()
            assert page.locator(".modebar a[href], .plotly-dialog, .plotlyjsicon").count() == 0
            assert pages == []
        browser.close()
