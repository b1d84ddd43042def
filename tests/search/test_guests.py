"""Designs that another process hands to a search: trained next, once, and shown as guests."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import sparx_nas
from sparx_nas import run_store
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.search.proposing.proposals import Proposals
from sparx_nas.search.proposing.sampler import make_sampler
from support import runs
from support.patience import PATIENCE_S
from support.search_run import Running, make_images, search

PLAIN = runs.SPACE.baselines["plain"]
FREE = [a for a in runs.distinct(30) if a.id not in {b.id for b in runs.SPACE.baselines.values()}]


def guest(ganglia: dict[str, list[str]]) -> Architecture:
    """Return a wiring that no rule of the space gives."""
    made = replace(PLAIN, graph=ConnectivityGraph.from_ganglia(PLAIN.graph.depths, ganglia))
    assert runs.SPACE.encode(made) is None
    return made


GUEST, SECOND = guest({"3.3": ["3.1"]}), guest({"3.4": ["3.1", "3.2"]})


def sent(path: Path, design: Architecture) -> run_store.Verdict:
    space = run_store.read_run_space(path)
    return run_store.enqueue(path, sparx_nas.load_run(path), space, design)


@pytest.fixture
def opened(tmp_path: Path) -> tuple[Path, optuna.Study]:
    path = runs.new_run(tmp_path)
    sampler = make_sampler("random", runs.SPACE, seed=1, trials=20)
    return path, runs.new_study(path, sampler=sampler)


def guests_of(path: Path) -> optuna.Study | None:
    return run_store.open_guests(path.name, run_store.default_storage(path), runs.OBJECTIVES)


def taken_up(path: Path, study: optuna.Study, limits: dict[str, float] | None = None) -> Proposals:
    """Take up a run as a driver does after whatever ended the one before."""
    proposals = Proposals(
        study,
        runs.SPACE,
        limits=limits or {},
        fidelity_of=lambda baseline: runs.FIDELITY,
        open_guests=lambda: guests_of(path),
    )
    curves = path / run_store.CURVES
    again = run_store.unfinished(study, curves).again
    guests = guests_of(path)
    if guests is not None:
        again = (*run_store.unfinished(guests, curves, of_guests=True).again, *again)
    proposals.restore(again)
    return proposals


def test_guests_come_before_queued_candidates_and_those_before_the_sampler(opened) -> None:
    path, study = opened
    for design in (FREE[0], GUEST, FREE[1], SECOND):
        assert sent(path, design).accepted
    proposals = taken_up(path, study)
    assert proposals.waiting() == 4
    found = [proposals.next() for _ in range(5)]
    expected = [GUEST.id, SECOND.id, FREE[0].id, FREE[1].id]
    assert [p.architecture.id for p in found[:4]] == expected
    assert [p.number for p in found] == [-1, -2, 0, 1, 2]
    assert proposals.waiting() == 0
    shown = run_store.load_run(path, study=study, guests=proposals.guests).trials
    assert [t.number for t in shown] == [0, 1, 2, -1, -2]
    assert [t.source for t in shown] == ["viewer", "viewer", "", "viewer", "viewer"]
    assert [t.name for t in shown[-2:]] == ["guest 1", "guest 2"]
    assert [t.guest for t in shown] == [False, False, False, True, True]


def test_without_the_sampler_only_what_waits_is_proposed(opened) -> None:
    path, study = opened
    proposals = taken_up(path, study)
    assert proposals.next(sampled=False) is None
    sent(path, GUEST)
    sent(path, FREE[0])
    assert [proposals.next(sampled=False).number for _ in range(2)] == [-1, 0]
    assert proposals.next(sampled=False) is None


def test_the_sampler_never_sees_a_guest(opened) -> None:
    path, study = opened
    proposals = taken_up(path, study)
    sent(path, GUEST)
    proposals.next()
    assert study.get_trials() == []


def test_what_is_handed_in_twice_is_trained_once(opened) -> None:
    path, study = opened
    empty = sparx_nas.load_run(path)
    proposals = taken_up(path, study)
    for design in (GUEST, FREE[0]):
        assert run_store.enqueue(path, empty, runs.SPACE, design).accepted
        assert proposals.next(sampled=False).architecture.id == design.id
        # The reader does not know yet that it has begun.
        assert run_store.enqueue(path, empty, runs.SPACE, design).accepted
        assert proposals.next(sampled=False) is None
    trials = run_store.load_run(path, study=study, guests=proposals.guests).trials
    doubles = {t.number: t.duplicate_of for t in trials if t.duplicate_of is not None}
    assert doubles == {-2: -1, 1: 0}


def test_a_guest_over_a_limit_is_shown_and_not_trained(opened) -> None:
    path, study = opened
    proposals = taken_up(path, study, {"params": 1000})
    sent(path, GUEST)
    assert proposals.next(sampled=False) is None
    (trial,) = run_store.load_run(path, study=study, guests=proposals.guests).trials
    assert (trial.state, trial.feasible) == ("infeasible", False)
    assert "params" in trial.violations[0]


@pytest.mark.parametrize("source", [{}, {"source": "viewer"}])
def test_values_that_are_no_choice_fail_one_trial_and_the_search_goes_on(opened, source) -> None:
    path, study = opened
    gene = runs.SPACE.genes[0].name
    study.enqueue_trial({gene: "no such choice"}, user_attrs=source)
    sent(path, FREE[0])
    proposals = taken_up(path, study)
    proposals.enqueue_baselines()
    assert proposals.next().architecture.id == FREE[0].id
    broken = study.get_trials()[0]
    assert broken.state == TrialState.FAIL
    assert "no such choice" in broken.user_attrs["error"]


def test_values_that_are_no_choice_do_not_stop_a_resume(opened) -> None:
    path, study = opened
    study.enqueue_trial({runs.SPACE.genes[0].name: "no such choice"})
    with pytest.raises(ValueError, match="no such choice"):
        study.ask(taken_up(path, study).genes)
    proposals = taken_up(path, study)
    assert study.get_trials()[0].state == TrialState.FAIL
    assert proposals.next().number == 1


@pytest.mark.parametrize("said", [{}, {"guest": "nonsense"}, {"guest": {"depths": [1]}}])
def test_a_guest_that_is_no_architecture_fails_and_the_search_goes_on(opened, said) -> None:
    path, study = opened
    sent(path, GUEST)
    guests_of(path).enqueue_trial({}, user_attrs={"source": "viewer"} | said)
    sent(path, SECOND)
    assert [w.architecture.id for w in run_store.waiting(path)] == [GUEST.id, SECOND.id]
    proposals = taken_up(path, study)
    assert [proposals.next(sampled=False).number for _ in range(2)] == [-1, -3]
    assert guests_of(path).get_trials()[1].state == TrialState.FAIL


@pytest.mark.parametrize("begun", [False, True])
def test_a_guest_that_a_kill_interrupted_runs_again(opened, begun) -> None:
    path, study = opened
    sent(path, GUEST)
    if begun:
        taken_up(path, study).next()
    else:
        guests_of(path).ask()
    proposals = taken_up(path, study)
    proposal = proposals.next(sampled=False)
    assert (proposal.number, proposal.architecture.id) == (-1, GUEST.id)
    assert proposals.next(sampled=False) is None


def test_a_double_that_a_kill_interrupted_is_not_trained(opened) -> None:
    path, study = opened
    empty = sparx_nas.load_run(path)
    sent(path, GUEST)
    taken_up(path, study).next()
    run_store.enqueue(path, empty, runs.SPACE, GUEST)
    guests_of(path).ask()
    proposals = taken_up(path, study)
    assert proposals.next(sampled=False).number == -1
    assert proposals.next(sampled=False) is None


def small(place: Path, name: str, *more: object) -> list[object]:
    images = place / "images"
    if not images.exists():
        make_images(images)
    head = ["--space", "mamba_micro", "--epochs", 1, "--batch-size", 32, "--concurrency", 1]
    return [*head, "--output", place, "--experiment", name, "--data", images, *more]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run that was handed a candidate and a guest while it ran."""
    place = tmp_path_factory.mktemp("guests")
    path = place / "run"
    running = Running(*small(place, "run", "--trials", 3), cwd=place)
    running.wait_for(path / "curves.jsonl", '"end"', 1)
    words = [sent(path, design).words for design in (FREE[0], GUEST)]
    assert all("next" in said for said in words), words
    assert running.process.wait(timeout=PATIENCE_S) == 0, running.log.read_text()
    return path


