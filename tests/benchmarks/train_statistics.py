"""Does re-estimating BatchNorm statistics help `sparx-nas train`? Scored both ways, every epoch.

    python tests/benchmarks/train_statistics.py > runs/benchmarks/train_statistics.json

Trains published SparX-Mamba-T by the recipe of digits, as long as it says and shortened. After
every epoch the weights and their average are scored on the validation split with running statistics
and with those of so many training images. Validation top-1, loss and seconds by epoch, weights and
statistics; a line an epoch on stderr.
"""

import argparse
import copy
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch
from timing import report
from torch import Tensor

from sparx_nas.command.options import Given
from sparx_nas.data import Part
from sparx_nas.train.evaluation import Judge
from sparx_nas.train.job import prepare
from sparx_nas.train.options import Options
from sparx_nas.train.pipeline import Reader, Reading
from sparx_nas.train.processes import World
from sparx_nas.train.trainer import Trainer
from sparx_nas.train.transforms import Transform, judging_transform, training_transform
from sparx_nas.trial.batch_norm import BATCH, reestimate

CPU = torch.device("cpu")
WAYS = ((0, False), (128, False), (512, False), (10**6, False), (512, True), (10**6, True))
"""Training images whose statistics replace the running ones, and whether they are augmented."""


def main() -> None:
    """Train every case with every seed and print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, nargs="+", default=[5, 40])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--arch", default="sparx_mamba_t")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for epochs in args.epochs:
        for seed in range(args.seeds):
            found += trained(args.arch, args.data, epochs, seed)
    report("train_statistics", found)


def trained(arch: str, data: str, epochs: int, seed: int) -> list[dict]:
    """Train once; return a row for every epoch."""
    fields = {"epochs": Given("--epochs", str(epochs)), "seed": Given("--seed", str(seed))}
    job = prepare(Options(arch=arch, data=data, fields=fields))
    world = World(rank=0, size=1, device=CPU)
    trainer = Trainer(job.network, job.recipe, world, images=job.images("train"))
    part = job.divided.parts["train"]
    reader = Reader(
        Reading(part, training_transform(job.recipe, job.facts), seed=seed), workers=0, pinned=False
    )
    judge = Judge(job.divided.parts["val"], job.facts, world, 0)
    rows = []
    for epoch in range(1, epochs + 1):
        loss = trainer.run_epoch(
            reader.read(trainer.keys()), asked=lambda: False, report=lambda *_: None
        )
        row = {"data": data, "epochs": epochs, "seed": seed, "epoch": epoch, "train_loss": loss}
        rows.append(row | {"scores": scores(trainer, judge, part)})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def scores(trainer: Trainer, judge: Judge, part: Part) -> dict[str, list[float]]:
    """Return top-1, loss and the seconds of re-estimation, by weights and statistics."""
    found = {}
    for name, model in trainer.models.items():
        for count, augmented in WAYS:
            own = copy.deepcopy(model)
            start = time.process_time()
            if count:
                transform = judging_transform(judge.facts)
                if augmented:
                    transform = training_transform(trainer.recipe, judge.facts)
                images = drawn(part, transform, count)
                reestimate([own], images, trainer.autocast())
            took = time.process_time() - start
            (score,) = judge.score([own], trainer.autocast())
            said = f"{count or 'running'}{' augmented' * augmented}".replace("1000000", "all")
            found[f"{name}, {said}"] = [score.top1, score.loss, took]
    return found


def drawn(part: Part, transform: Transform, count: int) -> Iterator[Tensor]:
    """Yield batches (B, C, H, W) of so many images of a split, the same every time."""
    order = np.random.default_rng(0).permutation(len(part.picks))[:count]
    cut = [(0, order[start : start + BATCH]) for start in range(0, len(order), BATCH)]
    for batch in Reader(Reading(part, transform, seed=0), workers=0, pinned=False).read(cut):
        yield batch.images


if __name__ == "__main__":
    main()
