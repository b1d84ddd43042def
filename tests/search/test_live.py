import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sparx_nas.search.telling.live import header, make_view
from sparx_nas.search.telling.live_rich import RichView
from sparx_nas.search.telling.summary import summary_lines
from sparx_nas.search.telling.wording import sparkline, what_it_is
from sparx_nas.trial.values import OBJECTIVES as KNOWN
from sparx_nas.trial.values import Epoch, Objective
from support.search_progress import OBJECTIVES, SPACE, ended, progress, run, settings, trial

PATH = Path("runs/micro-1")
ALL = tuple(Objective(name=name, direction=way) for name, way in KNOWN.items())
BOTH = pytest.mark.parametrize("objectives", [OBJECTIVES, ALL], ids=["two", "all"])


def assert_fits(text: str) -> None:
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "\x1b" not in text


@BOTH
def test_plain_writes_a_line_for_each_ended_trial(objectives, capsys):
    trials = ended(objectives=objectives)
    asked = settings(objectives=objectives, constraints={"params": 32_000_000})
    view = make_view("auto", settings=asked, path=PATH, dashboard_lines=["Ray at 127.0.0.1"])
    before = capsys.readouterr().out
    assert "params <= 32.0 M" in before
    assert "Ray at 127.0.0.1" in before
    for one in trials:
        view.update(progress(trials, objectives))
        view.finished(one, progress(trials, objectives))
    view.close()
    out = capsys.readouterr().out
    assert_fits(before + out)
    assert len(out.splitlines()) == len(trials)
    assert all(
        f"#{one.number} " in line for one, line in zip(trials, out.splitlines(), strict=True)
    )
    assert out.count("failed: RuntimeError") == 1
    assert out.count("over a limit: params 33.1 M > 32 M") == 1


def test_plain_leaves_the_eta_out_at_the_end(capsys):
    trials = ended()
    view = make_view("plain", settings=settings(), path=PATH, dashboard_lines=[])
    view.finished(trials[3], progress(trials, asked=12, eta_s=0.0))
    assert "ETA" not in capsys.readouterr().out


@BOTH
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_rich_fits_in_80_columns(objectives, columns):
    trials = ended(objectives=objectives)
    console = Console(file=io.StringIO(), width=columns, force_terminal=False)
    asked = settings(objectives=objectives)
    view = RichView(asked, PATH, [], header(asked, PATH), console)
    view.update(progress(trials, objectives))
    view.finished(trials[-1], progress(trials, objectives, asked=9))
    view.close()
    out = console.file.getvalue()
    assert_fits(out)
    assert "failed: ValueError: no" in out
    assert "Front (" in out
    assert "epoch 3/6" in out


def test_rich_repaints_and_restores_the_cursor_on_a_terminal():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    view = RichView(settings(), PATH, [], [], console)
    view.update(progress(ended()))
    view.close()
    out = console.file.getvalue()
    assert out.count("\x1b[?25l") == out.count("\x1b[?25h") == 1


def test_rich_shows_a_search_without_a_trial_or_an_epoch():
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    view = RichView(settings(), PATH, [], [], console)
    view.update(progress([], running=(), eta_s=None, failed=0))
    view.close()
    assert "ETA -" in console.file.getvalue()


def test_json_is_one_object_a_line_and_messages_go_to_stderr(capsys):
    trials = ended()
    view = make_view("json", settings=settings(), path=PATH, dashboard_lines=["Ray"])
    view.message("a word")
    for _ in range(2):
        view.update(progress(trials))
    view.finished(trials[0], progress(trials))
    view.close()
    view.close()
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds == ["start", "epoch", "epoch", "epoch", "trial", "end"]
    assert said.err == "Ray\na word\n"
    assert events[0]["options"]["seed"] == 0
    assert [event["trial"] for event in events[1:4]] == [91, 92, 93]
    assert events[4]["objectives"] == trials[0].objectives
    assert events[-1]["front"] == [t.number for t in progress(trials).front]


def test_json_tells_of_every_epoch_once(capsys):
    epochs = tuple(
        Epoch(epoch=i, train_loss=1.0, val_loss=1.0, top1=i / 10, seconds=1.0, images_per_s=9.0)
        for i in range(1, 5)
    )
    view = make_view("json", settings=settings(), path=PATH, dashboard_lines=[])
    view.update(progress(ended()))
    view.finished(trial(92, epochs=epochs), progress(ended()))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    own = [e["epoch"] for e in events if e["event"] == "epoch" and e["trial"] == 92]
    assert own == [2, 3, 4]


@BOTH
def test_the_summary_says_what_came_out_and_what_to_type(objectives):
    lines = summary_lines(run(ended(objectives=objectives), PATH, objectives), PATH)
    text = "\n".join(lines)
    assert_fits(text)
    assert "published sparx" in text.lower()
    assert "12 trained, 3 baselines, 1 over a limit, 2 failed" in text
    assert "1 x ValueError: no (#17)" in text
    assert "--resume runs/micro-1 --trials 32" in text
    assert "optuna-dashboard sqlite:///runs/micro-1/study.db" in text


def test_failures_are_grouped_by_cause():
    same = [replace(ended()[-1], number=n) for n in (20, 21, 22, 23)]
    text = "\n".join(summary_lines(run([*ended(), *same], PATH), PATH))
    assert "5 x ValueError: no (#17, #20, #21 and 2 more)" in text


def test_a_run_without_a_front_still_has_a_summary():
    text = "\n".join(summary_lines(run(ended()[-3:], PATH), PATH))
    assert "No trial has ended with a value" in text
    assert "/best" not in text


def test_paths_are_quoted_in_commands():
    text = "\n".join(summary_lines(run(ended(), PATH), Path("runs/my run")))
    assert "--resume 'runs/my run'" in text


def test_words_give_way_where_there_is_no_room():
    architecture = SPACE.baselines["dense"]
    assert what_it_is(architecture, "dense") == "dense (7 ganglia, 10 edges)"
    assert what_it_is(architecture, "dense", 10) == "dense"
    assert what_it_is(architecture, "", 10) == "7 ganglia"
    assert what_it_is(architecture, "", 3) == ""
    assert what_it_is(SPACE.baselines["plain"]) == "no ganglia"


def test_sparklines_rise_with_their_values():
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([0.3, 0.3]) == "▁▁"
    assert sparkline(()) == ""
    assert len(sparkline([float(i) for i in range(50)])) == 12


def test_a_complete_trial_that_broke_a_limit_keeps_its_values(capsys):
    view = make_view("plain", settings=settings(), path=PATH, dashboard_lines=[])
    view.finished(trial(2, feasible=False, violations=("params 33 M > 32 M",)), progress(ended()))
    assert "dense" in capsys.readouterr().out
