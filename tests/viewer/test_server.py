"""The explorer's server without a browser: who may ask, what is answered, what is refused."""

import gzip
import json
import time

import pytest

import sparx_nas
from sparx_nas.architecture import Architecture
from sparx_nas.cost import estimate
from sparx_nas.ground.errors import DeviceError, RunError
from sparx_nas.run_store import load_run, write_status
from sparx_nas.viewer import __main__ as command
from sparx_nas.viewer.server.app import make_app
from sparx_nas.viewer.server.catalogue import catalogue_of, runs_in
from sparx_nas.viewer.server.guard import Guard, guard_for
from sparx_nas.viewer.server.serving import address, bound
from support.patience import PATIENCE_S
from support.runs import distinct, finished, new_run, new_study

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = new_run(tmp_path_factory.mktemp("runs"))
    study = new_study(path)
    for i, architecture in enumerate(distinct(6)):
        finished(path, study, architecture, 0.5 + 0.05 * i, baseline="sparx" if i == 0 else "")
    return path


@pytest.fixture(scope="module")
def client(run):
    guard = Guard(port=8050)
    app = make_app(catalogue_of(run, ""), guard, read_only=False)
    made = app.test_client()
    made.csrf = guard.csrf
    return made


def asked(client, path, body, **headers):
    sent = {"X-SparX-CSRF": client.csrf} | headers
    return client.post(f"/api/v1/run/micro-1/{path}", json=body, headers=sent)


