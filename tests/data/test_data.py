import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparx_nas.data import DATA_NAMES, DataSet, find_data, open_data
from sparx_nas.data.augment import random_box, random_grid, read_grid
from sparx_nas.data.dividing import Part, _data_id
from sparx_nas.data.source import ArrayPool
from sparx_nas.data.splits import take_stratified
from sparx_nas.ground.errors import DataError, OptionError


def open_digits(**changes) -> DataSet:
    options = {"data_dir": None, "image_size": 16, "seed": 0} | changes
    return open_data("digits", **options)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_digits(with_test=True)


def epoch(data: DataSet, *, seed: int = 0, epoch: int = 0, train: bool = True, split="train"):
    read = list(data.batches(split, 64, seed=seed, epoch=epoch, train=train, device="cpu"))
    return torch.cat([images for images, _ in read]), torch.cat([labels for _, labels in read])


def test_digits_are_all_there_and_split_by_class(digits: DataSet) -> None:
    assert digits.splits == {"train": 1079, "val": 359, "test": 359}
    every = Counter[int]()
    for store in digits.stores.values():
        counts = Counter(store.labels.tolist())
        every += counts
        assert max(counts.values()) - min(counts.values()) <= 6
        assert len(counts) == digits.num_classes == 10
    assert every.total() == 1797


def test_no_image_is_in_two_splits() -> None:
    from sklearn.datasets import load_digits

    scans = load_digits().images
    data = open_digits(image_size=8, with_test=True)
    seen = [image.numpy().tobytes() for store in data.stores.values() for image in store.pixels]
    wanted = [np.rint(scan * 255 / 16).astype(np.uint8).tobytes() for scan in scans]
    assert Counter(seen) == Counter(wanted)


def test_the_same_seed_gives_the_same_splits_and_another_seed_others(digits: DataSet) -> None:
    again = open_digits()
    assert again.data_id == digits.data_id
    assert torch.equal(again.stores["val"].labels, digits.stores["val"].labels)
    assert open_digits(seed=1).data_id != digits.data_id
    assert open_digits(val_fraction=0.3).data_id != digits.data_id


def test_the_identity_does_not_know_the_image_size_but_the_limit(digits: DataSet) -> None:
    assert open_digits(image_size=8).data_id == digits.data_id
    small = open_digits(limit=50)
    assert small.splits == {"train": 50, "val": 50, "test": 359}
    assert set(Counter(small.stores["train"].labels.tolist()).values()) == {5}
    assert small.data_id != digits.data_id


def test_one_pixel_or_one_label_changes_the_identity() -> None:
    pixels, labels = np.zeros((4, 2, 2, 1), np.uint8), np.arange(4)
    one_pixel, one_label = pixels.copy(), labels.copy()
    one_pixel[3, 1, 1, 0], one_label[3] = 1, 0
    pools = [ArrayPool(pixels, labels), ArrayPool(one_pixel, labels), ArrayPool(pixels, one_label)]
    picks = np.arange(2)
    ids = {_data_id({"train": Part(pool, picks), "val": Part(pool, picks + 2)}) for pool in pools}
    pool = pools[0]
    ids.add(_data_id({"train": Part(pool, picks + 2), "val": Part(pool, picks)}))
    assert len(ids) == 4
    assert all(len(name) == 16 for name in ids)


def test_the_test_split_is_out_of_reach_unless_asked_for(digits: DataSet) -> None:
    data = open_digits()
    assert set(data.stores) == {"train", "val"}
    assert data.splits["test"] == 359
    assert data.data_id == digits.data_id
    with pytest.raises(DataError, match="test split of digits is not loaded"):
        next(data.batches("test", 8, seed=0, epoch=0, train=False, device="cpu"))
    images, _ = epoch(digits, split="test", train=False)
    assert len(images) == 359


def test_training_batches_are_decided_by_seed_and_epoch(digits: DataSet) -> None:
    images, labels = epoch(digits)
    torch.rand(3)
    same_images, same_labels = epoch(digits)
    assert torch.equal(images, same_images)
    assert torch.equal(labels, same_labels)
    assert not torch.equal(labels, epoch(digits, epoch=1)[1])
    assert not torch.equal(labels, epoch(digits, seed=1)[1])


