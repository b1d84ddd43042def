"""Images that were moved: a run goes on where the content is the old one, and only there."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparx_nas.command.options import Given
from sparx_nas.data import open_data
from sparx_nas.run_store import create_folder
from sparx_nas.search.__main__ import main
from sparx_nas.search.asked.moved import overlaid
from sparx_nas.search.asked.options import command_line, read_options
from sparx_nas.search.asked.settings import changes, resolve, to_config
from sparx_nas.search.telling import describe
from sparx_nas.space import load_space

SPACE = load_space("mamba_micro")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run on a folder of images, before its first trial; the images were moved since."""
    rng = np.random.default_rng(0)
    for name in ("train/a", "train/b", "val/a", "val/b"):
        (tmp_path / "old" / name).mkdir(parents=True)
        for index in range(6):
            pixels = rng.integers(0, 256, (9, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "old" / name / f"{index}.png")
    place = str(tmp_path / "old")
    words = ("--space", "mamba_micro", "--data", place, "--data-dir", place)
    config = to_config(resolve(read_options(command_line(words, "search")), SPACE), SPACE)
    data = open_data(place, data_dir=None, image_size=8, seed=0).describe()
    path = tmp_path / "runs" / "one"
    create_folder(path, config=config, space_text=SPACE.source_text, env={"data": data})
    (tmp_path / "old").rename(tmp_path / "new")
    return path


def dry(run: Path, *words: str, monkeypatch) -> int:
    monkeypatch.setattr(describe, "_places", lambda *_: None)
    return main(["--resume", str(run), "--dry-run", *words])


@pytest.mark.parametrize("flag", ["--data", "--data-dir"])
def test_a_new_place_is_taken_where_the_content_is_the_same(flag, run, capsys, monkeypatch):
    new = run.parents[1] / "new"
    assert dry(run, flag, str(new), monkeypatch=monkeypatch) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"folder, {new}: 2 classes" in " ".join(out.split())


@pytest.mark.parametrize("flag", ["--data", "--data-dir"])
def test_other_images_are_refused_with_both_hashes(flag, run, capsys, monkeypatch):
    new = run.parents[1] / "new"
    file = new / "train" / "a" / "0.png"
    Image.new("RGB", (12, 9)).save(file)
    assert dry(run, flag, str(new), monkeypatch=monkeypatch) == 4
    assert "the data changed since the run began (hash " in capsys.readouterr().err


def test_without_a_word_the_old_place_is_named_and_the_way_on(run, capsys, monkeypatch):
    assert dry(run, monkeypatch=monkeypatch) == 5
    told = capsys.readouterr().err
    assert str(run.parents[1] / "old") in told
    assert "--data" in told


def test_another_data_set_is_no_new_place(run, capsys):
    assert main(["--resume", str(run), "--data", "digits"]) == 4
    assert "+ data: digits" in capsys.readouterr().err


def test_a_run_writes_down_where_its_images_are_now(run):
    old, new = (str(run.parents[1] / name) for name in ("old", "new"))
    settings = [
        resolve(read_options(command_line(("--data", place), "search")), SPACE)
        for place in (old, new)
    ]
    assert changes(*settings) == []
    assert to_config(settings[1], SPACE)["data"] == new


def given(**values: str) -> dict[str, Given]:
    return {name: Given(name, value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("before", "now", "wanted"),
    [
        ({"data": "/a", "data_dir": "/a"}, {"data": "/b"}, {"data": "/b"}),
        ({"data": "/a", "data_dir": "/a"}, {"data_dir": "/b"}, {"data": "/b"}),
        ({"data": "/a", "data_dir": "/a"}, {"data": "cifar10"}, {"data": "cifar10"}),
        (
            {"data": "cifar10", "data_dir": "/a"},
            {"data_dir": "/b"},
            {"data": "cifar10", "data_dir": "/b"},
        ),
        (
            {"data": "cifar10", "data_dir": "/a"},
            {"data": "cifar10"},
            {"data": "cifar10", "data_dir": "/a"},
        ),
        ({"trials": "3"}, {"data": "/b", "data_dir": "/c"}, {"data": "/b", "data_dir": "/c"}),
    ],
)
def test_data_named_anew_are_not_where_the_old_ones_were(before, now, wanted):
    merged = overlaid(given(**before), given(**now))
    assert {k: g.raw for k, g in merged.items() if k.startswith("data")} == wanted