def test_columns_are_those_of_the_run(client, run):
    answer = client.get("/api/v1/run/micro-1/trials")
    told = json.loads(gzip.decompress(answer.data))
    known = load_run(run)
    assert told["columns"]["number"] == [t.number for t in known.trials]
    assert told["columns"]["front"] == [t.number for t in known.front]
    assert told["columns"]["measures"]["top1"] == [t.top1 for t in known.trials]
    assert told["columns"]["baselines"] == {"0": "sparx"}
    for trial, place in zip(known.trials, told["columns"]["wiring"], strict=True):
        assert told["columns"]["wirings"]["id"][place] == trial.architecture.graph.id[:8]
    again = client.get(
        "/api/v1/run/micro-1/trials", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304
    assert not again.data


def test_accuracies_come_with_how_far_they_can_be_off(client, run):
    told = json.loads(gzip.decompress(client.get("/api/v1/run/micro-1/trials").data))
    known, bounds = load_run(run), told["columns"]["bounds"]["top1"]
    shown = {t.number for t in known.front} | {t.number for t in known.trials if t.baseline}
    assert set(bounds) == {str(number) for number in shown}
    for trial in known.front:
        low, high = bounds[str(trial.number)]
        assert low < trial.top1 < high
    assert "--seeds" in told["summary"]["reliability"]


def test_a_what_if_costs_what_the_built_network_does(client, run):
    trial = load_run(run).trials[1]
    sent = {"architecture": trial.architecture.to_dict(), "base": trial.number}
    operation = {"kind": "layer", "stage": 3, "layer": 1}
    found = asked(client, "what-if", sent | {"operation": operation}).get_json()
    changed = Architecture.from_dict(found["architecture"])
    assert changed.graph.stages[2].kind(1) != trial.architecture.graph.stages[2].kind(1)
    target = found["target"]
    net = sparx_nas.build(changed, target["num_classes"], in_chans=target["in_chans"])
    assert found["cost"]["params"] == sum(p.numel() for p in net.parameters())
    assert found["cost"]["macs"] == estimate(changed, **target).macs
    assert not found["mistake"]
    assert "edge" in found["difference"]


def test_a_mistake_leaves_the_design_and_names_the_layer(client, run):
    design = load_run(run).trials[1].architecture
    operation = {"kind": "edge", "stage": 3, "source": 3, "target": 2}
    sent = {"architecture": design.to_dict(), "operation": operation}
    found = asked(client, "what-if", sent).get_json()
    assert "layer 3.2 cannot read 3.3: it comes later" in found["mistake"]
    assert found["architecture"] == design.to_dict()


def test_a_known_design_says_whose_it_is(client, run):
    design = load_run(run).trials[2].architecture
    found = asked(client, "what-if", {"architecture": design.to_dict()}).get_json()
    assert found["same_as"] == 2
    assert found["same_words"] == "Same design as trial 2 (60.0 %)"
    assert not found["verdict"]["accepted"]


@pytest.mark.parametrize(
    "body",
    [
        {"architecture": None},
        {"architecture": {"schema": 99}},
        {"architecture": {"schema": 1, "kind": "architecture", "depths": [1], "widths": ["x"]}},
        {"architecture": [1, 2]},
        {},
    ],
)
def test_what_is_no_architecture_is_refused_in_words(client, body):
    answer = asked(client, "what-if", body)
    assert answer.status_code == 400
    assert answer.get_json()["error"]


@pytest.mark.parametrize("operation", [{"kind": "x"}, {"kind": "layer"}, {"kind": "rule"}, "x", 7])
def test_what_is_no_operation_is_a_mistake_in_words(client, run, operation):
    design = load_run(run).trials[1].architecture.to_dict()
    found = asked(client, "what-if", {"architecture": design, "operation": operation})
    assert found.status_code in (200, 400)
    said = found.get_json()
    assert said.get("mistake") or said.get("error")


def test_every_view_is_drawn(client):
    for view in ("arc", "matrix", "population"):
        for b in (None, 3):
            found = asked(client, "wiring", {"a": 1, "b": b, "view": view}).get_json()
            assert found["svg"].startswith("<svg"), view
    for color in ("class", "age"):
        for width in ("plain", "channels", "macs"):
            body = {"a": 1, "color": color, "width": width}
            assert "data-layer" in asked(client, "wiring", body).get_json()["svg"]
    assert asked(client, "wiring", {"a": 1, "view": "spiral"}).status_code == 400
    assert asked(client, "wiring", {"a": 1, "color": "mass"}).status_code == 400
    assert asked(client, "wiring", {"a": 99}).status_code == 404


def test_the_drawing_has_the_edges_of_the_wiring(client, run):
    import xml.etree.ElementTree as ET

    for trial in load_run(run).trials:
        svg = asked(client, "wiring", {"a": trial.number}).get_json()["svg"]
        drawn = {
            (e.get("data-source"), e.get("data-target"))
            for e in ET.fromstring(svg).iter()
            if e.get("data-kind") == "aggregate"
        }
        ganglia = trial.architecture.graph.ganglia
        assert drawn == {(s, layer) for layer, row in ganglia.items() for s in row}


@pytest.mark.parametrize("kind", ["svg", "json", "yaml", "graphml", "graph", "py"])
def test_every_export_is_a_file(client, run, kind):
    answer = client.get(f"/api/v1/run/micro-1/export/1.{kind}")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="micro-1')
    design = load_run(run).trials[1].architecture
    sent = asked(client, f"export.{kind}", {"architecture": design.to_dict()})
    assert sent.status_code == 200
    if kind == "json":
        assert Architecture.from_dict(json.loads(answer.data)) == design
    if kind == "py":
        space: dict = {}
        exec(answer.data.decode(), space)
        assert space["architecture"] == design


def test_csv_report_curves_and_features(client):
    table = client.get("/api/v1/run/micro-1/trials.csv")
    assert table.data.decode().count("\n") == 7
    assert b"<!doctype html>" in client.get("/api/v1/run/micro-1/report.html").data
    found = client.get("/api/v1/run/micro-1/curves?trials=1,2,77").get_json()["curves"]
    assert [curve["number"] for curve in found] == [1, 2]
    assert client.get("/api/v1/run/micro-1/features").get_json()["sentences"]
    assert client.get("/api/v1/run/micro-1/curves?trials=1,x").status_code == 404


@pytest.mark.parametrize(
    "name", ["other", "..", "../micro-1", "%2e%2e", "..%2f..%2fetc", "", "micro-1/..", ".hidden"]
)
def test_only_listed_runs_are_opened(client, name):
    assert client.get(f"/api/v1/run/{name}/trials").status_code in (301, 308, 404)


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "/etc/passwd", "none.js"])
def test_page_files_stay_in_their_folder(client, name):
    assert client.get(f"/page/{name}").status_code == 404


