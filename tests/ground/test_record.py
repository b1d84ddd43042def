"""Canonical bytes, ids, and files that are never half written."""

import os
import subprocess
import sys

import pytest

from sparx_nas.ground.errors import DataError, SparxError, did_you_mean
from sparx_nas.ground.record import (
    canonical_bytes,
    content_id,
    read_json,
    write_bytes,
    write_json,
    write_text,
)


def test_one_value_has_one_spelling():
    assert canonical_bytes({"b": [1, 2.5, None], "a": "ä"}) == '{"a":"ä","b":[1,2.5,null]}'.encode()
    assert canonical_bytes({"a": 1, "b": (2,)}) == canonical_bytes({"b": [2], "a": 1})


def test_an_id_is_sixteen_hex_digits_of_sha256():
    assert content_id([]) == "4f53cda18c2baa0c"
    ids = {content_id(value) for value in ([], {}, "", 0, None, [[]], ["a"], "a", {"a": 1})}
    assert len(ids) == 9
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in ids)


def test_json_comes_back_as_it_was(tmp_path):
    value = {"name": "ä ö 1", "rows": [[1, 2.5], []], "none": None}
    path = tmp_path / "deep" / "er" / "x.json"
    write_json(path, value)
    assert read_json(path) == value
    assert path.read_text().endswith("}\n")
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "x.txt"
    write_text(path, "old")
    before = path.open()
    write_text(path, "new")
    assert before.read() == "old"
    before.close()
    assert path.read_text() == "new"


def test_a_writer_that_dies_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.bin"
    write_bytes(path, b"old")
    script = (
        "import os, sys, pathlib\n"
        "import sparx_nas.ground.record as record\n"
        "os.fsync = lambda _: os._exit(9)\n"
        "record.write_bytes(pathlib.Path(sys.argv[1]), b'new' * 1000)\n"
    )
    died = subprocess.run([sys.executable, "-c", script, path], check=False)
    assert died.returncode == 9
    assert path.read_bytes() == b"old"
    write_bytes(path, b"newer")
    assert path.read_bytes() == b"newer"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_files_are_readable_as_any_other(tmp_path):
    write_text(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_what_cannot_be_read_is_named_with_its_line(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(DataError, match=r"cannot read .*x\.json: No such file"):
        read_json(path, DataError)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SparxError, match="not a text file"):
        read_json(path)
    path.write_text('{"a": 1,\n "b": }\n')
    with pytest.raises(SparxError, match=r"x\.json:2: not valid JSON"):
        read_json(path)


def test_mistakes_are_joined_under_their_place():
    assert str(SparxError.of("here", ["one"])) == "here: one"
    assert str(SparxError.of("here", ["one", "two"])) == "here: 2 mistakes\n  - one\n  - two"
    error = DataError.of("here", ["one"], hint="look there")
    assert isinstance(error, DataError)
    assert (error.hint, error.exit_code, error.code) == ("look there", 5, "E-DATA")


def test_near_words_are_offered_and_others_not():
    assert did_you_mean("widht", ["width", "depth"]) == " Did you mean 'width'?"
    assert did_you_mean("xyz", ["width", "depth"]) == ""
