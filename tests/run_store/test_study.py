import json
import math
from dataclasses import replace
from io import BytesIO

import optuna
import pytest

from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import RunError
from sparx_nas.run_store import (
    CURVES,
    default_storage,
    fail,
    has_study,
    open_study,
    prune,
    unfinished,
)
from sparx_nas.run_store.curves import read_curves
from sparx_nas.run_store.records import records
from sparx_nas.run_store.study import StorageError
from sparx_nas.trial.values import Objective
from support import runs


def test_a_study_names_its_objectives_and_is_made_once(tmp_path):
    path = runs.new_run(tmp_path)
    storage = default_storage(path)
    assert not has_study(path.name, storage)
    assert not (path / "study.db").exists()
    study = runs.opened_study(path, create=True)
    assert study.study_name == path.name
    assert study.metric_names == ["top1", "macs"]
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert has_study(path.name, storage)
    with pytest.raises(RunError, match="already"):
        runs.opened_study(path, create=True)


def reopened(path, objectives=runs.OBJECTIVES, name=None):
    """Open the study of a run in a new connection."""
    return open_study(
        name=name or path.name,
        storage=default_storage(path),
        objectives=objectives,
        create=False,
    )


def test_a_study_opens_again_with_the_same_objectives_only(tmp_path):
    path = runs.new_run(tmp_path)
    runs.new_study(path)
    assert reopened(path).metric_names == ["top1", "macs"]
    others = (Objective(name="top1", direction="max"), Objective(name="params", direction="min"))
    with pytest.raises(RunError, match="top1, macs, not top1, params"):
        reopened(path, others)
    with pytest.raises(RunError, match="there is no study 'nobody'"):
        reopened(path, name="nobody")


@pytest.mark.parametrize(
    "storage",
    [
        "sqlite:////no/such/folder/study.db",
        "nonsense",
        "redis://somewhere",
        "postgresql://me:secret@127.0.0.1:1/x",
    ],
)
def test_a_storage_that_cannot_be_reached_is_one_clear_error(storage):
    with pytest.raises(StorageError) as caught:
        open_study(name="a", storage=storage, objectives=runs.OBJECTIVES, create=True)
    assert caught.value.exit_code == 5
    assert "--storage" in caught.value.hint
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = runs.new_run(tmp_path)
    (path / "study.db").write_text("not a database at all, but long enough to be looked at")
    with pytest.raises(StorageError, match="not a database"):
        reopened(path)


def test_every_outcome_comes_back_as_a_record(tmp_path):
    path = runs.new_run(tmp_path)
    study = runs.new_study(path)
    first, second, third, fourth, fifth = runs.distinct(5)
    runs.finished(path, study, first, 0.75, baseline="sparx", constraints={"params": -5.0})
    limit = ("params is 2 M, over the limit of 1 M",)
    over = {"violations": limit, "constraints": {"params": 7.0}}
    runs.finished(path, study, second, 0.8, baseline="dense", **over)
    prune(study, runs.asked(study, third, **over), "infeasible")
    prune(study, runs.asked(study, first), "duplicate", duplicate_of=0)
    fail(study, runs.asked(study, fourth), "x" * 100_000 + "OutOfMemoryError")
    runs.asked(study, fifth)
    study.enqueue_trial({"gene": 1})
    found = records(study, read_curves(path / CURVES), runs.OBJECTIVES)
    states = ["complete", "complete", "infeasible", "duplicate", "failed", "running"]
    assert [trial.state for trial in found] == states
    assert [trial.number for trial in found] == list(range(6))
    assert [trial.feasible for trial in found] == [True, False, False, True, True, True]
    assert found[0].objectives == {"top1": 0.75, "macs": found[0].cost["macs"]}
    assert found[0].fidelity == runs.FIDELITY
    assert found[0].epochs == (runs.epoch(1, 0.375), runs.epoch(2, 0.75))
    assert (found[0].top1, found[0].seconds, found[0].device) == (0.75, 1.25, "cpu")
    assert found[0].proxy_cost["params"] < found[0].cost["params"]
    assert found[1].violations == limit
    assert found[1].baseline == "dense"
    assert found[2].objectives == {}
    assert found[3].duplicate_of == 0
    assert found[4].error.endswith("OutOfMemoryError")
    assert len(found[4].error) < 10_000
    assert [trial.architecture for trial in found[:3]] == [first, second, third]


def test_the_study_alone_tells_what_a_trial_was(tmp_path):
    path = runs.new_run(tmp_path)
    architecture = runs.distinct(1)[0]
    runs.finished(path, runs.new_study(path), architecture, 0.5, constraints={"params": 1.0})
    trial = reopened(path).trials[0]
    said = trial.user_attrs
    assert Architecture.from_dict(said["architecture"]).id == said["architecture_id"]
    assert said["graph_id"] == architecture.graph.id
    assert said["limits"] == {"params": 1.0}
    assert list(trial.constraints.values()) == [1.0]
    assert said["seed"] == runs.FIDELITY.seed
    assert said["started"] <= said["ended"]
    assert trial.values == [0.5, said["cost"]["macs"]]