def test_a_link_out_of_the_folder_is_no_run(run, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(run)
    assert runs_in(tmp_path / "runs") == []
    with pytest.raises(RunError, match="holds no runs"):
        catalogue_of(tmp_path / "runs", "")
    with pytest.raises(RunError, match="no run and no folder"):
        catalogue_of(tmp_path / "none", "")


@pytest.mark.parametrize("host", ["evil.example:8050", "evil.example", "127.0.0.1.evil.example"])
def test_another_name_for_this_machine_is_refused(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8050", "127.0.0.1", "[::1]:8050"])
def test_loopback_names_are_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_a_post_needs_our_page(client, run):
    body = {"architecture": load_run(run).trials[1].architecture.to_dict()}
    path = "/api/v1/run/micro-1/what-if"
    assert client.post(path, json=body).status_code == 403
    assert client.post(path, json=body, headers={"X-SparX-CSRF": "x"}).status_code == 403
    assert asked(client, "what-if", body, Origin="http://evil.example").status_code == 403
    assert asked(client, "what-if", body, Origin="http://localhost").status_code == 200
    held = {"X-SparX-CSRF": client.csrf}
    assert client.post("/_dash-update-component", json={}, headers=held).status_code == 405


def test_answers_say_what_the_page_may_do(client):
    page = client.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in page.headers


def test_a_token_is_needed_off_loopback(run):
    guard = guard_for("0.0.0.0", 8050)
    assert guard.token
    assert not guard_for("127.0.0.1", 8050).token
    assert not guard_for("localhost", 8050).token
    assert guard_for("192.168.1.7", 8050).token
    app = make_app(catalogue_of(run, ""), guard, read_only=True)
    client = app.test_client()
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    assert client.get("/page/main.js").status_code == 401
    bearer = {"Authorization": f"token {guard.token}"}
    assert client.get("/api/v1/runs", headers=bearer).status_code == 200
    entered = client.get(f"/?token={guard.token}&trial=1")
    assert entered.status_code == 302
    assert entered.headers["Location"] == "/?trial=1"
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert client.get("/").status_code == 200
    away = app.test_client().get(f"//evil.example/?token={guard.token}")
    assert not away.headers.get("Location", "/").startswith("//")
    assert guard.token in address("0.0.0.0", guard)


@pytest.mark.parametrize("change", ["enqueue", "withdraw"])
def test_read_only_takes_nothing(run, change):
    guard = Guard(port=8050)
    client = make_app(catalogue_of(run, ""), guard, read_only=True).test_client()
    body = {"architecture": distinct(9)[-1].to_dict(), "number": 6}
    headers = {"X-SparX-CSRF": guard.csrf}
    answer = client.post(f"/api/v1/run/micro-1/{change}", json=body, headers=headers)
    assert answer.status_code == 404
    assert "--read-only" in answer.get_json()["error"]


def test_what_was_sent_is_listed_until_it_is_withdrawn(tmp_path):
    path, designs = new_run(tmp_path), distinct(6)
    study = new_study(path)
    for design in designs[:2]:
        finished(path, study, design, 0.5)
    guard, catalogue = Guard(port=8050), catalogue_of(path, "")
    client = make_app(catalogue, guard, read_only=False).test_client()
    client.csrf = guard.csrf

    def listed():
        told = json.loads(gzip.decompress(client.get("/api/v1/run/micro-1/trials").data))
        return [(one["number"], one["state"], one["wiring"]) for one in told["summary"]["sent"]]

    baselines = {a.id for a in sparx_nas.load_space("mamba_micro").baselines.values()}
    first, second = [d for d in designs[2:] if d.id not in baselines][:2]
    for design in (first, second):
        assert asked(client, "enqueue", {"architecture": design.to_dict()}).get_json()["accepted"]
    ids = [design.graph.id[:8] for design in (first, second)]
    assert listed() == [(2, "queued", ids[0]), (3, "queued", ids[1])]
    assert asked(client, "withdraw", {"number": 2}).get_json()["id"] == first.id
    assert listed() == [(3, "queued", ids[1])]
    again = asked(client, "withdraw", {"number": 2})
    assert again.status_code == 404
    assert "does not wait" in again.get_json()["error"]
    assert asked(client, "withdraw", {"number": "3"}).status_code == 400
    assert finished(path, study, second, 0.7) == 3
    catalogue.open("micro-1").read()
    assert listed() == [(3, "complete", ids[1])]


def test_hostile_names_stay_text(tmp_path):
    path = new_run(tmp_path, "micro-1")
    study = new_study(path)
    finished(path, study, distinct(1)[0], 0.5, baseline=HOSTILE)
    renamed = path.rename(tmp_path / "<script>alert(1)<")
    (renamed / "env.json").write_text(
        json.dumps(json.loads((renamed / "env.json").read_text()) | {"study": "micro-1"})
    )
    client = make_app(catalogue_of(renamed, ""), Guard(port=8050), read_only=True).test_client()
    page = client.get("/").data.decode()
    assert "<script>alert(1)" not in page
    assert HOSTILE not in page
    assert client.get("/?run=%3Cscript%3Ealert(1)%3C&trial=0").status_code == 200


def test_a_space_is_looked_at_without_a_run():
    catalogue = catalogue_of(None, "mamba_micro")
    client = make_app(catalogue, Guard(port=8050), read_only=False).test_client()
    told = json.loads(gzip.decompress(client.get("/api/v1/run/mamba_micro/trials").data))
    assert told["summary"]["state"] == "space"
    assert set(told["columns"]["baselines"].values()) == {"plain", "sparx", "dense"}
    assert told["columns"]["state"]["words"] == ["untrained"]
    detail = client.get("/api/v1/run/mamba_micro/trial/0").get_json()
    assert detail["architecture"]["kind"] == "architecture"


def test_a_port_that_is_taken_is_said():
    first = bound("127.0.0.1", 0)
    first.listen()
    taken = first.getsockname()[1]
    with pytest.raises(DeviceError, match=f"port {taken}"):
        bound("127.0.0.1", taken)
    first.close()
    with pytest.raises(DeviceError, match=r"cannot serve at no\.such\.host\.invalid"):
        bound("no.such.host.invalid", 0)


def test_a_run_that_grows_is_read_again(tmp_path):
    path = new_run(tmp_path)
    study = new_study(path)
    designs = distinct(3)
    finished(path, study, designs[0], 0.5)
    source = catalogue_of(path, "").open("micro-1")
    assert len(source.snapshot().run.trials) == 1
    finished(path, study, designs[1], 0.6)
    source.read()
    assert len(source.snapshot().run.trials) == 2


def test_a_loss_that_is_no_number_is_told_as_none(tmp_path):
    path = new_run(tmp_path)
    study = new_study(path)
    finished(path, study, distinct(1)[0], 0.5)
    curves = path / "curves.jsonl"
    curves.write_text(curves.read_text().replace('"train_loss": 2.0', '"train_loss": null'))
    client = make_app(catalogue_of(path, ""), Guard(port=8050), read_only=True).test_client()
    for rest in ("trial/0", "curves?trials=0"):
        answer = client.get(f"/api/v1/run/micro-1/{rest}")
        assert b"NaN" not in answer.data
        assert b'"train_loss":' in answer.data


@pytest.mark.parametrize(
    "asked", ["?trial=--5", "?trial=²", "?trial=" + "9" * 4400, "?run=%00&trial=1"]
)
def test_odd_addresses_show_the_page(client, asked):
    assert client.get(f"/{asked}").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"base": [1]},
        {"operation": {"kind": "wiring", "ganglia": {"3.2": 5}}},
        {"operation": {"kind": "wiring", "ganglia": {"__proto__": []}}},
    ],
)
def test_odd_what_ifs_are_answered_in_words(client, run, change):
    design = load_run(run).trials[1].architecture.to_dict()
    answer = asked(client, "what-if", {"architecture": design} | change)
    assert answer.status_code == 200
    assert ("operation" in change) == bool(answer.get_json()["mistake"])


