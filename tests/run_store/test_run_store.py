import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import sparx_nas
from sparx_nas.ground.errors import RunError
from sparx_nas.run_store import (
    CURVES,
    default_storage,
    load_run,
    log_test,
    open_study,
    unfinished,
    write_derived,
    write_status,
)
from sparx_nas.run_store.study import StorageError
from support import runs


def test_a_run_is_read_while_it_is_running_and_after_it_finished(tmp_path):
    path = runs.new_run(tmp_path)
    assert load_run(path).trials == ()
    assert not (path / "study.db").exists()
    study = runs.new_study(path)
    architectures = runs.distinct(4)
    for architecture, top1 in zip(architectures[:3], (0.5, 0.9, 0.7), strict=True):
        runs.finished(path, study, architecture, top1)
    runs.asked(study, architectures[3])
    run = load_run(str(path))
    assert load_run(str(path), study=study) == run
    assert [trial.state for trial in run.trials] == ["complete"] * 3 + ["running"]
    assert (run.name, run.path, run.space) == (path.name, str(path), "mamba_micro")
    assert run.objectives == runs.OBJECTIVES
    assert run.front[0].top1 == 0.9
    assert run.front[0].test_top1 is None
    log_test(path / CURVES, 1, correct=[270], images=360)
    write_status(path, state="finished", trained=3, asked=3)
    run = sparx_nas.load_run(path)
    assert run.status["state"] == "finished"
    assert run.trials[3].state == "interrupted"
    assert run.front[0].test_top1 == 0.75
    low, high = run.noise.interval(run.front[0].test_top1s, "test")
    assert 0.69 < low < 0.75 < high < 0.8


def test_the_front_holds_what_nobody_dominates_best_first(tmp_path):
    path = runs.new_run(tmp_path)
    study = runs.new_study(path)
    for index, architecture in enumerate(runs.distinct(6)):
        over = {"violations": ["too large"], "constraints": {"params": 1.0}} if index == 5 else {}
        runs.finished(
            path, study, architecture, 0.5 + 0.05 * (index % 4) + 0.4 * (index == 5), **over
        )
    run = load_run(path)
    able = [trial for trial in run.trials if trial.feasible]
    assert len(able) == 5
    for trial in able:
        beaten = any(
            other.top1 >= trial.top1
            and other.cost["macs"] <= trial.cost["macs"]
            and (other.top1, other.cost["macs"]) != (trial.top1, trial.cost["macs"])
            for other in able
        )
        assert (trial in run.front) != beaten
    assert [t.top1 for t in run.front] == sorted((t.top1 for t in run.front), reverse=True)


def test_nothing_derived_is_needed_and_torn_files_do_no_harm(tmp_path):
    path = runs.new_run(tmp_path)
    runs.finished(path, runs.new_study(path), runs.distinct(1)[0], 0.5)
    before = load_run(path)
    write_derived(path, before)
    for name in ("trials.csv", "pareto.json"):
        (path / name).write_text('{"torn')
    with (path / CURVES).open("a") as file:
        file.write('{"kind": "epoch", "tri')
    files = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert load_run(path) == before
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == files


def test_a_renamed_and_moved_run_is_read(tmp_path):
    path = runs.new_run(tmp_path)
    runs.finished(path, runs.new_study(path), runs.distinct(1)[0], 0.5)
    (tmp_path / "other").mkdir()
    moved = path.rename(tmp_path / "other" / "renamed")
    run = load_run(moved)
    assert run.name == "renamed"
    assert len(run.trials) == 1


def test_a_study_elsewhere_is_found_by_the_configuration(tmp_path):
    path = runs.new_run(tmp_path)
    storage = default_storage(tmp_path)
    (path / "config.yaml").write_text(yaml.safe_dump(runs.CONFIG | {"storage": storage}))
    fields = {"name": path.name, "storage": storage, "objectives": runs.OBJECTIVES}
    runs.finished(path, open_study(**fields, create=True), runs.distinct(1)[0], 0.5)
    assert len(load_run(path).trials) == 1
    (tmp_path / "study.db").unlink()
    with pytest.raises(RunError, match="not in sqlite"):
        load_run(path)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RunError, match="there is no run"):
        load_run(tmp_path / "nowhere")
    path = runs.new_run(tmp_path)
    (path / "study.db").write_text("not a database at all, but long enough to be looked at")
    with pytest.raises(StorageError, match="not a database"):
        load_run(path)
    (path / "config.yaml").write_text("space: mamba_micro\nobjectives: [top1]\n")
    with pytest.raises(RunError, match="no valid objectives"):
        load_run(path)
    (path / "config.yaml").write_text(yaml.safe_dump(runs.CONFIG))
    (path / "env.json").unlink()
    with pytest.raises(RunError, match=r"env\.json"):
        load_run(path)


def test_reading_a_run_imports_neither_torch_nor_ray():
    code = (
        "import sys, sparx_nas.run_store;"
        "assert not {'torch', 'timm', 'ray'} & set(sys.modules), 'heavy imports'"
    )
    root = Path(sparx_nas.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support import runs
path = Path(sys.argv[1])
study = runs.opened_study(path, create=False)
for index, architecture in enumerate(runs.distinct(60)):
    number = runs.asked(study, architecture)
    end = runs.trained(path, number, architecture, 0.5)
    runs.told(study, end)
    print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kill_at_a_random_moment_loses_no_finished_trial(tmp_path, seed):
    path = runs.new_run(tmp_path)
    runs.new_study(path)
    here = Path(__file__).parents[1]
    command = [sys.executable, "-c", KILLED, str(path), str(here)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=here.parent) as driver:
        driver.stdout.readline()
        time.sleep(random.Random(seed).uniform(0.1, 1.5))
        driver.kill()
        told = driver.stdout.read().split()
    study = runs.opened_study(path, create=False)
    left = unfinished(study, path / CURVES)
    for end in left.ended:
        runs.told(study, end)
    run = load_run(path)
    done = [trial.number for trial in run.trials if trial.state == "complete"]
    assert set(map(int, told)) <= set(done)
    assert done == list(range(len(done)))
    assert len(left.ended) + len(left.again) <= 1
