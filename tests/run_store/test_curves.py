import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparx_nas.ground.errors import RunError
from sparx_nas.run_store import CURVES, log_epoch, log_start, log_test
from sparx_nas.run_store.curves import read_curves
from support import runs


def test_a_curve_comes_back_as_it_was_written(tmp_path):
    architecture = runs.SPACE.sample(0)
    end = runs.trained(tmp_path, 3, architecture, 0.5)
    log_test(tmp_path / CURVES, 3, correct=[200], images=360)
    curve = read_curves(tmp_path / CURVES)[3]
    assert curve.epochs == (runs.epoch(1, 0.25), runs.epoch(2, 0.5))
    assert curve.end == end
    assert curve.test == (200 / 360,)


def test_no_file_has_no_curves(tmp_path):
    assert read_curves(tmp_path / CURVES) == {}


def test_a_second_start_forgets_the_first_attempt(tmp_path):
    path = tmp_path / CURVES
    log_start(path, 1)
    log_epoch(path, 1, runs.epoch(1, 0.9))
    log_epoch(path, 2, runs.epoch(1, 0.8))
    log_start(path, 1)
    log_epoch(path, 1, runs.epoch(1, 0.1))
    assert read_curves(path)[1].epochs == (runs.epoch(1, 0.1),)
    assert read_curves(path)[2].epochs == (runs.epoch(1, 0.8),)


def test_numbers_that_are_not_finite_stay_json(tmp_path):
    path = tmp_path / CURVES
    log_epoch(path, 0, runs.epoch(1, 0.1, train_loss=math.inf, val_loss=math.nan))
    record = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert record["train_loss"] is None
    assert math.isnan(read_curves(path)[0].epochs[0].val_loss)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_kill_at_any_byte_loses_one_record_at_most(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("torn") / CURVES
    for number in range(4):
        log_epoch(path, number, runs.epoch(1, 0.25))
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    lines = whole.split(b"\n")[:-1]
    kept = sum(len(b"\n".join(lines[: n + 1])) <= cut for n in range(4))
    assert list(read_curves(path)) == list(range(kept))
    log_epoch(path, 9, runs.epoch(2, 0.5))
    assert list(read_curves(path)) == [*range(kept), 9]
    assert all(isinstance(json.loads(line), dict) for line in path.read_text().splitlines())


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / CURVES
    log_epoch(path, 0, runs.epoch(1, 0.1))
    path.write_text(path.read_text() + '{"kind": "epo\n' + path.read_text())
    with pytest.raises(RunError, match=r"curves\.jsonl:2: .*delete the line"):
        read_curves(path)
    path.write_text('{"kind": "surprise", "trial": 1}\n')
    with pytest.raises(RunError, match=":1:"):
        read_curves(path)
