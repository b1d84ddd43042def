import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparx_nas.data import find_data, open_data, timm_data
from sparx_nas.ground.errors import DataError


def made(root: Path, parts=("train", "validation")) -> Path:
    rng = np.random.default_rng(0)
    for part in parts:
        for name in ("ant", "bee"):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(10):
                pixels = rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


def opened(name: str, root: Path, **options):
    return open_data(name, **{"data_dir": root, "image_size": 16, "seed": 0} | options)


@pytest.mark.parametrize("name", ["timm:torch/image_folder", "timm:imagenet"])
def test_folders_through_timm(tmp_path: Path, name: str) -> None:
    made(tmp_path)
    assert find_data(name, tmp_path).images == {"train": 20, "test": 20}
    (tmp_path / "train" / "ant" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    data = opened(name, tmp_path, with_test=True)
    assert data.splits["train"] + data.splits["val"] == 20
    assert data.splits["test"] == 20
    assert data.classes == ("ant", "bee")
    assert [skip.path for skip in data.skipped] == ["ant/cut.png"]
    Image.new("RGB", (20, 20)).save(tmp_path / "validation" / "ant" / "0.png")
    assert opened(name, tmp_path).data_id != data.data_id


def test_a_torchvision_set_through_timm(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 30), ("t10k", 10)):
        sizes = np.array([count, 28, 28], dtype=">u4").tobytes()
        images = bytes((0, 0, 8, 3)) + sizes + bytes(count * 28 * 28)
        labels = bytes((0, 0, 8, 1)) + sizes[:4] + bytes(n % 10 for n in range(count))
        for name, content in (("images-idx3", images), ("labels-idx1", labels)):
            (folder / f"{part}-{name}-ubyte").write_bytes(content)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(content))
    data = opened("timm:torch/fashion_mnist", tmp_path, with_test=True)
    assert data.splits == {"train": 24, "val": 6, "test": 10}
    assert data.classes[9] == "Ankle boot"
    assert data.in_chans == 3


def test_train_and_validation_must_not_be_the_same_files(tmp_path: Path) -> None:
    made(tmp_path, ("all",))
    with pytest.raises(DataError, match="train and validation share 20 files"):
        opened("timm:imagenet", tmp_path / "all")


def test_what_timm_cannot_open_is_one_error(tmp_path: Path) -> None:
    for name in ("timm:torch/cifar10", "timm:torch/nonsense", "timm:imagenet"):
        with pytest.raises(DataError, match="timm cannot open it") as error:
            opened(name, tmp_path)
        assert str(tmp_path) in str(error.value)


def test_other_classes_in_validation_are_refused(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "validation" / "bee").rename(tmp_path / "validation" / "cat")
    with pytest.raises(DataError, match="do not have the same classes"):
        opened("timm:torch/image_folder", tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm:nonsense", "downloads nothing"),
        ("timm:torch/cifar10", "downloads nothing"),
        ("timm:tfds/cifar10", "only streams tfds/ data"),
        ("timm:WDS/x", "only streams wds/ data"),
        ("timm:", "names no data set"),
        ("timm:torch/", "names no data set"),
        ("timm:hfds/x", "the package datasets, which is not installed"),
    ],
)
def test_what_cannot_be_had_is_said_before_timm_is_asked(name: str, said: str, monkeypatch) -> None:
    monkeypatch.setattr(timm_data, "prepare_timm", lambda: pytest.fail("timm was loaded"))
    monkeypatch.setattr(timm_data.importlib.util, "find_spec", lambda _: None)
    for call in (find_data, lambda *place: opened(place[0], place[1])):
        with pytest.raises(DataError, match=said) as error:
            call(name, None)
        assert "Error" not in str(error.value)
        assert error.value.hint


def test_a_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*gone"):
        opened("timm:imagenet", tmp_path / "gone")
