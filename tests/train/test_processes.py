"""Two processes come to what one comes to: weights, losses, scores, and batch norms."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sparx_nas.train.batch_norm import convert_batch_norms
from sparx_nas.train.evaluation import Judge
from sparx_nas.train.trainer import Trainer, autocast
from support.patience import PATIENCE_S
from support.train_jobs import ONE, job, take
from support.train_processes import CASES, SPLIT, inputs, normalised

TESTS = Path(__file__).resolve().parents[1]
NEAR = {"rtol": 2e-5, "atol": 2e-6}
"""How near float32 sums in another order come, after some steps."""


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that two processes wrote."""
    folder = tmp_path_factory.mktemp("two")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, str(TESTS / "support" / "train_processes.py"), str(folder)],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one(of_two: Path, name: str):
    one = take(job(of_two, **CASES[name]))
    two = load_file(of_two / f"{name}.safetensors")
    assert json.loads((of_two / f"{name}.json").read_text()) == pytest.approx(one.losses, rel=1e-5)
    assert set(two) == set(one.state)
    for key, tensor in one.state.items():
        torch.testing.assert_close(
            two[key], tensor, rtol=2e-4, atol=2e-5, msg=lambda m, k=key: f"{k}: {m}"
        )


def test_statistics_of_one_process_alone_are_others(of_two: Path):
    """The tolerance above tells a reduced batch norm from a local one."""
    half = take(job(of_two, **CASES["reduced"] | {"batch_size": 8}))
    two = load_file(of_two / "reduced.safetensors")
    name = "plain/patch_embed.1.running_mean"
    assert not torch.allclose(half.state[name], two[name], **NEAR)


def test_statistics_taken_anew_are_others(of_two: Path):
    """The same weights, so it is the statistics of whole images that two processes agree on."""
    kept, retaken = (take(job(of_two, **CASES[name])).state for name in ("reduced", "retaken"))
    for name, tensor in kept.items():
        moved = not torch.equal(tensor, retaken[name])
        assert moved == ("running" in name or "num_batches" in name), name


def test_every_image_is_judged_once(of_two: Path):
    part = job(of_two, limit=300)
    trainer = Trainer(part.network, part.recipe, ONE, images=part.images("train"))
    judge = Judge(part.divided.parts["val"], part.facts, ONE, 0)
    score = judge.score([trainer.model], autocast(None, ONE.device))[0]
    assert score.images == part.images("val") == 300
    assert json.loads((of_two / "score.json").read_text()) == [
        score.correct,
        score.images,
        score.loss,
    ]


def test_a_reduced_batch_norm_is_that_of_all_images(of_two: Path):
    norm, x, weights = inputs()
    whole = normalised(norm, x, weights)
    first, second = (load_file(of_two / f"norm{rank}.safetensors") for rank in (0, 1))
    assert len(first["y"]) == SPLIT != len(second["y"])
    for key in ("y", "x"):
        both = torch.cat([first[key], second[key]])
        torch.testing.assert_close(both, whole[key], rtol=1e-4, atol=1e-4)
    for key in ("state/running_mean", "state/running_var", "state/num_batches_tracked"):
        torch.testing.assert_close(first[key], whole[key], rtol=1e-5, atol=1e-5)
        assert torch.equal(first[key], second[key])
    for key in ("grad/weight", "grad/bias"):
        torch.testing.assert_close(first[key] + second[key], whole[key], rtol=1e-4, atol=1e-4)


def test_a_frozen_batch_norm_keeps_its_statistics_in_training():
    norm, x, weights = inputs()
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    expected = norm.eval()(x).detach()
    frozen = convert_batch_norms(norm.train(), "frozen", processes=1).train()
    found = normalised(frozen, x, weights)
    torch.testing.assert_close(found["y"], expected)
    assert all(torch.equal(found[f"state/{name}"], tensor) for name, tensor in before.items())
    assert found["grad/weight"].abs().min() > 0
