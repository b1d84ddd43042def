import sqlite3
import threading

import optuna
import pytest

from sparx_nas.run_store import at_once, open_study
from sparx_nas.trial.values import Objective

OBJECTIVES = (Objective(name="top1", direction="max"),)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "study.db"


@pytest.fixture
def study(file):
    return opened(file, create=True)


def opened(file, *, create=False):
    return open_study(name="s", storage=f"sqlite:///{file}", objectives=OBJECTIVES, create=create)


def seen(file):
    """Read from another connection how many trials and attributes there are."""
    with sqlite3.connect(file) as connection:
        tables = ("trials", "trial_user_attributes")
        counts = [connection.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in tables]
    connection.close()
    return tuple(counts)


def test_others_see_all_of_it_or_nothing(file, study):
    with at_once(study):
        trial = study.ask()
        for i in range(5):
            trial.set_user_attr(str(i), i)
        assert seen(file) == (0, 0)
        assert len(study.get_trials(deepcopy=False)) == 1
    assert seen(file) == (1, 5)
    trial.set_user_attr("later", 1)
    assert seen(file) == (1, 6)


def test_one_within_another_is_part_of_it(file, study):
    with at_once(study):
        with at_once(study):
            study.ask()
        assert seen(file) == (0, 0)
    assert seen(file) == (1, 0)


def test_what_was_told_before_an_error_stays(file, study):
    def broken() -> None:
        with at_once(study):
            study.ask().set_user_attr("a", 1)
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert seen(file) == (1, 1)
    assert len(opened(file).trials) == len(study.trials) == 1


def test_two_writers_wait_for_each_other_and_lose_nothing(file, study):
    def write(own: optuna.Study) -> None:
        for _ in range(10):
            with at_once(own):
                own.ask().set_user_attr("a", 1)

    threads = [threading.Thread(target=write, args=(s,)) for s in (study, opened(file))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen(file) == (20, 20)
    assert sorted(t.number for t in opened(file).trials) == list(range(20))


def test_a_study_in_memory_is_told_as_ever():
    study = open_study(name="s", storage=None, objectives=OBJECTIVES, create=True)
    with at_once(study):
        study.ask().set_user_attr("a", 1)
    assert study.trials[0].user_attrs == {"a": 1}
