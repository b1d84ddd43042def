"""Which process reads which image, how it is augmented, and how images are mixed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sparx_nas.architecture.network import Preprocessing
from sparx_nas.data.source import ArrayPool
from sparx_nas.ground.errors import OptionError
from sparx_nas.train.pipeline import Reading, check_shares, epoch_keys, picture, share
from sparx_nas.train.transforms import Mixing, judging_transform, training_transform
from support.train_jobs import job

STRONG = {"auto_augment": "rand-m9-mstd0.5-inc1", "erase": 0.5, "flip": 0.5, "crop_scale": "0.2,1"}


@pytest.mark.parametrize("size", [2, 3, 8, 13, 16])
@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_partners_stay_together_and_nobody_is_lost(size: int, parts: int):
    batch = np.arange(100, 100 + size)
    found = [share(batch, part, parts) for part in range(parts)]
    assert sorted(np.concatenate(found)) == batch.tolist()
    for one in found:
        partners = {100 + size - 1 - (i - 100) for i in one}
        assert partners == set(one)
        assert [100 + size - 1 - (i - 100) for i in one] == one[::-1].tolist()


@pytest.mark.parametrize(
    ("images", "accumulate", "processes"), [(4, 1, 3), (8, 4, 2), (15, 3, 3), (2, 1, 2)]
)
def test_a_process_without_an_image_is_refused(
    tmp_path: Path, images: int, accumulate: int, processes: int
):
    recipe = job(tmp_path, batch_size=images, accumulate=accumulate).recipe
    with pytest.raises(OptionError, match=f"{processes} processes, {accumulate} passes each"):
        check_shares(recipe, processes)
    enough = 2 * accumulate * processes
    recipe = job(tmp_path, batch_size=enough, accumulate=accumulate).recipe
    check_shares(recipe, processes)
    keys = [epoch_keys(64, recipe, 0, rank=rank, size=processes) for rank in range(processes)]
    assert all(len(positions) for of_one in keys for _, positions in of_one)


@pytest.mark.parametrize(("size", "accumulate"), [(1, 1), (2, 1), (3, 2)])
def test_processes_share_every_step_whole(tmp_path: Path, size: int, accumulate: int):
    recipe = job(tmp_path, batch_size=15, accumulate=accumulate).recipe
    alone = epoch_keys(64, recipe, 3, rank=0, size=1)
    together = [epoch_keys(64, recipe, 3, rank=rank, size=size) for rank in range(size)]
    assert len(alone) == 4 * accumulate
    for number, (_, whole) in enumerate(alone):
        parts = np.concatenate([keys[number][1] for keys in together])
        assert sorted(parts) == sorted(whole)
    everyone = np.concatenate([positions for _, positions in alone])
    assert len(set(everyone)) == 60 == len(everyone)
    assert [list(p) for _, p in epoch_keys(64, recipe, 4, rank=0, size=1)] != [
        list(p) for _, p in alone
    ]


def test_an_image_is_augmented_by_seed_epoch_and_number_alone(tmp_path: Path):
    small = job(tmp_path, **STRONG)
    part = small.divided.parts["train"]
    reading = Reading(part, training_transform(small.recipe, small.facts), seed=0)
    together = reading[(5, np.array([3, 9, 4]))].images
    torch.rand(3)
    np.random.rand(2)
    assert torch.equal(reading[(5, np.array([4, 3]))].images, together[[2, 0]])
    assert not torch.equal(reading[(6, np.array([3]))].images[0], together[0])
    other = Reading(part, training_transform(small.recipe, small.facts), seed=1)
    assert not torch.equal(other[(5, np.array([3]))].images[0], together[0])


@pytest.mark.parametrize("policy", ["rand-m9-mstd0.5-inc1", "augmix-m5-w4-d2", "3a", "original"])
@pytest.mark.parametrize("channels", [1, 3])
def test_policies_take_grey_and_coloured_images(tmp_path: Path, policy: str, channels: int):
    recipe = job(tmp_path, auto_augment=policy).recipe
    means = (0.4, 0.5, 0.6)[:channels]
    facts = Preprocessing(image_size=(12, 12), mean=means, std=(0.2,) * channels)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 14, 14, channels), dtype=np.uint8)
    pool = ArrayPool(pixels, np.zeros(20, dtype=np.int64))
    reading = Reading((pool, np.arange(20)), training_transform(recipe, facts), seed=0)
    batch = reading[(0, np.arange(20))]
    assert not batch.broken
    assert batch.images.shape == (20, channels, 12, 12)


def test_a_judged_image_is_its_central_crop_normalised():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 10, 10, 1), dtype=np.uint8)
    facts = Preprocessing(image_size=(8, 8), mean=(0.5,), std=(0.25,), crop_pct=0.8)
    found = judging_transform(facts)(picture(ArrayPool(pixels, np.zeros(1, dtype=np.int64)), 0))
    expected = (torch.from_numpy(pixels[0, 1:9, 1:9, 0]) / 255 - 0.5) / 0.25
    torch.testing.assert_close(found, expected[None])


@pytest.mark.parametrize("fields", [{"mixup": 0.8}, {"cutmix": 1}, {"mixup": 0.8, "cutmix": 1}])
def test_parts_of_a_batch_mix_as_the_whole(tmp_path: Path, fields: dict):
    recipe = job(tmp_path, **fields).recipe
    mixing = Mixing(recipe, 10)
    x, labels = torch.rand(13, 1, 8, 8), torch.arange(13) % 10
    for step in range(4):
        whole, targets = mixing(x.clone(), labels, epoch=2, step=step)
        assert whole.shape == x.shape
        torch.testing.assert_close(targets.sum(1), torch.ones(13))
        for part in range(3):
            mine = torch.from_numpy(share(np.arange(13), part, 3))
            found = mixing(x[mine].clone(), labels[mine], epoch=2, step=step)
            torch.testing.assert_close(found[0], whole[mine])
            torch.testing.assert_close(found[1], targets[mine])
        torch.testing.assert_close(whole[6], x[6])
    assert not torch.equal(whole, x)


def test_without_mixing_targets_are_smoothed_labels(tmp_path: Path):
    recipe = job(tmp_path, smoothing=0.1).recipe
    x, targets = Mixing(recipe, 10)(torch.ones(2, 1, 2, 2), torch.tensor([3, 4]), epoch=0, step=0)
    assert torch.equal(x, torch.ones(2, 1, 2, 2))
    assert targets[0, 3] == pytest.approx(0.91)
    assert targets[0, 4] == pytest.approx(0.01)
