"""A training, exported: every form is scored as the training was, to the last image."""

import json
from pathlib import Path

import pytest

from sparx_nas.__main__ import main
from sparx_nas.architecture.network import Network
from support.train_jobs import words


@pytest.mark.parametrize(
    "fields",
    [
        {"image_size": 16, "crop_pct": 0.8},
        {"image_size": 8, "split_seed": 3, "interpolation": "bilinear"},
    ],
)
def test_a_check_comes_to_the_recorded_accuracy(fields, tmp_path: Path, capsys):
    argv = words(tmp_path, name="net", epochs=4, limit=200, lr=0.01, width=2, **fields)
    assert main(["train", *argv]) == 0
    folder = tmp_path / "net"
    recorded = Network.load(folder).facts["accuracy"]
    assert recorded["test"]["correct"] > 40  # of 200: it learnt, so a wrong input would show
    for split in ("test", "val"):
        asked = [str(folder), "--formats", "safetensors,python", "--check-data", "digits"]
        assert main(["export", *asked, "--split", split]) == 0
        check = json.loads((folder / "export" / "export.json").read_text())["check"]
        assert check["split"] == split
        assert check["images"] == recorded[split]["images"] == 200
        assert set(check["correct"].values()) == {recorded[split]["correct"]}
        assert len(check["correct"]) == 3
    capsys.readouterr()
