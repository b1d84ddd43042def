"""A machine that refuses something stops a search with one error, and costs it nothing."""

import errno
import os
import sqlite3
from contextlib import closing

import pytest

from sparx_nas import run_store
from sparx_nas.command.stopping import Stop
from sparx_nas.ground.errors import DataError, MachineError
from sparx_nas.ground.machine import refusal
from sparx_nas.run_store import CURVES, load_run, study, unfinished
from sparx_nas.run_store.study import StorageError
from sparx_nas.search.running.trouble import explained
from support import runs
from support.machine import full_after


def book(path, opened, architecture) -> None:
    """Train a design and write what follows, as a search does."""
    number = runs.asked(opened, architecture)
    end = runs.trained(path, number, architecture, 0.9)
    runs.told(opened, end)
    run_store.write_weights(path, architecture.id, [b"w" * 1000])
    run = load_run(path, study=opened)
    run_store.write_derived(path, run)
    run_store.write_best(path, run)
    run_store.write_status(path, state="running")


@pytest.mark.parametrize("room", [0, 100, 500, 1_500, 4_000, 9_000])
def test_a_full_disk_loses_nothing_wherever_it_comes(tmp_path, monkeypatch, room):
    path = runs.new_run(tmp_path)
    opened = runs.new_study(path)
    first, second = runs.distinct(2)
    book(path, opened, first)
    full_after(monkeypatch, room)
    with pytest.raises(MachineError) as caught, explained(path):
        book(path, opened, second)
    monkeypatch.undo()
    said = str(caught.value)
    assert f"cannot write {path}" in said
    assert "the disk is full" in said
    assert f"Saved in {path}: " in said
    assert "make room there" in caught.value.hint
    assert f"--resume {path}" in caught.value.hint
    assert not [file for file in path.rglob("*") if file.suffix == ".part"]
    left = unfinished(opened, path / CURVES)
    for end in left.ended:
        runs.told(opened, end)
    run = load_run(path)
    assert run.trials[0].state == "complete"
    assert len(left.again) == (run.trials[1].state != "complete")
    run_store.write_derived(path, run)
    run_store.write_best(path, run)
    run_store.write_status(path, state="interrupted")


def test_a_study_that_another_program_holds_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "LOCK_WAIT_S", 0.1)
    path = runs.new_run(tmp_path)
    opened = runs.new_study(path)
    runs.finished(path, opened, runs.distinct(1)[0], 0.5)
    with closing(sqlite3.connect(path / "study.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="kept it locked") as caught, explained(path):
            runs.asked(opened, runs.distinct(2)[1])
        other.rollback()
    assert "end what else has it open; then --resume" in caught.value.hint
    assert len(load_run(path).trials) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        OSError(errno.EROFS, os.strerror(errno.EROFS)),
        refusal(OSError(errno.ENOENT, "x", "/gone/images")),
        DataError("/gone/images: not there"),
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.OperationalError("attempt to write a readonly database"),
    ],
    ids=str,
)
def test_every_trouble_says_what_is_saved_and_how_to_go_on(tmp_path, trouble):
    path = runs.new_run(tmp_path)
    runs.finished(path, runs.new_study(path), runs.distinct(1)[0], 0.5)
    told = (MachineError, DataError, StorageError)
    with pytest.raises(told) as caught, explained(path):
        raise trouble
    assert f"Saved in {path}: 1 trained trial" in str(caught.value)
    assert f"then --resume {path} goes on" in caught.value.hint
    assert caught.value.exit_code == 5


def test_a_bug_stays_one(tmp_path):
    with pytest.raises(ZeroDivisionError), explained(tmp_path):
        raise ZeroDivisionError


def test_what_a_worker_is_refused_stops_the_search_and_fails_no_trial():
    from sparx_nas.search.running.conductor import Conductor

    class Books:
        settings = type("Settings", (), {"time_budget_s": None})
        stop = Stop()
        left: list[int] = []  # noqa: RUF012

        def interrupted(self, number: int) -> None:
            self.left.append(number)

        def too_many_failures(self) -> bool:
            return False

    books = Books()
    conductor = Conductor(books, None, books)
    conductor.numbers["worker"] = 7
    conductor.refuse("worker", "on node-3: /scratch/images is not there")
    assert conductor.stop.asked
    assert books.left == [7]
    assert conductor.idle
    assert isinstance(conductor.error, MachineError)
    assert "node-3" in str(conductor.error)
