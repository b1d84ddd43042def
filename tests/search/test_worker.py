"""What a worker measures besides a training."""

from pathlib import Path

import torch

import sparx_nas
from sparx_nas.search.running.worker import ROOM, _latency, room_of
from sparx_nas.trial.room import Room


def test_a_design_is_measured_once_a_search_and_device(tmp_path: Path):
    space, device = sparx_nas.load_space("mamba_micro"), torch.device("cpu")
    rooms = [Room(tmp_path / name) for name in ("cpu", "another")]
    target = {**space.target, "image_size": 16}
    job = {"architecture": space.baselines["plain"].to_dict(), "target": target}
    first = _latency(job, rooms[0], device)
    assert _latency(job, rooms[0], device) == first
    assert _latency(job, rooms[1], device) != first
    assert first.low <= first.ms <= first.high


def test_searches_do_not_share_a_room_and_devices_do_not_either():
    cpu = torch.device("cpu")
    mine, other = room_of("one", cpu).folder, room_of("two", cpu).folder
    assert mine != other
    assert mine.name == "cpu"
    assert mine.parent.name == f"{ROOM}one"
