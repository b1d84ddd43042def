"""Time the explorer on a run of many trials beside optuna-dashboard on the same study; prints JSON.

`python tests/benchmarks/viewer.py [--trials 10000]`. Values are compared first: both have to tell
the same number of trials. Times are those of a headless Chromium on this machine.
"""

import argparse
import gzip
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright
from timing import report

sys.path.insert(0, str(Path(__file__).parent.parent))
from support.browser import ARGUMENTS, CHROMIUM, click_trial
from support.runs import large_run

REPEATS = 5
START_S, PAGE_MS = 120.0, 120_000
SELECT = """async number => {
  const { choose } = await import('/page/table.js');
  const drawing = document.getElementById('drawing');
  const start = performance.now();
  const drawn = new Promise(done => {
    const watch = new MutationObserver(() => { watch.disconnect(); requestAnimationFrame(done); });
    watch.observe(drawing, { childList: true });
  });
  choose(number, false);
  await drawn;
  return performance.now() - start;
}"""
EDIT = {"kind": "layer", "stage": 3, "layer": 4}


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command, address):
    """Start a server and wait until it answers; yields the seconds that took."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).read()
                break
            except OSError:
                assert time.perf_counter() - start < START_S, f"{command[0]} does not answer"
                assert process.poll() is None, f"{command[0]} ended"
                time.sleep(0.1)
        yield time.perf_counter() - start
    finally:
        process.terminate()
        process.wait(timeout=20)


def fetched(url) -> dict:
    """Fetch an address repeatedly; its size as sent, and the milliseconds."""
    times, body = [], b""
    for _ in range(REPEATS):
        start = time.perf_counter()
        request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            body = answer.read()
            packed = answer.headers.get("Content-Encoding") == "gzip"
        times.append((time.perf_counter() - start) * 1e3)
    plain = gzip.decompress(body) if packed else body
    times.sort()
    return {
        "bytes_sent": len(body),
        "bytes_gzipped": len(body) if packed else len(gzip.compress(body)),
        "first_ms": round(times[-1], 1),
        "median_ms": round(times[REPEATS // 2], 1),
        "n": REPEATS,
        "body": plain,
    }


def painted(page, address, ready) -> dict:
    """Open a page; milliseconds to its first content and to what `ready` waits for."""
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(ready, timeout=PAGE_MS)
    whole = (time.perf_counter() - start) * 1e3
    entries = "performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)"
    first = page.evaluate(entries)
    return {"first_paint_ms": round(first[0], 1) if first else None, "chart_ms": round(whole, 1)}


def interactions(page, numbers) -> dict:
    """Time the explorer's answers to clicks: selecting, comparing, editing; medians in ms."""
    times = {"select_ms": [page.evaluate(SELECT, number) for number in numbers], "edit_ms": []}
    page.wait_for_selector("#edit:not([disabled])")
    page.keyboard.press("e")
    page.wait_for_selector("#edit-panel:not([hidden])")
    for _ in numbers:
        times["edit_ms"].append(
            page.evaluate(
                """async edit => {
                  const { change } = await import('/page/what-if.js');
                  const start = performance.now();
                  await change(edit);
                  return performance.now() - start;
                }""",
                EDIT,
            )
        )
    return {name: round(sorted(found)[len(found) // 2], 1) for name, found in times.items()}


def ours(path, browser, trials) -> dict:
    """Measure the explorer."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "sparx_nas.viewer", str(path), "--port", str(port)]
    with running(command, address) as start_s:
        told = fetched(f"{address}api/v1/run/{path.name}/trials")
        assert len(json.loads(told.pop("body"))["columns"]["number"]) == trials
        page = browser.new_page()
        out = painted(page, address, "#front .scatterlayer path.point")
        click_trial(page, 0)
        out |= interactions(page, range(5, 15))
        page.close()
    return {"name": "explorer", "start_s": round(start_s, 1), **told, **out}


def peer(path, browser, trials) -> dict:
    """Measure optuna-dashboard."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/"
    tool = shutil.which("optuna-dashboard", path=str(Path(sys.executable).parent))
    assert tool, "pip install optuna-dashboard"
    command = [tool, f"sqlite:///{path / 'study.db'}", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, address) as start_s:
        told = fetched(f"{address}api/studies/1?after=0")
        assert len(json.loads(told.pop("body"))["trials"]) == trials
        page = browser.new_page()
        out = painted(page, f"{address}dashboard/studies/1", ".js-plotly-plot .main-svg")
        page.close()
    name = f"optuna-dashboard {version('optuna-dashboard')}"
    return {"name": name, "start_s": round(start_s, 1), **told, **out}


def main() -> None:
    """Print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    trials = parser.parse_args().trials
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = large_run(Path(folder), trials)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        found = [{"trials": trials, **f(path, browser, trials)} for f in (ours, peer)]
        browser.close()
    report("viewer", found)


if __name__ == "__main__":
    main()
