import gzip
from pathlib import Path

import numpy as np
import pytest

from sparx_nas.data import find_data, open_data
from sparx_nas.data.fashion_mnist import DEFAULTS
from sparx_nas.ground.errors import DataError

NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def idx(array: np.ndarray) -> bytes:
    sizes = np.array(array.shape, dtype=">u4").tobytes()
    return bytes((0, 0, 8, array.ndim)) + sizes + array.astype(np.uint8).tobytes()


def made(folder: Path, *, packed: bool = True, train: int = 60, test: int = 20) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28))
        for name, content in (
            (f"{part}-images-idx3-ubyte", idx(images)),
            (f"{part}-labels-idx1-ubyte", idx(np.arange(count) % 10)),
        ):
            file = folder / (name + ".gz" * packed)
            file.write_bytes(gzip.compress(content) if packed else content)
    return folder


def opened(folder: Path, **options):
    return open_data("fashion_mnist", data_dir=folder, image_size=28, seed=0, **options)


def test_the_real_files() -> None:
    if not DEFAULTS[0].is_dir():
        pytest.skip("needs Fashion-MNIST: apt-get install dataset-fashion-mnist")
    found = find_data("fashion_mnist", None)
    assert found.images == {"train": 60_000, "test": 10_000}
    data = open_data(
        "fashion_mnist", data_dir=found.data_dir, image_size=28, seed=0, limit=2000, with_test=True
    )
    assert data.splits == {"train": 2000, "val": 2000, "test": 10_000}
    assert data.flips
    # Published statistics of the 60,000 train images are 0.2860 and 0.3530.
    assert data.mean[0] == pytest.approx(0.286, abs=0.01)
    assert data.std[0] == pytest.approx(0.353, abs=0.01)
    for split, store in data.stores.items():
        assert store.labels.bincount().tolist() == [data.splits[split] // 10] * 10


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("layout", ["", "fashion-mnist", "FashionMNIST/raw"])
def test_layouts(tmp_path: Path, packed: bool, layout: str) -> None:
    made(tmp_path / layout, packed=packed)
    found = find_data("fashion_mnist", tmp_path)
    assert found.images == {"train": 60, "test": 20}
    assert found.data_dir == tmp_path / layout
    data = opened(tmp_path, with_test=True)
    assert data.splits == {"train": 48, "val": 12, "test": 20}
    again = opened(found.data_dir)
    assert again.data_id == data.data_id


def test_images_come_through_unchanged(tmp_path: Path) -> None:
    made(tmp_path)
    stored = np.random.default_rng(0).integers(0, 256, (60, 28, 28)).astype(np.uint8)
    data = opened(tmp_path)
    seen = [image for split in ("train", "val") for image in data.stores[split].pixels.numpy()]
    assert sorted(i.tobytes() for i in seen) == sorted(i.tobytes() for i in stored)


def test_the_identity_covers_a_test_split_that_is_not_loaded(tmp_path: Path) -> None:
    before = opened(made(tmp_path)).data_id
    file = tmp_path / "t10k-images-idx3-ubyte.gz"
    content = bytearray(gzip.decompress(file.read_bytes()))
    content[-1] ^= 1
    file.write_bytes(gzip.compress(bytes(content)))
    assert opened(tmp_path).data_id != before


def test_every_damage_is_reported_at_once(tmp_path: Path) -> None:
    made(tmp_path)
    files = [tmp_path / f"{name}-ubyte.gz" for name in NAMES]
    files[0].write_bytes(files[0].read_bytes()[:-500])
    files[1].write_bytes(gzip.compress(idx(np.zeros((60, 2)))))
    files[2].write_bytes(gzip.compress(gzip.decompress(files[2].read_bytes())[:-1]))
    files[3].write_bytes(b"not gzip")
    with pytest.raises(DataError) as error:
        opened(tmp_path)
    text = str(error.value)
    assert "4 mistakes" in text
    assert "train-images-idx3-ubyte.gz: the gzip stream ends early" in text
    assert "starts with 00000802, expected 00000801" in text
    assert "15679 bytes after the header, which says 20 x 28 x 28 = 15680" in text
    assert "t10k-labels-idx1-ubyte.gz: Not a gzipped file" in text


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.arange(59) % 10, "60 images, but 59 labels"), (np.full(60, 10), "label 10")],
)
def test_labels_that_do_not_fit(tmp_path: Path, labels, message: str) -> None:
    made(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(DataError, match=message):
        opened(tmp_path)


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    made(tmp_path, packed=False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes, shorter than an IDX header"):
        opened(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz is missing"):
        opened(tmp_path)
