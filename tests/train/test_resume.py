"""A training that is killed or stopped goes on as if nothing had been, to the last bit."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sparx_nas.architecture.network import Network
from sparx_nas.command.typed import typed
from sparx_nas.train import pipeline
from sparx_nas.train.__main__ import main
from sparx_nas.train.result import Curves, read_metrics
from support.patience import PATIENCE_S
from support.train_jobs import job, take, words

ROOT = Path(__file__).resolve().parents[2]
RUN = {
    "epochs": 3,
    "drop_path": 0.3,
    "mixup": 0.8,
    "cutmix": 1,
    "erase": 0.5,
    "auto_augment": "rand-m5-mstd0.5-inc1",
    "ema": 0.9,
    "accumulate": 2,
}
SECONDS = ("seconds", "images_per_s")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that nobody disturbed."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    assert main(words(folder, name="run", **RUN)) == 0
    return folder / "run"


def assert_the_same(one: Path, other: Path) -> None:
    """Compare everything but the time two trainings took."""
    for name in ("model.safetensors", "arch.json", "recipe.yaml"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    tensors = [load_file(path / "checkpoint" / "last.safetensors") for path in (one, other)]
    assert set(tensors[0]) == set(tensors[1])
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    rows = [read_metrics(path) for path in (one, other)]
    plain = [
        {n: {k: v for k, v in row.items() if k not in SECONDS} for n, row in found.items()}
        for found in rows
    ]
    assert plain[0] == plain[1]
    assert Network.load(one).facts["accuracy"] == Network.load(other).facts["accuracy"]


def test_a_killed_training_goes_on_to_the_last_bit(whole: Path, tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-m", "sparx_nas.train", *words(tmp_path, name="run", **RUN)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + PATIENCE_S
    while not metrics.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    folder = tmp_path / "run"
    config = folder / "config.json"
    assert not (config.exists() and Network.load(folder).facts["training"]["finished"])
    assert main(["--resume", str(folder), "--device", "cpu"]) == 0
    assert_the_same(whole, folder)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_goes_on_from_the_middle_of_an_epoch(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
):
    undisturbed = pipeline.Reader.read
    count = 0

    def read(self: pipeline.Reader, keys: list[pipeline.Key]) -> Iterator[pipeline.Batch]:
        nonlocal count
        for batch in undisturbed(self, keys):
            count += 1
            if count == 13:
                os.kill(os.getpid(), number)
            yield batch

    monkeypatch.setattr(pipeline.Reader, "read", read)
    assert main(words(tmp_path, name="run", **RUN)) == code
    monkeypatch.undo()
    said = capsys.readouterr().out
    assert "stopped after 1 of 3 epochs and 2 steps of the next" in said
    assert typed("train", "--resume", tmp_path / "run") in said
    assert "1 of 3 epochs, not finished" in (tmp_path / "run" / "README.md").read_text()
    assert "test" not in Network.load(tmp_path / "run").facts["accuracy"]
    assert main(["--resume", str(tmp_path / "run"), "--device", "cpu"]) == 0
    assert "going on after 1 epochs and 2 steps" in capsys.readouterr().out
    assert_the_same(whole, tmp_path / "run")


def test_workers_change_nothing(whole: Path, tmp_path: Path):
    assert main(words(tmp_path, name="run", workers=2, **RUN)) == 0
    assert_the_same(whole, tmp_path / "run")


def test_a_finished_training_is_told_again(whole: Path, capsys: pytest.CaptureFixture[str]):
    before = (whole / "model.safetensors").stat().st_mtime_ns
    assert main(["--resume", str(whole), "--device", "cpu"]) == 0
    assert "3 of 3 epochs" in capsys.readouterr().out
    assert (whole / "model.safetensors").stat().st_mtime_ns == before


def test_other_settings_are_refused_with_a_diff(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    again = ["--resume", str(whole), "--device", "cpu"]
    assert main([*again, "--epochs", "5", "--lr", "0.1", "--seed", "0"]) == 4
    said = capsys.readouterr().err
    for line in ("- epochs: 3", "+ epochs: 5", "- lr: 0.003", "+ lr: 0.1"):
        assert line in said
    assert "seed" not in said
    assert main([*again, "--data", "cifar10", "--arch", "sparx_mamba_t"]) == 4
    said = capsys.readouterr().err
    assert "+ data: cifar10" in said
    assert "+ arch: " in said


def test_other_data_and_damaged_checkpoints_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert (
        main(words(tmp_path, name="run", epochs=1, warmup_epochs=0, ema=0, ema_warmup="false")) == 0
    )
    env = tmp_path / "run" / "env.json"
    told = json.loads(env.read_text())
    env.write_text(json.dumps(told | {"data": told["data"] | {"data_id": "0" * 16}}))
    assert main(["--resume", str(tmp_path / "run"), "--device", "cpu"]) == 4
    assert "the data changed" in capsys.readouterr().err
    env.write_text(json.dumps(told))
    checkpoint = tmp_path / "run" / "checkpoint" / "last.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert main(["--resume", str(tmp_path / "run"), "--device", "cpu"]) == 4
    assert "does not fit this training" in capsys.readouterr().err
    assert main(["--resume", str(tmp_path / "nowhere")]) == 4


def test_a_training_begun_anew_claims_no_epoch_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert main(words(tmp_path, name="run")) == 0
    (tmp_path / "run" / "checkpoint" / "last.safetensors").unlink()

    def torn_off(curves: Curves, row: dict) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Curves, "add", torn_off)
    assert main(["--resume", str(tmp_path / "run"), "--device", "cpu"]) == 130
    training = Network.load(tmp_path / "run").facts["training"]
    assert (training["epochs_done"], training["finished"]) == (1, False)


def test_accumulation_is_one_batch_where_statistics_are_frozen(tmp_path: Path):
    fields = {"optimizer": "sgd", "lr": 0.05, "batch_norm": "frozen", "mixup": 0.8, "cutmix": 1}
    at_once = take(job(tmp_path, **fields))
    in_parts = take(job(tmp_path, accumulate=4, **fields))
    assert in_parts.losses == pytest.approx(at_once.losses, rel=1e-5)
    for name, tensor in at_once.state.items():
        torch.testing.assert_close(in_parts.state[name], tensor, rtol=2e-5, atol=2e-6)
    own = take(job(tmp_path, accumulate=4, **fields | {"batch_norm": "sync"}))
    assert own.losses != pytest.approx(at_once.losses, rel=1e-5)
