"""A training that was stopped before the package had rooms: its network loads, and it goes on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sparx_nas.architecture.network import Network
from sparx_nas.models import load_network

OLD = Path(__file__).parents[1] / "fixtures" / "before_rooms" / "training"


def test_its_network_loads_and_computes():
    model, network = load_network(OLD)
    with torch.no_grad():
        logits = model(torch.rand(2, network.in_chans, 16, 16))
    assert logits.shape == (2, network.num_classes)
    assert logits.isfinite().all()


@pytest.mark.slow
def test_it_goes_on_from_its_checkpoint(tmp_path):
    path = tmp_path / "before_move"
    shutil.copytree(OLD, path)
    done = subprocess.run(
        [sys.executable, "-m", "sparx_nas.train", "--resume", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if "epoch" in line] == [1, 2, 3, 4]
    assert Network.load(path).facts["training"]["epochs_done"] == 4
