"""What is too large is refused before it is worked with, whichever field it is in."""

import json

import pytest

from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.viewer import what_if
from sparx_nas.viewer.bounds import DEEPEST, LONGEST, MOST_LAYERS, MOST_STAGES
from sparx_nas.viewer.server.api import POSTS
from sparx_nas.viewer.server.app import make_app
from sparx_nas.viewer.server.catalogue import catalogue_of
from sparx_nas.viewer.server.guard import Guard
from support.architectures import random_architecture

MILLION = 1_000_000
HUGE = 10**300
DESIGN_POSTS = ("what-if", "wiring", "enqueue", "export.json", "drawing.svg")
DESIGN = random_architecture(1).to_dict()
TOO_LARGE = {
    "depths": {"depths": [MILLION] * 4},
    "a depth": {"depths": [1, 2, DEEPEST + 1, 1]},
    "layers": {"depths": [DEEPEST] * (MOST_LAYERS // DEEPEST + 1)},
    "stages": {"depths": [1] * (MOST_STAGES + 1)},
    "a width": {"widths": [MILLION] * 4},
    "widths": {"widths": [8] * MILLION},
    "a number": {"mlp_ratio": [HUGE] * 4},
    "no number": {"expand": [float("nan")] * 4},
    "infinite": {"expand": [float("inf")] * 4},
    "mixer": {"mixer": {"state_dim": MILLION}},
    "text": {"mlp_act": "x" * (LONGEST + 1)},
    "field": {"x" * (LONGEST + 1): 1},
    "fields": {f"x{i}": 1 for i in range(MILLION // 100)},
    "ganglia": {"ganglia": {f"1.{i}": ["1.0"] for i in range(MILLION // 100)}},
    "sources": {"ganglia": {"1.2": [f"1.{i}" for i in range(MILLION // 100)]}},
    "nested": {"mixer": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}},
}


@pytest.fixture
def untouched(monkeypatch):
    """Fail where anything is made of the values that were sent."""

    def made(*_, **__):
        raise AssertionError("a design was made of what is too large")

    monkeypatch.setattr(Architecture, "from_dict", made)


@pytest.fixture(scope="module")
def client():
    guard = Guard(port=8050)
    made = make_app(catalogue_of(None, "mamba_micro"), guard, read_only=False).test_client()
    made.csrf = {"X-SparX-CSRF": guard.csrf}
    return made


@pytest.mark.parametrize("change", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_design_that_is_too_large_is_refused_unmade(untouched, change):
    with pytest.raises(ArchitectureError, match=r"what-if") as refused:
        what_if.read_architecture(DESIGN | change, "what-if")
    assert len(str(refused.value)) < 2 * LONGEST + 200


@pytest.mark.parametrize("post", DESIGN_POSTS)
@pytest.mark.parametrize("change", TOO_LARGE.values(), ids=TOO_LARGE)
def test_every_request_that_takes_a_design_refuses_it_in_words(client, untouched, post, change):
    design = DESIGN | change
    body = json.dumps({"architecture": design, "a": design})
    path = f"/api/v1/run/mamba_micro/{post}"
    answer = client.post(path, data=body, content_type="application/json", headers=client.csrf)
    assert answer.status_code == 400
    assert answer.get_json()["error"]
    assert "fault" not in answer.get_json()["error"]


def test_a_design_of_any_size_that_a_space_may_have_is_taken():
    deep = {"depths": [DEEPEST] * 4, "ganglia": {}}
    for seed in range(3):
        design = random_architecture(seed).to_dict()
        assert what_if.read_architecture(design, "x").to_dict() == design
        assert what_if.read_architecture(design | deep, "x").graph.depths == (DEEPEST,) * 4


@pytest.mark.parametrize(
    "ganglia",
    [{"1.1": [f"1.{i}" for i in range(MILLION // 100)]}, {f"9.{i}": [] for i in range(9999)}],
)
def test_a_wiring_that_is_too_large_is_a_mistake_in_words(client, ganglia):
    body = {"architecture": DESIGN, "operation": {"kind": "wiring", "ganglia": ganglia}}
    path = "/api/v1/run/mamba_micro/what-if"
    answer = client.post(path, json=body, headers=client.csrf)
    assert answer.status_code == 200
    assert "the most here" in answer.get_json()["mistake"]


@pytest.mark.parametrize("post", [path.replace("<kind>", "json") for path in POSTS])
@pytest.mark.parametrize(
    "body",
    ["[" * 50_000, '{"a":' * 20_000, '{"a": ' + "9" * 5000 + "}", '{"a": "' + "x" * 900 + '"}'],
)
def test_odd_bodies_are_refused_in_words(client, post, body):
    path = f"/api/v1/run/mamba_micro/{post}"
    answer = client.post(path, data=body, content_type="application/json", headers=client.csrf)
    assert answer.status_code in (400, 404)
    assert "fault" not in answer.get_json()["error"]


@pytest.mark.parametrize(
    "rest",
    [
        "run/" + "x" * MILLION,
        "run/mamba_micro/trial/" + "9" * 5000,
        "run/mamba_micro/export/1." + "x" * 5000,
        "run/mamba_micro/curves?trials=" + ",".join(map(str, range(5000))),
    ],
)
def test_an_address_that_is_too_long_is_refused(client, rest):
    answer = client.get(f"/api/v1/{rest}")
    assert answer.status_code in (404, 414)
    assert len(answer.data) < 4 * LONGEST


def test_a_run_of_a_long_name_is_not_looked_for(client):
    answer = client.get("/api/v1/run/" + "mamba_micro" * 300 + "/trials")
    assert answer.status_code == 404
    assert len(answer.data) < 2 * LONGEST
