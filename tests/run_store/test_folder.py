import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

import sparx_nas
from sparx_nas.ground.errors import RunError
from sparx_nas.run_store import (
    beating,
    create_folder,
    default_storage,
    environment,
    is_alive,
    read_config,
    read_space_text,
    read_status,
    status,
    study_name,
    write_status,
)
from sparx_nas.run_store.environment import masked
from sparx_nas.run_store.folder import read_target, storage_of
from sparx_nas.space import parse_space
from support import runs
from support.patience import PATIENCE_S


def test_a_new_folder_says_what_it_was_made_with(tmp_path):
    path = runs.new_run(tmp_path / "runs")
    assert read_config(path) == runs.CONFIG
    assert parse_space(read_space_text(path), "space.yaml").name == runs.SPACE.name
    assert read_space_text(path) == runs.SPACE.source_text
    assert json.loads((path / "env.json").read_text())["data"] == runs.ENV["data"]
    assert read_status(path)["state"] == "running"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_existing_folder_is_never_touched(tmp_path):
    path = runs.new_run(tmp_path)
    before = {file: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(RunError, match="exists") as caught:
        runs.new_run(tmp_path)
    assert caught.value.exit_code == 4
    assert "--resume" in caught.value.hint
    assert {file: file.read_bytes() for file in path.iterdir()} == before
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="exists"):
        runs.new_run(tmp_path, "empty")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot make") as caught:
        runs.new_run(tmp_path / "file")
    assert "--output" in caught.value.hint
    with pytest.raises(yaml.YAMLError, match="represent"):
        create_folder(tmp_path / "odd", config={"x": object()}, space_text="", env={})
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_no_run_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs.new_run(tmp_path / "runs", "micro-20250301")
    with pytest.raises(RunError, match="Did you mean 'micro-20250301'"):
        read_config(tmp_path / "runs" / "micro-20250302")
    with pytest.raises(RunError, match="Did you mean 'micro-20250301'") as caught:
        read_space_text(Path("micro-20250301"))
    assert "runs in runs: micro-20250301" in caught.value.hint
    with pytest.raises(RunError, match=r"not a run: config\.yaml is missing"):
        read_config(tmp_path)
    (tmp_path / "notes").write_text("")
    with pytest.raises(RunError, match="is a file"):
        read_config(tmp_path / "notes")