def counted(path: Path) -> dict[str, list[sparx_nas.trial.values.TrialRecord]]:
    """Return the trained trials of a run: baselines, guests, and the others."""
    done = [t for t in sparx_nas.load_run(path).trials if t.state == "complete"]
    return {
        "baselines": [t for t in done if t.baseline],
        "guests": [t for t in done if t.guest],
        "others": [t for t in done if not t.baseline and not t.guest],
    }


def test_a_running_search_trains_what_another_process_hands_in(searched: Path) -> None:
    found = counted(searched)
    assert [t.architecture.id for t in found["guests"]] == [GUEST.id]
    assert [t.number for t in found["guests"]] == [-1]
    # The candidate took the place of one; the guest did not.
    assert len(found["others"]) == 3
    assert [t.source for t in found["others"]].count("viewer") == 1
    assert FREE[0].id in {t.architecture.id for t in found["others"]}
    assert len(found["baselines"]) == 3
    run = sparx_nas.load_run(searched)
    assert (run.status["state"], run.status["trained"]) == ("finished", 3)
    for trial in (*found["guests"], *found["others"]):
        assert trial.epochs
        assert trial.fidelity == replace(run.trials[0].fidelity, seeds=2)
    assert run_store.waiting(searched) == ()
    assert all(t.test_top1 is not None for t in run.front)


