"""How long a training is said to take."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sparx_nas.train.describe import cost_of
from sparx_nas.train.pace import Pace, measure, seconds, step_size, time_words
from sparx_nas.train.processes import World
from support.train_jobs import ONE, job

PACE = Pace(train_s=0.01, read_s=0.02, images=16)


def test_time_is_counted_for_every_epoch_and_what_judges_it(tmp_path: Path):
    plain = {"ema": 0, "ema_warmup": "false"}
    known = job(tmp_path, **plain)  # 4 steps of 16 images, 2 epochs, no average, no statistics
    val = known.images("val")
    alone = seconds(known, PACE, 4, workers=0)
    assert alone == pytest.approx(2 * (64 * 0.03 + val * (0.01 / 3 + 0.02)))
    assert seconds(job(tmp_path, epochs=20, **plain), PACE, 4, workers=0) == pytest.approx(
        10 * alone
    )
    for asked, taken in ((48, 48), (1024, 64)):
        more = job(tmp_path, statistics_images=asked, ema=0.9)
        extra = (val + 2 * taken) * 0.01 / 3 + taken * 0.02
        assert seconds(more, PACE, 4, workers=0) - alone == pytest.approx(2 * extra)
    frozen = job(tmp_path, statistics_images=48, batch_norm="frozen", **plain)
    assert seconds(frozen, PACE, 4, workers=0) == pytest.approx(alone)
    reading = seconds(known, PACE, 4, workers=1)
    assert reading == pytest.approx(2 * 0.02 * (64 + val))
    assert seconds(known, PACE, 4, workers=50) == pytest.approx(2 * 0.01 * (64 + val / 3))


def test_a_timed_step_is_small_enough_and_leaves_the_job_alone(tmp_path: Path):
    known = job(tmp_path)
    cost = cost_of(known)
    assert step_size(known, ONE, cost) == 16
    large = replace(cost, macs=10**12)
    assert step_size(known, ONE, large) == 2
    pace = measure(known, ONE, cost)
    assert pace.images == 16
    assert pace.train_s > 0
    assert pace.read_s > 0
    assert known.recipe == job(tmp_path).recipe


def test_what_cannot_be_timed_says_why(tmp_path: Path):
    known = job(tmp_path)
    two = World(0, 2, torch.device("cpu"))
    assert "not predicted for 2 processes" in time_words(known, two, cost_of(known), 4, 0)
    half = replace(known, recipe=replace(known.recipe, amp="fp16"))
    assert "fp16, which needs a GPU" in time_words(half, ONE, cost_of(half), 4, 0)