def test_a_broken_configuration_is_named_with_its_line(tmp_path):
    path = runs.new_run(tmp_path)
    (path / "config.yaml").write_text("space: a\nlr: [1,\n")
    with pytest.raises(RunError, match=r"config\.yaml:3"):
        read_config(path)
    (path / "config.yaml").write_text("nothing")
    with pytest.raises(RunError, match="no options"):
        read_config(path)
    (path / "config.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(RunError, match="not a text file"):
        read_config(path)


def test_a_renamed_folder_keeps_its_study(tmp_path):
    path = runs.new_run(tmp_path, "before")
    path.rename(tmp_path / "after")
    assert study_name(tmp_path / "after") == "before"
    assert default_storage(tmp_path / "after").endswith("/after/study.db")
    assert storage_of(path, {"storage": "sqlite:///x.db"}) == "sqlite:///x.db"


def test_the_environment_is_json_and_hides_secrets(monkeypatch):
    secret = ["search", "--storage", "mysql://me:secret@host/db", f"{Path.home()}/x"]
    monkeypatch.setattr(sys, "argv", secret)
    env = environment(runs.ENV["data"], "cpu, 2 cores")
    text = json.dumps(env)
    assert "secret" not in text
    assert str(Path.home()) + "/x" not in env["command"]
    assert env["data"] == runs.ENV["data"]
    assert env["versions"]["optuna"]
    assert env["python"] == ".".join(map(str, sys.version_info[:3]))
    assert env["memory_bytes"] > 2**28
    assert env["git"] is None or re.fullmatch("[0-9a-f]{40}", env["git"]["commit"])
    assert masked("no address") == "no address"


def test_the_status_keeps_what_is_not_said_again(tmp_path):
    path = runs.new_run(tmp_path)
    write_status(path, state="running", trained=3, asked=16)
    first = read_status(path)
    write_status(path, state="exhausted", trained=4, message="no more")
    said = read_status(path)
    assert (said["state"], said["trained"], said["asked"]) == ("exhausted", 4, 16)
    assert said["started"] == first["started"]
    assert said["pid"] == os.getpid()
    assert said["message"] == "no more"


WRITER = """
import sys, time
from pathlib import Path
from sparx_nas.run_store import write_status
write_status(Path(sys.argv[1]), state="running", trained=1, asked=2)
print("written", flush=True)
time.sleep(60)
"""


def test_only_a_living_process_drives_a_run(tmp_path):
    path = runs.new_run(tmp_path)
    assert not is_alive(path)
    root = Path(sparx_nas.__file__).parents[1]
    command = [sys.executable, "-c", WRITER, str(path)]
    env = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as other:
        assert other.stdout.readline() == b"written\n"
        assert is_alive(path)
        assert read_status(path)["state"] == "running"
        other.kill()
        other.wait()
    assert not is_alive(path)
    assert read_status(path)["state"] == "interrupted"
    write_status(path, state="running")
    assert read_status(path)["state"] == "running"


def edited(path, **fields):
    """Change the status as another process would have written it."""
    status = json.loads((path / "status.json").read_text())
    (path / "status.json").write_text(json.dumps(status | fields))


def test_another_process_under_the_same_number_is_not_the_driver(tmp_path):
    path = runs.new_run(tmp_path)
    parent = psutil.Process(os.getppid())
    edited(path, pid=parent.pid, process_started=parent.create_time())
    assert is_alive(path)
    edited(path, process_started=parent.create_time() - 60)
    assert not is_alive(path)


def test_a_clock_that_was_set_hides_no_driver(tmp_path):
    path = runs.new_run(tmp_path)
    parent = psutil.Process(os.getppid())
    stat = Path(f"/proc/{parent.pid}/stat")
    if not stat.exists():
        pytest.skip("ticks since the boot are read from /proc")
    ticks = int(stat.read_text().rpartition(")")[2].split()[19])
    far = {"process_started": parent.create_time() - 86_400, "updated": "2125-03-01T10:15:00+00:00"}
    edited(path, pid=parent.pid, process_ticks=ticks, **far)
    assert is_alive(path)
    edited(path, process_ticks=ticks - 1)
    assert not is_alive(path)


def test_a_container_of_the_same_name_is_another_machine(tmp_path):
    path = runs.new_run(tmp_path)
    edited(path, machine="another boot pid:[1]", pid=os.getpid())
    assert is_alive(path)
    edited(path, updated="2025-03-01T10:15:00+00:00")
    assert read_status(path)["state"] == "interrupted"


def test_a_driver_shows_that_it_lives(tmp_path, monkeypatch):
    path = runs.new_run(tmp_path)
    write_status(path, state="running", trained=3)
    edited(path, updated="2025-03-01T10:15:00+00:00")
    monkeypatch.setattr(status, "BEAT_S", 0.01)
    with beating(path):
        end = time.monotonic() + PATIENCE_S
        while read_status(path)["updated"].startswith("2025-03"):
            assert time.monotonic() < end
            time.sleep(0.01)
    assert read_status(path)["trained"] == 3
    shutil.rmtree(path)
    with beating(path):
        time.sleep(0.1)
    assert not path.exists()


def test_a_run_on_another_host_lives_while_its_status_is_fresh(tmp_path):
    path = runs.new_run(tmp_path)
    edited(path, host="elsewhere.example")
    assert is_alive(path)
    assert read_status(path)["state"] == "running"
    for other in ("2025-03-01T10:15:00+00:00", "2125-03-01T10:15:00+00:00", None, "soon"):
        edited(path, updated=other)
        assert not is_alive(path)
        assert read_status(path)["state"] == "interrupted"
    (path / "status.json").unlink()
    assert read_status(path)["state"] == "interrupted"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("target: {image_size: 96, num_classes: 5}", (96, 5, 3)),
        ("name: none of it", (224, 1000, 3)),
        ("target: {image_size: wide}", None),
        ("target: {side: 96}", None),
        ("- a list", None),
    ],
)
def test_the_target_of_a_run_is_that_of_its_space(tmp_path, said, found):
    create_folder(tmp_path / "run", config={}, space_text=said, env={})
    if found is None:
        with pytest.raises(RunError, match=r"space\.yaml: target holds image_size"):
            read_target(tmp_path / "run")
        return
    target = read_target(tmp_path / "run")
    assert (target["image_size"], target["num_classes"], target["in_chans"]) == found
