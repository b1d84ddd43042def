"""Designs that another process hands to a run: which are taken, and what is then waiting."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.command.typed import typed
from sparx_nas.ground.errors import RunError
from sparx_nas.run_store import (
    enqueue,
    fail,
    judge,
    load_run,
    read_run_space,
    waiting,
    withdraw,
    write_config,
    write_status,
)
from sparx_nas.run_store.study import StorageError
from support import runs
from support.patience import PATIENCE_S

BASELINES = {a.id for a in runs.SPACE.baselines.values()}
DESIGNS = [a for a in runs.distinct(12) if a.id not in BASELINES]
PLAIN = runs.SPACE.baselines["plain"]
PROCESS = """
import json, sys
from sparx_nas.architecture import Architecture
from sparx_nas.run_store import enqueue, load_run, read_run_space
path = sys.argv[1]
sys.stdin.readline()
from pathlib import Path
for text in sys.argv[2:]:
    design = Architecture.from_dict(json.loads(text))
    print(enqueue(Path(path), load_run(path), read_run_space(Path(path)), design).accepted)
"""


def guest(**ganglia: list[str]) -> Architecture:
    """Return a wiring that no rule of the space gives, as `layer_3_4=["3.1"]`."""
    wiring = {name.removeprefix("layer_").replace("_", "."): rows for name, rows in ganglia.items()}
    made = replace(PLAIN, graph=ConnectivityGraph.from_ganglia(PLAIN.graph.depths, wiring))
    assert runs.SPACE.encode(made) is None
    return made


GUEST, OTHER_GUEST = guest(layer_3_3=["3.1"]), guest(layer_3_4=["3.1", "3.2"])


@pytest.fixture
def run(tmp_path):
    """Return the folder of a run that has trained two designs, and its study."""
    path = runs.new_run(tmp_path)
    study = runs.new_study(path)
    runs.finished(path, study, DESIGNS[0], 0.819)
    runs.finished(path, study, DESIGNS[1], 0.7, baseline="sparx")
    return path, study


def judged(path, design):
    return judge(load_run(path), read_run_space(path), design, waiting(path))


def sent(path, design):
    return enqueue(path, load_run(path), read_run_space(path), design)


def limited(path, *rules):
    write_config(path, {**runs.CONFIG, "constraint": list(rules)})


def test_a_space_is_read_from_the_runs_own_copy(run):
    path, _ = run
    space = read_run_space(path)
    assert space.fingerprint == runs.SPACE.fingerprint
    assert str(path) in space.path


def test_a_design_that_is_trained_is_refused_by_name(run):
    path, _ = run
    verdict = judged(path, DESIGNS[0])
    assert not verdict.accepted
    assert verdict.same_as == 0
    assert "trial 0 (81.9 %)" in verdict.words


@pytest.mark.parametrize("alive", [True, False])
def test_a_design_in_training_is_refused(run, alive):
    path, study = run
    number = runs.asked(study, DESIGNS[2])
    write_status(path, state="running" if alive else "interrupted")
    verdict = judged(path, DESIGNS[2])
    assert not verdict.accepted
    assert verdict.same_as == number


def test_a_design_over_a_limit_of_the_run_is_refused_with_both_numbers(run):
    path, _ = run
    limited(path, "params<=1000", "macs<=10000000000")
    params = runs.SPACE.cost(DESIGNS[3]).params
    for design, count in ((DESIGNS[3], params), (GUEST, runs.SPACE.cost(GUEST).params)):
        verdict = judged(path, design)
        assert not verdict.accepted
        assert verdict.same_as is None
        assert f"params {count:,} > 1,000" in verdict.words
        assert "macs" not in verdict.words


def test_a_baseline_that_waits_for_its_turn_is_refused(run):
    path, _ = run
    for name, design in runs.SPACE.baselines.items():
        verdict = judged(path, design)
        assert not verdict.accepted
        assert f"baseline {name}" in verdict.words


def test_a_design_that_failed_is_tried_again_by_a_resumed_run_only(run):
    path, study = run
    fail(study, runs.asked(study, DESIGNS[2]), "no memory")
    write_status(path, state="running")
    assert not judged(path, DESIGNS[2]).accepted
    write_status(path, state="finished")
    assert judged(path, DESIGNS[2]).accepted


def test_a_limit_that_is_kept_refuses_nothing(run):
    path, _ = run
    limited(path, f"params<={runs.SPACE.cost(DESIGNS[3]).params}")
    assert judged(path, DESIGNS[3]).accepted


def test_a_run_that_nobody_drives_says_how_to_resume_it(run):
    path, _ = run
    write_status(path, state="finished", asked=5, trained=1)
    for design in (DESIGNS[3], GUEST):
        verdict = judged(path, design)
        assert verdict.accepted
        assert typed("search", "--resume", path) in verdict.words


def test_a_live_run_says_what_the_design_takes_the_place_of(run):
    path, _ = run
    write_status(path, state="running", asked=5, trained=1)
    verdict = judged(path, DESIGNS[3])
    assert (verdict.accepted, verdict.guest) == (True, False)
    assert "next" in verdict.words
    assert "4" in verdict.words
    assert "1.2 s" in verdict.words or "1.3 s" in verdict.words


def test_candidates_in_training_leave_no_place(run):
    path, study = run
    write_status(path, state="running", asked=2, trained=1)
    runs.asked(study, DESIGNS[2])
    assert "in addition" in judged(path, DESIGNS[3]).words


def test_a_guest_is_said_to_be_one(run):
    path, _ = run
    write_status(path, state="running", asked=5, trained=1)
    verdict = judged(path, GUEST)
    assert (verdict.accepted, verdict.guest) == (True, True)
    assert "guest" in verdict.words
    assert "in addition" in verdict.words


def test_judging_writes_nothing(run):
    path, _ = run
    before = {file: file.read_bytes() for file in path.iterdir() if file.is_file()}
    judged(path, DESIGNS[3])
    judged(path, GUEST)
    assert before == {file: file.read_bytes() for file in path.iterdir() if file.is_file()}


def test_both_kinds_wait_in_order_and_no_design_waits_twice(run):
    path, study = run
    assert waiting(path) == ()
    designs = (DESIGNS[3], GUEST, DESIGNS[4], OTHER_GUEST)
    assert [sent(path, design).accepted for design in designs] == [True] * 4
    found = [(w.architecture.id, w.guest) for w in waiting(path)]
    assert sorted(found) == sorted((d.id, d in (GUEST, OTHER_GUEST)) for d in designs)
    for design in designs:
        verdict = sent(path, design)
        assert not verdict.accepted
        assert "wait" in verdict.words
    assert len(waiting(path)) == 4
    queued = [t for t in study.get_trials() if "fixed_params" in t.system_attrs]
    assert [t.user_attrs["source"] for t in queued] == ["viewer", "viewer"]
    assert queued[0].system_attrs["fixed_params"] == runs.SPACE.encode(DESIGNS[3])
    assert [t.number for t in load_run(path).trials] == [0, 1]


def test_the_guests_study_is_made_by_the_first_guest_and_by_no_reader(run):
    path, study = run
    storage = study._storage
    waiting(path)
    load_run(path)
    sent(path, DESIGNS[3])
    assert [s.study_name for s in storage.get_all_studies()] == ["micro-1"]
    sent(path, GUEST)
    assert {s.study_name for s in storage.get_all_studies()} == {"micro-1", "micro-1-guests"}


def test_a_refused_design_leaves_the_study_alone(run):
    path, study = run
    limited(path, "params<=1000")
    assert not sent(path, DESIGNS[3]).accepted
    assert not sent(path, GUEST).accepted
    assert waiting(path) == ()
    assert len(study.get_trials()) == 2


def test_what_somebody_else_queued_is_no_obstacle(run):
    path, study = run
    study.enqueue_trial({"no such gene": 1}, user_attrs={"source": "viewer"})
    sent(path, DESIGNS[3])
    assert [w.architecture.id for w in waiting(path)] == [DESIGNS[3].id]


def test_processes_hand_in_at_the_same_time_and_nothing_is_lost(run):
    path, _ = run
    shares = ((DESIGNS[2], GUEST), (DESIGNS[3], OTHER_GUEST))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, path, *(json.dumps(d.to_dict()) for d in designs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for designs in shares
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=PATIENCE_S)
        assert out.split() == ["True", "True"], err
        assert not err
    expected = {(d.id, d in (GUEST, OTHER_GUEST)) for designs in shares for d in designs}
    assert {(w.architecture.id, w.guest) for w in waiting(path)} == expected


def test_a_run_without_a_study_or_a_folder_is_an_error(tmp_path, run):
    path, _ = run
    bare = runs.new_run(tmp_path, "bare")
    assert waiting(bare) == ()
    with pytest.raises(RunError, match="no study"):
        enqueue(bare, load_run(bare), runs.SPACE, DESIGNS[3])
    with pytest.raises(RunError):
        waiting(path / "nowhere")


def test_a_broken_database_is_an_error_of_storage(run):
    path, _ = run
    known, space = load_run(path), read_run_space(path)
    (path / "study.db").write_text("not a database at all, but long enough to be looked at")
    with pytest.raises(StorageError):
        enqueue(path, known, space, DESIGNS[3])


@pytest.mark.parametrize(("designs", "most_s"), [((), 0.02), ((GUEST, DESIGNS[3]), 0.5)])
def test_looking_at_what_waits_is_quick(run, designs, most_s):
    path, _ = run
    for design in designs:
        sent(path, design)
    waiting(path)
    start = time.process_time()
    for _ in range(5):
        assert len(waiting(path)) == len(designs)
    assert (time.process_time() - start) / 5 < most_s


def test_a_path_with_blanks_can_be_copied(tmp_path):
    path = runs.new_run(tmp_path, "micro 1").rename(Path(tmp_path) / "micro 1 b")
    write_status(path, state="finished")
    verdict = judge(load_run(path), runs.SPACE, DESIGNS[0], ())
    assert f"--resume '{path}'" in verdict.words


@pytest.mark.parametrize("design", [DESIGNS[2], GUEST], ids=["of the space", "guest"])
def test_a_design_that_waits_is_withdrawn_and_is_no_trial_of_the_run(run, design):
    path, study = run
    before = [t.number for t in load_run(path).trials]
    sent(path, DESIGNS[3])
    assert sent(path, design).accepted
    (found,) = [w for w in waiting(path) if w.architecture.id == design.id]
    assert withdraw(path, found.number) == found
    assert [w.architecture.id for w in waiting(path)] == [DESIGNS[3].id]
    assert [t.number for t in load_run(path).trials] == before
    assert judged(path, design).accepted
    assert study.ask().number == 2, "the other one is next, and not the one that was withdrawn"


def test_what_a_search_took_is_not_withdrawn(run):
    path, study = run
    sent(path, DESIGNS[2])
    (found,) = waiting(path)
    taken = study.ask()
    assert taken.number == found.number
    for number in (found.number, 0, 99, -1):
        with pytest.raises(RunError, match="does not wait"):
            withdraw(path, number)
    states = [t.state.name for t in study.get_trials(deepcopy=False)]
    assert states == ["COMPLETE", "COMPLETE", "RUNNING"]


def test_a_baseline_in_the_queue_is_not_withdrawn(run):
    path, study = run
    study.enqueue_trial(dict(runs.SPACE.encode(PLAIN)))
    with pytest.raises(RunError, match="does not wait"):
        withdraw(path, 2)
