"""A real browser on a real server, for tests of the explorer's page."""

import shutil
import threading
import time
from contextlib import contextmanager
from importlib.resources import files

from sparx_nas.viewer.server.app import make_app
from sparx_nas.viewer.server.catalogue import catalogue_of
from sparx_nas.viewer.server.guard import Guard
from sparx_nas.viewer.server.serving import bound, server_of
from support.patience import PATIENCE_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


@contextmanager
def served(target, *, space="", read_only=False):
    """Serve a run from a thread; the address is what it yields."""
    catalogue = catalogue_of(target, space)
    listener = bound("127.0.0.1", 0)
    port = listener.getsockname()[1]
    app = make_app(catalogue, Guard(port=port), read_only=read_only)
    server = server_of(app, listener, sockets=(sockets := {}))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        closed(server, sockets, thread)


def closed(server, sockets, thread):
    """End a server that runs in a thread."""
    server.task_dispatcher.shutdown()
    # In its own thread, between two looks at its sockets.
    server.trigger.pull_trigger(lambda: _close(sockets))
    thread.join(timeout=PATIENCE_S)
    assert not thread.is_alive(), "the page's server did not end"


def _close(sockets):
    """Close a server: its connections with what they still had to send, and what it listens on."""
    for one in list(sockets.values()):
        one.handle_close()


@contextmanager
def opened(browser, address, *, empty=False, **context):
    """Open the page and wait for its charts; nothing may go wrong in its console meanwhile."""
    made = browser.new_context(viewport={"width": 1440, "height": 1000}, **context)
    made.set_default_timeout(1000 * PATIENCE_S)
    page = made.new_page()
    wrong = []
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if inside(r.url, address) else wrong.append(r.url))
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes][data-charts=yes]")
    if not empty:
        page.wait_for_selector("#front .scatterlayer .point, #front .scatterlayer path")
        page.wait_for_selector("#drawing svg")
    try:
        yield page
        assert wrong == []
    finally:
        made.close()


def until(page, condition, arg=None, seconds=PATIENCE_S):
    """Wait until an expression, or a function of `arg`, is true in the page.

    Playwright's own waiting evaluates strings inside the page, which the page's policy forbids.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(condition, arg):
        assert time.monotonic() < end, f"never became true: {condition} {arg!r}"
        page.wait_for_timeout(25)


def inside(url, address):
    """Tell whether a request stays with the server."""
    root = "/".join(address.split("/")[:3])
    return url.startswith((root, "data:", "blob:"))


def axe_violations(page):
    """Return what axe-core finds wrong, in words."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    options = {"runOnly": {"type": "tag", "values": RULES}}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{v['id']}: {n['target']} {n['failureSummary']}"
        for v in found["violations"]
        for n in v["nodes"]
    ]


def click_trial(page, number, *, shift=False):
    """Click a trial's point in the front, wherever Plotly put it."""
    place = page.evaluate(
        """number => {
          const plot = document.querySelector('#front .js-plotly-plot');
          const box = plot.querySelector('.nsewdrag').getBoundingClientRect();
          const { xaxis, yaxis } = plot._fullLayout;
          for (const trace of plot._fullData) {
            const i = (trace.customdata || []).indexOf(number);
            if (i >= 0) return [box.x + xaxis.l2p(trace.x[i]), box.y + yaxis.l2p(trace.y[i])];
          }
          return null;
        }""",
        number,
    )
    assert place, f"trial {number} is not drawn"
    # Plotly takes two clicks within 300 ms for one on the axes, wherever they are.
    page.wait_for_timeout(400)
    page.mouse.move(place[0] - 3, place[1])
    page.mouse.move(*place)
    if shift:
        page.keyboard.down("Shift")
    page.mouse.click(*place)
    if shift:
        page.keyboard.up("Shift")
