"""What the machine refuses is told with its place, and leaves nothing half-written."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparx_nas.ground.errors import MachineError
from sparx_nas.ground.machine import refusal, writing
from sparx_nas.ground.record import append_line, write_bytes
from support.machine import full_after

ALL = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EMFILE),
    *(errno.ENOENT, errno.EIO, errno.ESTALE),
)


@pytest.mark.parametrize("number", ALL, ids=lambda n: errno.errorcode[n])
def test_every_refusal_names_the_file_and_a_fix(number, tmp_path):
    told = refusal(OSError(number, os.strerror(number)), tmp_path / "run" / "curves.jsonl")
    assert str(tmp_path / "run" / "curves.jsonl") in str(told)
    assert told.hint
    assert told.exit_code == 5


def test_a_full_disk_is_named_with_what_is_free(tmp_path):
    told = str(refusal(OSError(errno.ENOSPC, "x", str(tmp_path / "not" / "there"))))
    mount = next(place for place in (tmp_path, *tmp_path.parents) if place.is_mount())
    assert f"the disk is full; it is on {mount}, " in told
    assert "B free" in told


def test_an_error_that_names_its_file_keeps_it(tmp_path):
    with pytest.raises(MachineError, match="other"), writing(tmp_path / "this"):
        (tmp_path / "none" / "other").write_text("")


@pytest.mark.parametrize("room", [0, 1, 700])
def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path, monkeypatch, room):
    path = tmp_path / "model.safetensors"
    write_bytes(path, b"old" * 100)
    full_after(monkeypatch, room)
    with pytest.raises(MachineError, match=r"cannot write .*model\.safetensors: the disk is full"):
        write_bytes(path, b"new" * 1000)
    monkeypatch.undo()
    assert path.read_bytes() == b"old" * 100
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


LIMITED = """
import resource, sys
from pathlib import Path
from sparx_nas.ground.errors import MachineError
from sparx_nas.ground.record import append_line
path, room = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
try:
    append_line(path, b"b" * 40, whole=20, durable=True)
except MachineError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [20, 21, 59])
def test_a_line_that_does_not_fit_leaves_nothing_of_it(tmp_path, room):
    path = tmp_path / "curves.jsonl"
    append_line(path, b"a" * 20, whole=0, durable=False)
    words = [sys.executable, "-c", LIMITED, str(path), str(room)]
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=True)
    assert f"cannot write {path}" in done.stdout
    assert path.read_bytes() == b"a" * 20
    append_line(path, b"c" * 5, whole=20, durable=True)
    assert path.read_bytes() == b"a" * 20 + b"c" * 5
