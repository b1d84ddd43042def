"""Searches that are really run: Ray, Optuna, training, the run folder, kills and resumes."""

import csv
import json
import os
import re
import shlex
import signal
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import sparx_nas
from sparx_nas.run_store import open_study
from sparx_nas.search.telling.summary import summary_lines
from sparx_nas.trial.pareto import published_trial
from support.commands import main_of
from support.patience import PATIENCE_S
from support.search_run import BROKEN, Running, descendants, make_images, search, titles

SMALL = ("--space", "mamba_micro", "--epochs", 1, "--batch-size", 32, "--seeds", 1)
BASELINES = 3


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("images") / "my own")


@pytest.fixture(scope="module")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run, searched to its end with one trial at a time."""
    place = tmp_path_factory.mktemp("finished")
    names = ("--output", place, "--experiment", "one", "--data", images)
    done = search(*SMALL, *names, "--trials", 5, "--concurrency", 1, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return place / "one"


def test_what_it_prints_to_do_next_is_done(finished: Path, capsys: pytest.CaptureFixture[str]):
    """The commands are run as they stand, the training as a dry run."""
    lines = summary_lines(sparx_nas.load_run(finished), finished)
    said = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line.startswith("  ")}
    train = shlex.split(said["train"])
    assert main_of("train").main([*train[train.index("train") + 1 :], "--dry-run"]) == 0
    assert "3 classes" in capsys.readouterr().out
    again = shlex.split(said["go"].removeprefix("on "))
    words = again[again.index("search") + 1 : again.index("--trials")]
    assert main_of("search").main(words) == 0
    assert "Nothing is left to train" in capsys.readouterr().out


def study_of(path: Path) -> optuna.Study:
    run = sparx_nas.load_run(path)
    url = f"sqlite:///{path / 'study.db'}"
    return open_study(name=path.name, storage=url, objectives=run.objectives, create=False)


def trained_ids(path: Path) -> list[str]:
    trials = study_of(path).get_trials(states=[TrialState.COMPLETE])
    return [trial.user_attrs["architecture_id"] for trial in trials]


def assert_whole(path: Path, trials: int) -> None:
    """A run has what was asked for, nothing twice and nothing open."""
    ids = trained_ids(path)
    assert len(ids) == len(set(ids)) == trials + BASELINES
    states = {trial.state for trial in study_of(path).get_trials()}
    assert states <= {TrialState.COMPLETE, TrialState.PRUNED}
    run = sparx_nas.load_run(path)
    assert run.status["state"] == "finished"
    assert [t.baseline for t in run.trials if t.baseline] == ["sparx", "plain", "dense"]
    for trial in run.trials:
        if trial.state == "complete":
            assert [epoch.epoch for epoch in trial.epochs] == [1]
    assert all(trial.test_top1 is not None for trial in run.front)


def test_a_run_holds_what_the_readme_says(finished: Path) -> None:
    assert_whole(finished, 5)
    run = sparx_nas.load_run(finished)
    names = {path.name for path in finished.iterdir()}
    files = (
        "report.html best pareto.json trials.csv archs weights study.db curves.jsonl config.yaml"
    )
    assert {*files.split(), "space.yaml", "env.json", "status.json", "search.log", "ray"} == names
    with (finished / "trials.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(run.trials)
    kept = Counter(path.name.split(".")[0] for path in (finished / "weights").iterdir())
    members = [*run.front, published_trial(run)]
    assert kept == {t.architecture.id: 3 if t.baseline else 1 for t in members}
    assert json.loads((finished / "pareto.json").read_text())["members"]
    trial = run.trials[0]
    assert trial.architecture.id == run.trials[0].architecture.id
    assert sparx_nas.Architecture.load(finished / f"archs/{trial.architecture.id}.json")


def test_broken_images_are_reported_and_the_test_split_is_val(finished: Path) -> None:
    data = json.loads((finished / "env.json").read_text())["data"]
    assert data["skipped_count"] == len(BROKEN)
    assert {Path(path).name for path, _ in data["skipped"]} == {"torn.png", "empty.jpg"}
    assert data["splits"]["test"] == 30


def test_values_are_those_of_the_objectives(finished: Path) -> None:
    study, run = study_of(finished), sparx_nas.load_run(finished)
    assert study.metric_names == ["val_loss", "macs"]
    for trial in run.trials:
        if trial.state == "complete":
            target = sparx_nas.estimate(trial.architecture, 32, num_classes=10)
            loss = trial.epochs[-1].val_loss
            assert study.trials[trial.number].values == [loss, target.macs]


def test_one_seed_gives_one_search(finished: Path, images: Path, tmp_path: Path) -> None:
    names = ("--output", tmp_path, "--experiment", "two", "--data", images)
    done = search(*SMALL, *names, "--trials", 5, "--concurrency", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert trained_ids(tmp_path / "two") == trained_ids(finished)
    values = [trial.values for trial in study_of(tmp_path / "two").trials]
    assert values == [trial.values for trial in study_of(finished).trials]


def test_a_finished_run_can_be_asked_for_more(finished: Path, images: Path, tmp_path: Path) -> None:
    names = ("--output", tmp_path, "--experiment", "more", "--data", images)
    assert search(*SMALL, *names, "--trials", 1, cwd=tmp_path).returncode == 0
    before = trained_ids(tmp_path / "more")
    done = search("--resume", tmp_path / "more", "--trials", 3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path / "more", 3)
    assert trained_ids(tmp_path / "more")[: len(before)] == before


def test_a_run_is_never_overwritten(finished: Path, images: Path) -> None:
    names = ("--output", finished.parent, "--experiment", "one", "--data", images)
    done = search(*SMALL, *names, cwd=finished.parent)
    assert done.returncode == 4
    assert "exists" in done.stderr
    assert "--resume" in done.stderr


def test_changed_images_are_refused(images: Path, tmp_path: Path) -> None:
    own = make_images(tmp_path / "own")
    names = ("--output", tmp_path, "--experiment", "run", "--data", own)
    assert search(*SMALL, *names, "--trials", 1, cwd=tmp_path).returncode == 0
    next((own / "train/red").glob("1*.png")).unlink()
    done = search("--resume", tmp_path / "run", "--trials", 2, cwd=tmp_path)
    assert done.returncode == 4
    assert "data changed" in done.stderr


def test_limits_keep_candidates_from_training(images: Path, tmp_path: Path) -> None:
    names = ("--output", tmp_path, "--experiment", "tight", "--data", images)
    done = search(*SMALL, *names, "--trials", 3, "--constraint", "params<=190k", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = sparx_nas.load_run(tmp_path / "tight")
    for trial in run.trials:
        over = sparx_nas.estimate(trial.architecture, num_classes=10).params > 190_000
        assert trial.feasible is not over
        assert trial.state != "complete" or not over or trial.baseline
    assert all(trial.feasible for trial in run.front)
    assert {t.baseline for t in run.trials if t.state == "complete"} >= {"sparx", "plain", "dense"}


def test_an_impossible_limit_ends_with_3(images: Path, tmp_path: Path) -> None:
    names = ("--output", tmp_path, "--experiment", "none", "--data", images)
    done = search(*SMALL, *names, "--trials", 2, "--constraint", "params<=1k", cwd=tmp_path)
    assert done.returncode == 3
    assert "no architecture" in done.stderr


def test_an_exhausted_space_says_so(images: Path, tmp_path: Path) -> None:
    text = (
        Path(sparx_nas.load_space("mamba_micro").path)
        .read_text()
        .replace("start: [none, 1, 2, 3]", "start: [none, 1]")
        .replace("density: [1.0, 0.5]", "density: 1.0")
        .replace("window: [all, 1]", "window: all")
        .replace("start: [none, 1, 2]", "start: [none, 1, 2]")
    )
    (tmp_path / "few.yaml").write_text(text)
    space = sparx_nas.load_space(tmp_path / "few.yaml")
    names = ("--space", tmp_path / "few.yaml", "--output", tmp_path, "--experiment", "all")
    small = ("--epochs", 1, "--batch-size", 32, "--seeds", 1, "--data", images)
    done = search(*names, *small, "--trials", 500, cwd=tmp_path, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "Every architecture" in done.stdout
    ids = trained_ids(tmp_path / "all")
    assert len(ids) == len(set(ids)) == space.distinct()[0]


def test_ctrl_c_keeps_everything_and_resumes(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    names = ("--output", tmp_path, "--experiment", "run", "--data", images)
    running = Running(*SMALL, *names, "--trials", 6, cwd=tmp_path)
    running.wait_for(path / "curves.jsonl", '"end"', 2)
    assert running.interrupt() == 130
    said = running.log.read_text()
    assert "--resume" in said
    assert sparx_nas.load_run(path).status["state"] == "interrupted"
    ended = (path / "curves.jsonl").read_text().count('"end"')
    done = search("--resume", path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_whole(path, 6)
    assert (path / "curves.jsonl").read_text().count('"end"') >= ended


def test_a_signal_to_the_whole_group_ends_as_ctrl_c(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    names = ("--output", tmp_path, "--experiment", "run", "--data", images)
    running = Running(*SMALL, *names, "--epochs", 40, "--trials", 6, cwd=tmp_path)
    running.wait_for(path / "curves.jsonl", '"epoch"', 2)
    group = os.getpgid(running.process.pid)
    workers = [pid for pid in descendants(running.process.pid) if os.getpgid(pid) == group]
    assert workers == []
    assert sparx_nas.load_run(path).status["state"] == "running"
    os.killpg(group, signal.SIGTERM)
    os.killpg(group, signal.SIGTERM)
    assert running.process.wait(timeout=PATIENCE_S) == 143
    said = running.log.read_text()
    assert "--resume" in said
    assert "Traceback" not in said
    assert json.loads((path / "status.json").read_text())["state"] == "interrupted"


def test_kills_lose_and_repeat_nothing(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    names = ("--output", tmp_path, "--experiment", "run", "--data", images)
    running = Running(*SMALL, *names, "--trials", 5, cwd=tmp_path)
    for kind, times in (('"start"', 1), ('"epoch"', 3), ('"end"', 5)):
        running.wait_for(path / "curves.jsonl", kind, times)
        running.kill()
        kept = trained_ids(path) if (path / "study.db").exists() else []
        running = Running("--resume", path, cwd=tmp_path)
        assert set(kept) <= set(trained_ids(path))
    assert running.process.wait(timeout=PATIENCE_S) == 0, running.log.read_text()
    assert_whole(path, 5)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="titles are read from /proc")
def test_processes_say_trial_and_wiring(images: Path, tmp_path: Path) -> None:
    names = ("--output", tmp_path, "--experiment", "run", "--data", images)
    running = Running(*SMALL, *names, "--epochs", 40, "--trials", 1, cwd=tmp_path)
    running.wait_for(tmp_path / "run/curves.jsonl", '"epoch"', 1)
    # A title stands while its worker trains; which one is seen first is left to chance.
    title = re.compile(r"sparx_nas trial [0-3]: (sparx|plain|dense|\d+ gangli)")
    end, seen = time.monotonic() + PATIENCE_S, ""
    while not title.search(seen) and time.monotonic() < end:
        seen = "\n".join(titles(running.process.pid))
    running.kill()
    assert title.search(seen), seen
