import csv
import json
import time
from dataclasses import replace

import pytest

from sparx_nas.architecture import Architecture
from sparx_nas.run_store import prune_weights, weights_path, write_derived
from sparx_nas.run_store.derived import columns
from sparx_nas.trial.pareto import published_trial
from support import runs

RUN = runs.full_run()


def rows(path):
    """Read the table of trials back."""
    with (path / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_holds_every_trial(tmp_path):
    write_derived(tmp_path, RUN)
    table = rows(tmp_path)
    assert list(table[0]) == columns(RUN.objectives)
    assert [int(row["number"]) for row in table] == [trial.number for trial in RUN.trials]
    for row, trial in zip(table, RUN.trials, strict=True):
        assert row["architecture_id"] == trial.architecture.id
        assert row["state"] == trial.state
        assert row["feasible"] == str(trial.feasible)
        assert float(row["macs"]) == trial.cost["macs"]
        assert (
            float(row["top1"] or "nan") == pytest.approx(trial.top1, nan_ok=True) or not row["top1"]
        )
        assert row["error"] == trial.error
        assert int(row["epochs"]) == len(trial.epochs)
    assert float(table[0]["images_per_s"]) == 430.0
    assert table[0]["seed"] == "0"


def test_an_objective_that_is_a_cost_has_one_column():
    assert columns(runs.OBJECTIVES).count("macs") == 1
    assert columns(runs.OBJECTIVES)[5:8] == ["top1", "macs", "feasible"]


@pytest.mark.parametrize("error", ["=1+1", "+x", "-x", "@x", "\tx", 'a "quoted",\nsecond line'])
def test_no_text_is_a_formula(tmp_path, error):
    trial = runs.untrained(0, runs.PUBLISHED, "failed", error=error)
    write_derived(tmp_path, runs.run([trial]))
    (row,) = rows(tmp_path)
    assert row["error"] == (error if error[0] == "a" else f"'{error}")


def test_the_front_and_its_files_agree(tmp_path):
    write_derived(tmp_path, RUN)
    front = json.loads((tmp_path / "pareto.json").read_text())
    assert front["run"] == RUN.name
    assert front["objectives"][0] == {"name": "top1", "direction": "max"}
    assert front["fidelity"] == runs.SEEN.to_dict()
    assert [member["trial"] for member in front["members"]] == [t.number for t in RUN.front]
    for member, trial in zip(front["members"], RUN.front, strict=True):
        assert Architecture.load(tmp_path / member["architecture"]) == trial.architecture
        assert member["objectives"] == dict(trial.objectives)
        assert member["test_top1"] == trial.test_top1
        assert member["test_interval"] == list(RUN.noise.interval(trial.test_top1s, "test"))
        assert member["val_loss"] == trial.epochs[-1].val_loss
    written = {file.stem for file in (tmp_path / "archs").iterdir()}
    assert written == {trial.architecture.id for trial in RUN.trials}


def test_a_run_without_trials_has_empty_tables(tmp_path):
    write_derived(tmp_path, runs.run([]))
    assert rows(tmp_path) == []
    assert json.loads((tmp_path / "pareto.json").read_text())["members"] == []


def test_files_that_would_not_change_are_not_written(tmp_path):
    write_derived(tmp_path, RUN)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    start = time.process_time()
    write_derived(tmp_path, RUN)
    assert time.process_time() - start < 0.5
    assert before == {file: file.stat().st_mtime_ns for file in before}
    more = replace(RUN, trials=(*RUN.trials, runs.trial(90, runs.wirings(60)[-1])))
    write_derived(tmp_path, more)
    changed = [file.name for file in before if file.stat().st_mtime_ns != before[file]]
    assert changed == ["trials.csv"]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("keep", ["all", "front", "none"])
def test_weights_are_kept_as_asked(tmp_path, keep):
    states = {trial.architecture.id: trial.state for trial in RUN.trials}
    front = {trial.architecture.id for trial in (*RUN.front, published_trial(RUN))}
    for architecture_id in [*states, "somebody-elses"]:
        file = weights_path(tmp_path, architecture_id)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"weights")
    prune_weights(tmp_path, RUN, keep)
    there = {file.stem for file in (tmp_path / "weights").iterdir()} - {"somebody-elses"}
    running = {architecture_id for architecture_id, state in states.items() if state == "running"}
    assert running
    assert there == {"all": set(states), "front": front | running, "none": running}[keep]
    prune_weights(tmp_path, RUN, keep)
