"""A run that a kill ended before the package had rooms: it opens, shows, and goes on."""

import json
import shutil
from pathlib import Path

import pytest

from sparx_nas.drawing.report import report_html
from sparx_nas.models import load_network
from sparx_nas.run_store import CURVES, load_run
from sparx_nas.viewer.server.app import make_app
from sparx_nas.viewer.server.catalogue import catalogue_of
from sparx_nas.viewer.server.guard import Guard
from support.search_run import search

OLD = Path(__file__).parents[1] / "fixtures" / "before_rooms" / "run"
STORED = {0: ("complete", "sparx"), 1: ("complete", "plain"), 2: ("complete", "dense")}


@pytest.fixture
def old(tmp_path):
    """Return a copy that may be written to, its study with the journal the kill left."""
    path = tmp_path / "before_move"
    shutil.copytree(OLD, path)
    return path


def epochs_of(path):
    """Return how often each trial's training came to its end, by the curves."""
    lines = map(json.loads, (path / CURVES).read_text().splitlines())
    ended = [line["trial"] for line in lines if line["kind"] == "end"]
    return {number: ended.count(number) for number in set(ended)}


def test_it_opens_with_what_was_trained(old):
    run = load_run(old)
    found = {t.number: (t.state, t.baseline) for t in run.trials}
    assert STORED.items() <= found.items()
    assert [t.top1 for t in run.trials[:1]] == [0.36490250696378829]
    assert {t.architecture.id for t in run.front} <= {p.stem for p in (old / "archs").iterdir()}
    report = report_html(run)
    assert all(t.architecture.id in report for t in run.front)


def test_its_explorer_answers(old):
    app = make_app(catalogue_of(old, ""), Guard(port=8050), read_only=True)
    client = app.test_client()
    assert client.get("/").status_code == 200
    told = client.get("/api/v1/run/before_move/trial/0").get_json()
    assert told["number"] == 0


def test_its_best_network_loads(old):
    model, network = load_network(old / "best")
    assert network.architecture.id == json.loads((old / "best" / "arch.json").read_text())["id"]
    assert not model.training


@pytest.mark.slow
def test_it_goes_on_and_trains_nothing_twice(old):
    before = epochs_of(old)
    done = search("--resume", old, cwd=old.parent)
    assert done.returncode == 0, done.stderr
    run = load_run(old)
    own = [t for t in run.trials if t.state == "complete" and not t.baseline]
    assert len(own) == 4
    assert {number: epochs_of(old)[number] for number in before} == before
    assert set(epochs_of(old).values()) == {1}
