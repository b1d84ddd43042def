"""What the tests run under torchrun: `train_processes.py FOLDER`; the first process writes."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from sparx_nas.train.batch_norm import convert_batch_norms
from sparx_nas.train.evaluation import Judge
from sparx_nas.train.processes import World, joined
from sparx_nas.train.trainer import Trainer, autocast
from support.train_jobs import job, take

SGD = {"optimizer": "sgd", "lr": 0.05, "ema": 0.5, "ema_warmup": "false"}
CASES = {
    "reduced": SGD | {"batch_norm": "sync"},
    "reduced_mixed_odd": SGD | {"batch_norm": "sync", "batch_size": 15, "mixup": 0.8, "cutmix": 1},
    "accumulated": SGD | {"batch_norm": "frozen", "batch_size": 14, "accumulate": 3, "cutmix": 1},
    "retaken": SGD | {"batch_norm": "sync", "statistics_images": 41},
    "adamw": {"batch_norm": "sync", "lr": 1e-3, "eps": 1e-2, "erase": 0.5, "flip": 0.5},
}
"""Trainings that two processes and one have to agree on."""
SPLIT = 5
"""Of the 9 images of the batch norm's input, those that the first process has."""


def normalised(norm: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what a batch norm in training gives, its statistics, and its gradients."""
    x = x.clone().requires_grad_()
    y = norm(x)
    (y * weights).sum().backward()
    state = {f"state/{k}": v for k, v in norm.state_dict().items()}
    gradients = {f"grad/{k}": p.grad for k, p in norm.named_parameters()}
    return {"y": y.detach(), "x": x.grad, **state, **gradients}


def inputs() -> tuple[nn.BatchNorm2d, torch.Tensor, torch.Tensor]:
    """Return a batch norm with settled statistics, 9 images far from zero, and weights."""
    generator = torch.Generator().manual_seed(3)
    norm = nn.BatchNorm2d(5)
    for tensor in norm.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5, generator=generator)
    x = 30 + 3 * torch.randn(9, 5, 4, 3, generator=generator)
    return norm, x, torch.randn(9, 5, 4, 3, generator=generator)


def mine(world: World) -> slice:
    """Return which images of the batch norm's input a process has."""
    return slice(None, SPLIT) if world.first else slice(SPLIT, None)


def main(folder: Path) -> None:
    """Train every case and score a split, as one of the processes."""
    torch.set_num_threads(1)
    with joined("cpu") as world:
        for name, fields in CASES.items():
            taken = take(job(folder, **fields), world)
            if world.first:
                save_file(taken.state, folder / f"{name}.safetensors")
                (folder / f"{name}.json").write_text(json.dumps(taken.losses))
        part = job(folder, limit=300)
        trainer = Trainer(part.network, part.recipe, world, images=part.images("train"))
        judge = Judge(part.divided.parts["val"], part.facts, world, 0)
        score = judge.score([trainer.model], autocast(None, world.device))[0]
        norm, x, weights = inputs()
        convert_batch_norms(norm, "sync", processes=world.size)
        found = normalised(norm, x[mine(world)], weights[mine(world)])
        save_file(found, folder / f"norm{world.rank}.safetensors")
        if world.first:
            text = json.dumps([score.correct, score.images, score.loss])
            (folder / "score.json").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