def test_a_stage_that_is_too_deep_is_refused_at_once(client, run):
    design = load_run(run).trials[1].architecture.to_dict()
    answer = asked(client, "what-if", {"architecture": design | {"depths": [1, 2, 300, 1]}})
    assert answer.status_code == 400
    assert "300 layers" in answer.get_json()["error"]


def test_a_drawing_is_saved_as_it_is_shown(client):
    for body in ({"a": 1, "view": "matrix"}, {"a": 1, "b": 2}, {"a": 1, "view": "population"}):
        answer = asked(client, "drawing.svg", body)
        assert answer.status_code == 200
        assert b"<style>" in answer.data


def test_a_token_spelled_otherwise_leads_nowhere_twice(run):
    guard = guard_for("0.0.0.0", 8050)
    client = make_app(catalogue_of(run, ""), guard, read_only=True).test_client()
    entered = client.get(f"/?%74oken={guard.token}&trial=1")
    assert entered.headers["Location"] == "/?trial=1"
    assert guard_for("127.0.0.2", 8050).host == "127.0.0.2"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--read-onyl"], "Did you mean '--read-only'?"),
        (["--port", "x"], "invalid int value: 'x'"),
        (["a", "b"], "unrecognized arguments: b"),
    ],
)
def test_a_wrong_option_is_told_in_two_lines(capsys, words, told):
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert told in said
    assert said.count("\n") == 2


def test_only_a_run_that_may_change_unseen_is_read_again_by_its_age(tmp_path, monkeypatch):
    path = new_run(tmp_path)
    finished(path, new_study(path), distinct(1)[0], 0.5)
    read = []
    for state, times in (("running", 1), ("finished", 0)):
        write_status(path, state=state)
        source = catalogue_of(path, "").open("micro-1")
        source.snapshot()
        source._read_at -= 60
        monkeypatch.setattr(source, "_read_quietly", lambda s=state: read.append(s))
        source.snapshot()
        end = time.monotonic() + PATIENCE_S
        while read.count(state) < times and time.monotonic() < end:
            time.sleep(0.01)
        assert read.count(state) == times