def test_values_that_are_no_numbers_are_refused_and_the_trial_can_still_fail(tmp_path):
    path = runs.new_run(tmp_path)
    study = runs.new_study(path)
    architecture = runs.distinct(1)[0]
    number = runs.asked(study, architecture)
    end = runs.trained(path, number, architecture, 0.5)
    with pytest.raises(ValueError, match="nan"):
        runs.told(study, replace(end, objectives={"top1": math.nan, "macs": 1.0}))
    fail(study, number, "diverged")
    assert records(study, read_curves(path / CURVES), runs.OBJECTIVES)[0].state == "failed"


def test_a_kill_between_curve_and_study_loses_nothing(tmp_path):
    path = runs.new_run(tmp_path)
    study = runs.new_study(path)
    first, second, third, fourth, fifth = runs.distinct(5)
    runs.finished(path, study, first, 0.5)
    end = runs.trained(path, runs.asked(study, second), second, 0.6)
    again = runs.asked(study, third)
    for architecture, state in ((fourth, "infeasible"), (fifth, "failed")):
        number = runs.asked(study, architecture)
        trial_id = study.trials[number]._trial_id
        study._storage.set_trial_user_attr(trial_id, "state", state)
    unbegun = study.ask().number
    with (path / CURVES).open("a") as file:
        file.write('{"kind": "end", "tri')

    study = reopened(path)
    left = unfinished(study, path / CURVES)
    assert left.ended == (end,)
    assert left.again == (again, unbegun)
    runs.told(study, left.ended[0])
    runs.told(study, runs.trained(path, again, third, 0.7))
    study.tell(unbegun, state=optuna.trial.TrialState.FAIL)
    found = records(study, read_curves(path / CURVES), runs.OBJECTIVES)
    states = ["complete", "complete", "complete", "infeasible", "failed"]
    assert [trial.state for trial in found] == states
    assert [trial.top1 for trial in found[:3]] == [0.5, 0.6, 0.7]
    assert all(len(trial.epochs) == 2 for trial in found[:3])
    assert unfinished(study, path / CURVES).ended == ()


@pytest.mark.parametrize(
    "sampler", [optuna.samplers.TPESampler(seed=0), optuna.samplers.NSGAIISampler(seed=0)]
)
def test_samplers_take_the_constraints_into_account(tmp_path, sampler):
    path = runs.new_run(tmp_path)
    study = runs.new_study(path, sampler=sampler)
    for number, architecture in enumerate(runs.distinct(3)):
        limits = {"params": float(number - 1), "macs": -1.0}
        runs.finished(path, study, architecture, 0.9, constraints=limits)
    assert {trial.number for trial in study.best_trials} <= {0, 1}
    study.ask().suggest_int("gene", 0, 3)


def test_looking_for_a_study_leaves_the_file_alone(tmp_path):
    path = runs.new_run(tmp_path)
    (path / "study.db").write_bytes(b"")
    assert not has_study(path.name, default_storage(path))
    assert (path / "study.db").read_bytes() == b""
    assert runs.opened_study(path, create=True).study_name == path.name
    assert has_study(path.name, default_storage(path))
    assert not has_study("nobody", default_storage(path))


def get(app, path):
    """Ask a WSGI application for JSON."""
    said = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "after=0",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": BytesIO(),
    }
    body = b"".join(app(environ, lambda status, headers, exc_info=None: said.append(status)))
    assert said == ["200 OK"]
    return json.loads(body)


@pytest.mark.filterwarnings("ignore")
def test_optuna_dashboard_opens_the_study(tmp_path):
    from optuna_dashboard import wsgi

    path = runs.new_run(tmp_path)
    study = runs.new_study(path)
    first, second = runs.distinct(2)
    runs.finished(path, study, first, 0.5, constraints={"params": -1.0})
    runs.finished(path, study, second, 0.6, constraints={"params": 4.0})
    app = wsgi(default_storage(path))
    (summary,) = get(app, "/api/studies")["study_summaries"]
    assert summary["study_name"] == path.name
    detail = get(app, f"/api/studies/{summary['study_id']}")
    assert detail["objective_names"] == ["top1", "macs"]
    assert detail["directions"] == ["maximize", "minimize"]
    assert [trial["constraints"] for trial in detail["trials"]] == [[-1.0], [4.0]]
    said = {attribute["key"] for attribute in detail["trials"][0]["user_attrs"]}
    assert {"graph_id", "architecture_id", "seed", "seconds", "started", "device"} <= said
