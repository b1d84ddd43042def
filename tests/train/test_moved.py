"""A training goes on with images that were moved, and not with others."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparx_nas.ground.errors import RunError
from sparx_nas.train.job import Job, prepare_again, read_env
from sparx_nas.train.options import read_options
from sparx_nas.train.result import create_folder, remember_place
from support.train_jobs import job

RECIPE = {"recipe": "digits", "name": "one"}


@pytest.fixture
def begun(tmp_path: Path) -> Job:
    """A training on a folder of class folders, written down; the images were moved since."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "old" / name).mkdir(parents=True)
        for index in range(30):
            pixels = rng.integers(0, 256, (9, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "old" / name / f"{index}.png")
    found = job(tmp_path, data=tmp_path / "old", **RECIPE)
    create_folder(found, device="cpu", processes=1)
    (tmp_path / "old").rename(tmp_path / "new")
    return found


def again(begun: Job, *words: str) -> Job:
    return prepare_again(read_options(("--resume", str(begun.path), *words), "train"))


@pytest.mark.parametrize("flag", ["--data", "--data-dir"])
def test_a_new_place_is_taken_and_written_down(flag, begun):
    assert "stratified by class" in read_env(begun.path)["data"]["rule"]
    new = begun.path.parent / "new"
    found = again(begun, flag, str(new))
    assert found.divided.data_id == begun.divided.data_id
    remember_place(found)
    assert again(begun).asked["data"] == str(new)


@pytest.mark.parametrize("flag", ["--data", "--data-dir"])
def test_other_images_are_refused(flag, begun):
    new = begun.path.parent / "new"
    Image.new("RGB", (12, 9)).save(new / "a" / "0.png")
    with pytest.raises(RunError, match="the data changed since the training began"):
        again(begun, flag, str(new))


def test_another_data_set_is_no_new_place(begun):
    with pytest.raises(RunError, match=r"\+ data: cifar10"):
        again(begun, "--data", "cifar10")
