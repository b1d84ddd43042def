import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sparx_nas.command.prompt import error_text, exit_code
from sparx_nas.ground.errors import RunError, SparxError
from sparx_nas.run_store import create_folder
from sparx_nas.search import __main__ as command
from sparx_nas.search.asked.settings import to_config
from sparx_nas.search.telling import describe
from sparx_nas.space import load_space
from support.patience import PATIENCE_S
from support.search_progress import SPACE, settings

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "ray", "optuna", "timm", "numpy", "pydantic", "sklearn", "typeguard")


def call(*argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *argv],
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        timeout=PATIENCE_S,
    )


def search(*argv: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    try:
        code = command.main(argv)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of a space file of one's own, before its first trial."""
    file = tmp_path / "mine.yaml"
    file.write_text(SPACE.source_text)
    space = load_space(file)
    config = to_config(settings(space=str(file)), space)
    path = tmp_path / "runs" / "micro-1"
    create_folder(path, config=config, space_text=space.source_text, env={})
    return path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What would have been searched; the driver has tests of its own."""
    calls: list[tuple] = []
    monkeypatch.setattr(command, "_search", lambda *args: calls.append(args) or 0)
    return calls


def test_help_gives_every_default_and_loads_nothing_heavy():
    code = (
        "import sys, sparx_nas.search.__main__ as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit as e: assert e.code == 0\n"
        f"print([n for n in {HEAVY} if n in sys.modules], file=sys.stderr)"
    )
    done = call("-c", code)
    assert done.stderr == "[]\n"
    assert max(len(line) for line in done.stdout.splitlines()) <= 90
    words = " ".join(done.stdout.replace("│", " ").split())
    for shown in (
        *("what options", "goal options", "budget options", "search options", "train options"),
        *("resources options", "run options", "output options"),
        *("--space NAME|FILE", "(default: mamba_t)", "(default: 9)", "(default: from the space)"),
        *("--no-dashboard", "--gpus-per-trial", "(default: val_loss,macs)", "(default: 0.003)"),
    ):
        assert shown in words
    assert "None" not in words


def test_both_commands_are_one():
    asked = ("--space", "mamba_micro", "--explain")
    module = call("-m", "sparx_nas.search", *asked)
    script = call("-m", "sparx_nas", "search", *asked)
    assert module.returncode == script.returncode == 0
    assert module.stdout == script.stdout
    assert "mamba_micro" in module.stdout


def test_spaces_are_listed_with_size_and_cost(tmp_path, monkeypatch, capsys):
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mine.yaml").write_text("schema: 1\nabout: broken")
    monkeypatch.chdir(tmp_path)
    told = []
    for asked in (("--list-spaces",), ("--space",)):
        code, out, _ = search(*asked, capsys=capsys)
        assert code == 0
        told.append(out)
    assert told[0] == told[1]
    lines = told[0].splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line for line in lines if line[:1].isalpha()}
    assert "1,456" in rows["mamba_t"]
    assert "27.1 M (20.7 M - 30.7 M)" in rows["mamba_t"]
    assert "10^11" in rows["swin_t_free"]
    assert rows["mine"].split()[1:] == ["-", "-", "-"]


def test_a_command_that_is_none_is_told():
    wrong = call("-m", "sparx_nas", "serch")
    assert wrong.returncode == 2
    assert "Did you mean 'search'?" in wrong.stderr
    assert call("-m", "sparx_nas").returncode == 2
    assert call("-m", "sparx_nas", "--version").stdout.startswith("sparx-nas ")
    assert "search" in call("-m", "sparx_nas", "--help").stdout


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("--space", "mamba_tt"), 2, "error: unknown space 'mamba_tt'. Did you mean 'mamba_t'"),
        (("--space", "no/such.yaml"), 2, "there is no file no/such.yaml"),
        (("--trails", "3"), 2, "--trials"),
        (("--trials",), 2, "--trials"),
        (("--trials", "3.5"), 2, "error: --trials is '3.5'; it is a whole number from 1\nhint:"),
        (("--format", "xml"), 2, "it is one of auto, rich, plain, json"),
        (("--keep-weights", "frnt"), 2, "Did you mean 'front'?"),
        (("--config", "none.yaml"), 2, "error: cannot read --config none.yaml"),
        (("--resume", "runs/none"), 4, "there is no run runs/none"),
        (("--explain", "--list-spaces"), 2, "cannot both be given"),
        (("--seed", "x", "--lr", "-1", "--sampler", "grid"), 2, "error: 3 options are wrong\n  - "),
    ],
)
def test_wrong_input_ends_with_its_code_and_says_how_to_mend_it(argv, code, said, capsys):
    ended, out, err = search(*argv, capsys=capsys)
    assert ended == code
    assert said in err
    assert out == ""
    assert "Traceback" not in err


def test_an_explanation_is_printed(capsys):
    code, out, _ = search("--space", "mamba_micro", "--explain", capsys=capsys)
    assert code == 0
    assert "distinct architectures" in out


def test_options_come_together_for_the_driver(started, capsys):
    code, _, _ = search("--space", "mamba_micro", "--trials", "2", capsys=capsys)
    assert code == 0
    ((_, own, space, resume),) = started
    assert (own.trials, own.space, resume) == (2, "mamba_micro", None)
    assert space.fingerprint == SPACE.fingerprint


def test_a_run_goes_on_with_its_own_options(run_folder, started, capsys):
    code, _, err = search("--resume", str(run_folder), "--trials", "40", capsys=capsys)
    assert (code, err) == (0, "")
    ((_, own, _, resume),) = started
    assert (own.trials, own.name, resume) == (40, "micro-1", run_folder)
    assert own.epochs == SPACE.proxy["epochs"]


def test_a_run_goes_on_when_its_space_file_is_gone(run_folder, started, capsys):
    (run_folder.parents[1] / "mine.yaml").unlink()
    code, _, err = search("--resume", str(run_folder), capsys=capsys)
    assert (code, err) == (0, "")
    assert started[0][2].fingerprint == SPACE.fingerprint


def test_a_changed_setting_refuses_with_a_diff(run_folder, started, capsys):
    code, _, err = search("--resume", str(run_folder), "--epochs", "99", capsys=capsys)
    assert code == 4
    assert f"- epochs: {SPACE.proxy['epochs']}\n+ epochs: 99\n" in err
    assert err.endswith("[E-RUN]\n")
    assert started == []


def test_a_changed_space_refuses_with_a_diff(run_folder, started, capsys):
    file = run_folder.parents[1] / "mine.yaml"
    file.write_text(SPACE.source_text.replace("window: [all, 1]", "window: [all, 1, 2]"))
    code, _, err = search("--resume", str(run_folder), capsys=capsys)
    assert code == 4
    assert "-    window: [all, 1]\n+    window: [all, 1, 2]\n" in err
    code, _, err = search("--resume", str(run_folder), "--space", "mamba_t", capsys=capsys)
    assert code == 4
    assert started == []


def test_a_changed_comment_is_no_change(run_folder, started, capsys):
    file = run_folder.parents[1] / "mine.yaml"
    file.write_text("# my notes\n" + SPACE.source_text)
    assert search("--resume", str(run_folder), capsys=capsys)[0] == 0
    assert len(started) == 1


def test_an_edited_configuration_names_its_file(run_folder, capsys):
    file = run_folder / "config.yaml"
    config = yaml.safe_load(file.read_text()) | {"epochs": "few"}
    file.write_text(yaml.safe_dump(config))
    code, _, err = search("--resume", str(run_folder), capsys=capsys)
    assert code == 2
    assert f"{file}: epochs is 'few'" in err


@pytest.mark.slow
def test_a_dry_run_writes_nothing_and_says_what_it_takes(tmp_path):
    done = call("-m", "sparx_nas.search", "--space", "mamba_micro", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
    heads = [line.split()[0] for line in done.stdout.splitlines() if line[:1].isalpha()]
    assert heads == [
        "Dry",
        "run",
        "space",
        "limits",
        "data",
        "device",
        "a",
        "scores",
        "time",
        "disk",
        "options",
    ]
    options = yaml.safe_load(done.stdout.partition("options\n")[2])
    assert options["sampler"] == "tpe"
    # A folder's name is never cut, so the place stands for a short one.
    said = done.stdout.partition("options\n")[0].replace(str(tmp_path), "here")
    assert max(map(len, said.splitlines())) <= 80


def test_a_dry_run_without_data_says_where_it_looked(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(describe, "_places", lambda *_: None)
    place = tmp_path / "nothing"
    argv = ("--space", "mamba_micro", "--data", "cifar10", "--data-dir", str(place), "--dry-run")
    code, out, err = search(*argv, capsys=capsys)
    assert code == 5
    assert "not found" in out
    assert str(place) in err
    assert "[E-DATA]" in err


def test_a_dry_run_sees_a_place_that_cannot_hold_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(describe, "_places", lambda *_: None)
    (tmp_path / "file").write_text("")
    (tmp_path / "there").mkdir()
    argv = ("--space", "mamba_micro", "--data", "cifar10", "--data-dir", "nowhere", "--dry-run")
    for place, experiment, said in (
        (tmp_path / "file" / "runs", "new", "is not writable"),
        (tmp_path, "there", "never overwritten"),
    ):
        where = ("--output", str(place), "--experiment", experiment)
        code, _, err = search(*argv, *where, capsys=capsys)
        assert code == 4
        assert said in err
        assert "[E-RUN]" in err


def test_descriptions_for_machines(capsys):
    code, out, _ = search("--list-spaces", "--format", "json", capsys=capsys)
    assert code == 0
    assert {"mamba_t", "mamba_t_free", "mamba_micro"} <= {s["name"] for s in json.loads(out)}
    code, out, _ = search("--space", "mamba_micro", "--explain", "--format", "json", capsys=capsys)
    assert code == 0
    told, space = json.loads(out), load_space("mamba_micro")
    assert told["distinct"] == space.distinct()[0]
    for name, architecture in space.baselines.items():
        assert told["baselines"][name]["architecture_id"] == architecture.id
        assert told["baselines"][name]["cost"]["macs"] == space.cost(architecture).macs


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (
            RunError("it exists", hint="call it x"),
            4,
            "error: it exists\nhint: call it x  [E-RUN]\n",
        ),
        (SparxError("a\n  - b"), 2, "error: a  [E-USAGE]\n  - b\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (ZeroDivisionError("no"), 1, "error: ZeroDivisionError: no  [E-BUG]\nhint: -v shows"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_what_is_raised_becomes_an_exit_code(raised, code, said, capsys, monkeypatch):
    def fail() -> int:
        raise raised

    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    assert exit_code(fail, verbose=False) == code
    assert capsys.readouterr().err.startswith(said)


def test_a_traceback_is_shown_when_asked_for(capsys):
    assert exit_code(lambda: 1 // 0, verbose=True) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_hint_and_a_code_end_the_message():
    assert error_text(RunError("x", hint="y")) == "error: x\nhint: y  [E-RUN]\n"


def test_a_closed_pipe_is_no_error():
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    for asked, start in (("--explain", "mamba_t"), ("--help", "usage")):
        line = f"{sys.executable} -m sparx_nas.search {asked} | head -c 7"
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=env)
        assert done.stderr == ""
        assert done.stdout.startswith(start)


def test_threads_of_a_command_wait_without_spinning(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    seen = []
    assert exit_code(lambda: seen.append(os.environ["OMP_WAIT_POLICY"]) or 0, verbose=False) == 0
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert exit_code(lambda: seen.append(os.environ["OMP_WAIT_POLICY"]) or 0, verbose=False) == 0
    assert seen == ["PASSIVE", "ACTIVE"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize(
    "argv",
    [("search", "--space", "mamba_micro", "--explain"), ("search", "--help"), ("--help",)],
    ids=" ".join,
)
def test_characters_that_a_stream_lacks_are_replaced(argv, encoding, monkeypatch):
    whole = call("-m", "sparx_nas", *argv).stdout
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = call("-m", "sparx_nas", *argv)
    assert (done.returncode, done.stderr) == (0, "")
    if argv == ("search", "--help"):  # its frame is drawn otherwise where lines cannot be
        assert "--gpus-per-trial" in done.stdout
    else:
        assert done.stdout == whole.encode(encoding, "replace").decode(encoding)


NOBODY = """
import os, pwd, sys
from pathlib import Path
os.environ.pop("HOME", None)
def unknown(*_): raise KeyError("no such user")
pwd.getpwuid = unknown
from sparx_nas.command.prompt import exit_code
print(exit_code(lambda: print(Path("~").expanduser()) or 0, verbose=False))
"""


def test_a_command_without_a_home_folder_has_one_for_its_time():
    done = call("-c", NOBODY)
    home, code = done.stdout.splitlines()
    assert code == "0"
    assert "set HOME to keep them" in done.stderr
    assert not Path(home).exists()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(28, "No space left on device", "/x/y"), 5, "cannot write /x/y: the disk is full"),
        (OSError(24, "Too many open files", "/x"), 5, "ulimit -n"),
        (OSError("of a library, without a number"), 1, "[E-BUG]"),
        (ValueError("of ours"), 1, "[E-BUG]"),
    ],
    ids=repr,
)
def test_what_a_machine_refuses_is_no_bug(error, code, said, capsys):
    def command() -> int:
        raise error

    assert exit_code(command, verbose=False) == code
    assert said in capsys.readouterr().err
