"""A dry run opens the data and says what they are; what the search refuses it refuses as well."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparx_nas.ground.errors import DataError, NoFeasibleError, SparxError
from sparx_nas.search.__main__ import main
from sparx_nas.search.asked.options import command_line, read_options
from sparx_nas.search.asked.settings import resolve
from sparx_nas.search.running import preparing
from sparx_nas.search.telling import describe
from sparx_nas.search.telling.live import data_lines
from sparx_nas.space import load_space


@pytest.fixture(autouse=True)
def _untimed(monkeypatch):
    """Leave out what takes seconds: steps on this machine, and Ray."""

    def begun(**_):
        raise AssertionError("Ray was started before the mistake was told")

    monkeypatch.setattr(describe, "_places", lambda *_: None)
    monkeypatch.setattr(preparing, "cluster", begun)


def made(root: Path, counts: dict[str, int]) -> Path:
    """Make folders of so many images, no two of them alike."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (9, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def searched(words: tuple[str, ...]) -> SparxError:
    """Return what the search itself says, before it trains or starts anything."""
    options = read_options(command_line(words, "search"))
    space = load_space(options.space)
    with (
        pytest.raises(SparxError) as error,
        preparing.prepared(resolve(options, space), space, None),
    ):
        pass
    return error.value


@pytest.mark.parametrize(
    ("counts", "options", "said"),
    [
        ({"train/a": 5, "train/b": 5, "val/a": 2, "val/c": 2}, (), "'c' is in val/, but not in"),
        ({"train/a": 5, "train/b": 0, "val/a": 2}, (), "class 'b' has no image in train/"),
        ({"train/a": 5, "val/a": 2}, (), "1 class folder, 2 are needed"),
        ({"train/x/a": 5, "train/x/b": 5, "val/x/a": 5}, (), "class 'x' holds a/ and b/"),
        (dict.fromkeys("abcdef", 6), ("--images", "5"), "5 training images leave 1 of 6"),
    ],
)
def test_what_the_search_refuses_the_dry_run_refuses_alike(counts, options, said, tmp_path, capsys):
    root = made(tmp_path / "mine", counts)
    words = ("--space", "mamba_micro", "--data", str(root), "--output", str(tmp_path), *options)
    error = searched(words)
    assert isinstance(error, DataError)
    assert main([*words, "--dry-run"]) == error.exit_code == 5
    told = capsys.readouterr().err
    assert str(error) in told.replace("  [E-DATA]", "")
    assert said in told


def test_limits_that_nothing_keeps_end_search_and_dry_run_before_anything_begins(tmp_path, capsys):
    words = ("--space", "mamba_t", "--constraint", "params<=1M", "--output", str(tmp_path / "runs"))
    error = searched(words)
    assert isinstance(error, NoFeasibleError)
    assert main([*words, "--dry-run"]) == error.exit_code == 3
    out, told = capsys.readouterr()
    assert "params <= 1.00 M (--constraint)" in out
    assert str(error) in told
    assert "params from 20.7 M to" in told


def test_it_counts_classes_channels_and_images_and_says_what_is_left_out(tmp_path, capsys):
    root = made(tmp_path / "mine", {"ant": 25, "bee": 15, "cow": 10})
    (root / "ant" / "notes.txt").write_text("no image")
    (root / "bee" / "cut.png").write_bytes(b"\x89PNG")
    words = ("--space", "mamba_micro", "--data", str(root), "--output", str(tmp_path), "--dry-run")
    assert main(words) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "3 classes, 3 channels; 3" in out
    assert "test is 10 images drawn by seed 0, stratified by class" in out
    assert "ant/notes.txt (.txt is no image format read here)" in out
    assert "2 files left out" in out


def test_the_header_of_a_search_says_how_the_images_were_divided():
    described = {
        "name": "folder",
        "source": "/photos",
        "num_classes": 5,
        "in_chans": 3,
        "splits": {"train": 1200, "val": 400, "test": 400},
        "rule": "test is 400 images drawn by seed 0, stratified by class",
        "notes": ["val has no image of class 'owl'"],
        "skipped_count": 240,
        "skipped": [[f"a/{n}.txt", "no image"] for n in range(99)] + [["b/0.png", "empty file"]],
    }
    lines = data_lines(described)
    assert max(map(len, lines)) <= 80
    told = " ".join(" ".join(lines).split())
    assert "5 classes, 3 channels; 1,200 train, 400 val, 400 test" in told
    assert "drawn by seed 0" in told
    assert "'owl'" in told
    assert "240 files left out: 99 such as a/0.txt (no image); b/0.png (empty file)" in told
