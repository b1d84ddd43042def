import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from sparx_nas.data import find_data, open_data
from sparx_nas.data.cifar import FORMATS
from sparx_nas.ground.errors import DataError

EACH = 20


def batch(kind, seed: int) -> dict[bytes, object]:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, (EACH, 3072)).astype(np.uint8)
    labels = [number * kind.num_classes // EACH for number in range(EACH)]
    content = {b"batch_label": b"", b"data": data, b"filenames": [b"a.png"] * EACH}
    if kind.num_classes == 100:
        content[b"coarse_labels"] = [0] * EACH
    return content | {kind.labels: labels}


def files_of(name: str, protocol: int = 2) -> dict[str, bytes]:
    kind = FORMATS[name]
    content: dict[str, object] = {
        file: batch(kind, seed) for seed, file in enumerate((*kind.train, kind.test))
    }
    names = [f"class {number}".encode() for number in range(kind.num_classes)]
    content[kind.meta] = {b"num_cases_per_batch": EACH, kind.names: names}
    return {file: pickle.dumps(value, protocol) for file, value in content.items()}


def extracted(name: str, folder: Path, files: dict[str, bytes]) -> Path:
    place = folder / FORMATS[name].folder
    place.mkdir()
    for file, content in files.items():
        (place / file).write_bytes(content)
    return place


def packed(name: str, folder: Path, files: dict[str, bytes]) -> Path:
    place = folder / FORMATS[name].archive
    with tarfile.open(place, "w:gz") as archive:
        for file, content in files.items():
            member = tarfile.TarInfo(f"{FORMATS[name].folder}/{file}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return place


def opened(name: str, place: Path, **options):
    return open_data(name, data_dir=place, image_size=32, seed=0, **options)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("form", [packed, extracted])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_both_sets_in_both_forms(tmp_path: Path, name: str, form, protocol: int) -> None:
    files = files_of(name, protocol)
    place = form(name, tmp_path, files)
    assert find_data(name, tmp_path).data_dir == place
    data = opened(name, tmp_path, with_test=True)
    total = EACH * len(FORMATS[name].train)
    assert data.splits == {"train": total - total // 5, "val": total // 5, "test": EACH}
    assert data.classes[3] == "class 3"
    assert (data.num_classes, data.in_chans, data.flips) == (FORMATS[name].num_classes, 3, True)
    assert opened(name, place).data_id == data.data_id
    stored = batch(FORMATS[name], len(FORMATS[name].train))
    pixels = np.asarray(stored[b"data"]).reshape(-1, 3, 32, 32)
    assert np.array_equal(data.stores["test"].pixels.numpy(), pixels)
    assert data.stores["test"].labels.tolist() == stored[FORMATS[name].labels]


def test_pickles_as_python_2_wrote_them(tmp_path: Path) -> None:
    # A string of Python 2 and numpy's old module names, as in the official files.
    data = np.arange(3072, dtype=np.uint8)[None]
    text = (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
        b"\x87R(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ"
        b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00" + data.tobytes() + b"tb"
        b"U\x06labels]K\x07au."
    )
    files = files_of("cifar10") | {"test_batch": text}
    extracted("cifar10", tmp_path, files)
    store = opened("cifar10", tmp_path, with_test=True).stores["test"]
    assert store.labels.tolist() == [7]
    assert store.pixels.flatten().tolist() == data[0].tolist()


class Attack:
    def __reduce__(self):
        return os.system, ("touch cracked",)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_batch_cannot_run_code(tmp_path: Path, name: str, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    kind = FORMATS[name]
    files = files_of(name) | {kind.test: pickle.dumps({b"data": Attack()})}
    packed(name, tmp_path, files)
    with pytest.raises(DataError, match=r"asks for posix\.system"):
        opened(name, tmp_path)
    assert not Path("cracked").exists()


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    files = files_of("cifar100") | {"test": pickle.dumps({b"data": np.array([{}])})}
    extracted("cifar100", tmp_path, files)
    with pytest.raises(DataError, match="not of bytes"):
        opened("cifar100", tmp_path)


def test_every_damaged_batch_is_reported_at_once(tmp_path: Path) -> None:
    files = files_of("cifar10")
    del files["data_batch_1"]
    files["data_batch_2"] = files["data_batch_2"][:1000]
    files["data_batch_3"] = pickle.dumps({b"data": np.zeros((2, 10), np.uint8), b"labels": [0, 1]})
    files["data_batch_4"] = pickle.dumps([1, 2])
    files["data_batch_5"] = pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]})
    files["test_batch"] = b""
    files["batches.meta"] = pickle.dumps({b"label_names": [b"one"]})
    extracted("cifar10", tmp_path, files)
    with pytest.raises(DataError) as error:
        opened("cifar10", tmp_path)
    text = str(error.value)
    assert "7 mistakes" in text
    assert "data_batch_1 is missing" in text
    assert "data_batch_2: no whole batch in its 1000 bytes" in text
    assert "data_batch_3: data is uint8 (2, 10) for 2 labels" in text
    assert "data_batch_4: holds a list" in text
    assert "data_batch_5: label 10 is not in 0..9" in text
    assert "test_batch: no whole batch in its 0 bytes" in text
    assert "batches.meta: b'label_names' does not list 10 names" in text
    assert "cifar-10-python.tar.gz" in error.value.hint


@pytest.mark.parametrize("keep", [0, 100, -2000])
def test_a_truncated_archive(tmp_path: Path, keep: int) -> None:
    place = packed("cifar10", tmp_path, files_of("cifar10"))
    place.write_bytes(place.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz: not a whole archive"):
        opened("cifar10", place)