def test_the_run_shows_a_guest_as_one(searched: Path) -> None:
    report = (searched / "report.html").read_text()
    assert "Guest 1" in report
    assert "badge guest" in report
    assert "Trial -1" not in report
    with (searched / "trials.csv").open() as file:
        rows = {row["number"]: row for row in csv.DictReader(file)}
    assert rows["-1"]["architecture_id"] == GUEST.id
    kinds = [json.loads(line) for line in (searched / "curves.jsonl").read_text().splitlines()]
    assert {"start", "epoch", "end"} <= {said["kind"] for said in kinds if said["trial"] == -1}
    log = (searched / "search.log").read_text()
    assert "trial -1" not in log
    assert "guest 1" in log


def test_a_finished_run_is_resumed_for_what_waits(searched: Path) -> None:
    before = {t.number for t in sparx_nas.load_run(searched).trials}
    verdicts = [sent(searched, design) for design in (FREE[1], SECOND)]
    assert all("--resume" in verdict.words for verdict in verdicts)
    running = Running("--resume", searched, cwd=searched.parent)
    running.wait_for(searched / "curves.jsonl", '"start", "trial": -2', 1)
    running.kill()
    done = search("--resume", searched, cwd=searched.parent)
    assert done.returncode == 0, done.stderr
    assert "g2 " in done.stdout
    assert "2 guests" in done.stdout
    run = sparx_nas.load_run(searched)
    new = {t.architecture.id: t for t in run.trials if t.number not in before}
    assert set(new) == {FREE[1].id, SECOND.id}
    assert {t.state for t in new.values()} == {"complete"}
    assert new[SECOND.id].number == -2
    assert len(new[SECOND.id].epochs) == 1
    assert len(counted(searched)["others"]) == 4
    again = search("--resume", searched, cwd=searched.parent)
    assert "Nothing is left to train" in again.stdout