def test_batches_are_normalised_and_of_the_right_type(digits: DataSet) -> None:
    images, labels = epoch(digits, train=False)
    assert images.shape == (1079, 1, 16, 16)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    torch.testing.assert_close(images.mean(), torch.tensor(0.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(images.std(), torch.tensor(1.0), atol=1e-3, rtol=0)
    assert torch.equal(labels, digits.stores["train"].labels)


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [
        (1079, [1079]),
        (1078, [1078]),
        (540, [540, 539]),
        (2000, [1079]),
        (500, [500, 500]),
        (2, [2] * 539),
    ],
)
def test_a_small_last_training_batch_is_left_out(digits: DataSet, batch_size, sizes) -> None:
    options = {"seed": 0, "epoch": 0, "device": "cpu"}
    read = digits.batches("train", batch_size, train=True, **options)
    assert [len(labels) for _, labels in read] == sizes
    assert digits.batch_count("train", batch_size, train=True) == len(sizes)
    read = digits.batches("train", batch_size, train=False, **options)
    assert sum(len(labels) for _, labels in read) == 1079


def test_batches_of_one_are_whole_batches() -> None:
    assert open_digits(limit=10).batch_count("train", 1, train=True) == 10


def test_augmentation_never_mirrors_digits(digits: DataSet) -> None:
    assert not digits.flips
    side, reach = 16, 2
    store = digits.stores["train"]
    columns = torch.arange(side, dtype=torch.uint8).expand(len(store.labels), 1, side, side)
    ramp = dataclasses.replace(store, pixels=columns.contiguous())
    data = dataclasses.replace(digits, stores={"train": ramp}, mean=(0.0,), std=(1 / 255,))
    images, _ = epoch(data)
    assert (images.diff(dim=-1) >= 0).all()
    shifts = images[:, 0, 0, side // 2] - side // 2
    assert set(shifts.tolist()) == set(range(-reach, reach + 1))


def test_mirroring_and_shifting_is_what_the_grid_says() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    rng = np.random.default_rng(0)
    rows, columns = random_grid(rng, 500, 16, flip=True)
    moved = read_grid(images, torch.zeros(500, dtype=torch.int64), rows, columns)
    mirrored = (columns.diff(dim=1) <= 0).all(dim=1)
    assert 0.4 < mirrored.float().mean() < 0.6
    assert torch.equal(moved[7, 0], images[0, 0][rows[7]][:, columns[7]])
    assert rows.min() == columns.min() == 0
    assert rows.max() == columns.max() == 15


def test_random_crops_lie_within_the_image() -> None:
    rng = np.random.default_rng(0)
    for width, height in [(1, 1), (640, 427), (10, 1000)]:
        for _ in range(200):
            left, top, right, bottom = random_box(rng, width, height)
            assert 0 <= left < right <= width + 1e-9
            assert 0 <= top < bottom <= height + 1e-9


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=80),
    st.integers(0, 3),
    st.floats(0, 1),
)
def test_stratified_draws_are_disjoint_complete_and_fair(labels, seed, fraction) -> None:
    numbers = np.array(labels, dtype=np.int64)
    count = round(fraction * len(labels))
    drawn, rest = take_stratified(numbers, count, seed=seed, stream=1)
    assert len(drawn) == count
    assert sorted([*drawn, *rest]) == list(range(len(labels)))
    for label, total in Counter(labels).items():
        assert abs((numbers[drawn] == label).sum() - total * count / len(labels)) <= 3


def test_facts_can_be_written_as_json(digits: DataSet) -> None:
    facts = json.loads(json.dumps(digits.describe()))
    assert facts["splits"] == {"train": 1079, "val": 359, "test": 359}
    assert facts["data_id"] == digits.data_id
    assert "seed 0" in facts["rule"]
    assert facts["skipped_count"] == 0


def test_finding_digits_needs_no_folder() -> None:
    found = find_data("digits", None)
    assert found.images == {"all": 1797}
    assert found.data_dir is None


def test_an_unknown_name_is_one_clear_error() -> None:
    with pytest.raises(DataError, match="Did you mean 'fashion_mnist'") as error:
        find_data("fashion_mnits", None)
    assert all(name in error.value.hint for name in DATA_NAMES)


def test_impossible_numbers_are_reported_together() -> None:
    with pytest.raises(OptionError) as error:
        open_digits(image_size=0, seed=-1, val_fraction=1.5, limit=0)
    assert str(error.value).count("\n  - ") == 4


def test_a_val_split_that_takes_everything_is_refused() -> None:
    with pytest.raises(DataError, match="no image is left for the train split"):
        open_digits(val_fraction=0.9)


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10", "cifar100", "folder"])
def test_a_missing_data_set_says_where_it_looked_and_how_to_get_it(name, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        open_data(name, data_dir=tmp_path, image_size=8, seed=0)
    assert str(tmp_path) in str(error.value)
    assert "--data-dir" in error.value.hint
