"""Run a training from its options to its result."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sparx_nas.architecture.network import CONFIG, Network
from sparx_nas.command.stopping import Stop, listening
from sparx_nas.command.typed import quoted
from sparx_nas.data.source import ArrayPool
from sparx_nas.ground.errors import RunError
from sparx_nas.kernels.fusing import parts_on
from sparx_nas.train.checkpoint import load_checkpoint, save_checkpoint
from sparx_nas.train.describe import cost_of, dry_run_text, header, summary
from sparx_nas.train.evaluation import Judge
from sparx_nas.train.job import Job, prepare, prepare_again
from sparx_nas.train.options import Options
from sparx_nas.train.pace import time_words
from sparx_nas.train.pipeline import Reader, Reading
from sparx_nas.train.processes import World, joined, workers_here
from sparx_nas.train.progress import View
from sparx_nas.train.result import (
    Curves,
    accuracy,
    append_metrics,
    create_folder,
    facts_of,
    read_metrics,
    remember_place,
    write_result,
)
from sparx_nas.train.statistics import retake
from sparx_nas.train.trainer import Trainer
from sparx_nas.train.transforms import training_transform
from sparx_nas.trial.device import device_name

INTERRUPTED = 130


def run_training(asked: Options) -> int:
    """Train until the recipe's last epoch, or go on with a training; return the exit code.

    Raises: SparxError for anything the user can mend.
    """
    parts_on()
    with joined(asked.device) as world, listening() as stop:
        job = prepare_again(asked) if asked.resume else prepare(asked)
        job, told = (_imagined(job, world), job) if asked.dry_run else (job, job)
        trainer = Trainer(job.network, job.recipe, world, images=job.images("train"))
        # Only timm knows whether a policy can be read; asked now, a mistake leaves no folder.
        training_transform(job.recipe, job.facts)
        if asked.dry_run:
            took = time_words(told, world, cost_of(told), trainer.steps, _workers(told, asked))
            return _say(world, dry_run_text(job, trainer, took))
        if asked.resume:
            load_checkpoint(job.path, trainer)
            if world.first:
                remember_place(job)
        else:
            _create(job, world)
        return Sitting(job, world, trainer, _workers(job, asked)).run(stop)


def _imagined(job: Job, world: World) -> Job:
    """Return a job as a dry run looks at it: half precision is half precision on any machine."""
    if job.recipe.amp != "fp16" or world.device.type != "cpu":
        return job
    note = "amp is fp16, which needs a GPU: on this machine the training itself would be refused"
    return replace(job, recipe=replace(job.recipe, amp="bf16"), notes=(*job.notes, note))


@dataclass(frozen=True)
class Sitting:
    """One call's part of a training: from where it stands to its end, or to a stop.

    `told` are the images of which it was said that they cannot be read.
    """

    job: Job
    world: World
    trainer: Trainer
    workers: int
    told: set[str] = field(default_factory=set)

    def run(self, stop: Stop) -> int:
        """Train, judge and write, epoch by epoch; return the exit code."""
        job, trainer, world = self.job, self.trainer, self.world
        total, steps = job.recipe.total_epochs, trainer.steps
        view = View(total, images=steps * job.recipe.batch_size, quiet=not world.first)
        curves = Curves(job.path, done=trainer.progress.epoch) if world.first else None
        for line in header(job, trainer, self.workers):
            view.message(line)
        judge = self._judge("val")
        pinned = world.device.type == "cuda"
        reading = Reading(
            job.divided.parts["train"],
            training_transform(job.recipe, job.facts),
            seed=job.recipe.seed,
        )
        reader = Reader(reading, workers=self.workers, pinned=pinned)
        try:
            while (epoch := trainer.progress.epoch) < total:
                begun = time.perf_counter()
                loss = trainer.run_epoch(
                    reader.read(trainer.keys()),
                    asked=lambda: stop.asked,
                    report=lambda step, loss, at=epoch: view.step(at, step, steps, loss),  # type: ignore[misc]
                )
                if loss is None:
                    return self._stopped(stop, view)
                seconds = time.perf_counter() - begun
                retake(trainer, reader)
                row = self._epoch_done(judge, view, loss, seconds)
                if curves and row:
                    curves.add(row)
            return self._end(view)
        finally:
            view.close()
            if curves:
                curves.close()

    def _judge(self, split: str) -> Judge:
        """Return who scores a split."""
        return Judge(self.job.divided.parts[split], self.job.facts, self.world, self.workers)

    def _epoch_done(
        self, judge: Judge, view: View, loss: float, seconds: float
    ) -> dict[str, Any] | None:
        """Judge the epoch that is done, write where the training stands, return its numbers."""
        trainer, job = self.trainer, self.job
        names, models = zip(*trainer.models.items(), strict=True)
        judged = judge.score(list(models), trainer.autocast())
        scores = dict(zip(names, judged, strict=True))
        broken = self.world.together({**trainer.broken, **judge.broken})
        for name in sorted(set(broken) - self.told):
            view.message(f"cannot be read: {name}: {broken[name]}")
        self.told.update(broken)
        if not self.world.first:
            return None
        epoch = trainer.progress.epoch
        # Of equals the average: it is the steadier one.
        chosen = max(names, key=lambda name: (scores[name].correct, name == "ema"))
        row = {
            "epoch": epoch,
            "train_loss": loss,
            "lr": trainer.rate,
            "val": {name: accuracy(score) for name, score in scores.items()},
            "weights": chosen,
            "seconds": seconds,
            "images_per_s": trainer.steps * job.recipe.batch_size / seconds,
            "broken": sorted(broken),
        }
        append_metrics(job.path, row)
        save_checkpoint(job.path, trainer)
        self._write(row, test=None)
        view.epoch(epoch, loss, {name: score.top1 for name, score in scores.items()}, seconds)
        return row

    def _write(self, row: Mapping[str, Any], *, test: dict[str, Any] | None) -> None:
        """Write the chosen weights with what is known of them, and the curves."""
        # Rows of later epochs may be left of a training whose checkpoint was deleted.
        rows = {n: r for n, r in read_metrics(self.job.path).items() if n <= row["epoch"]}
        facts = facts_of(self.job, self.world, rows, test=test)
        write_result(self.job, self.trainer.models[row["weights"]], facts)

    def _stopped(self, stop: Stop, view: View) -> int:
        """Write a checkpoint in the middle of an epoch, and say how to go on."""
        at = self.trainer.progress
        at.loss = self.world.totals([at.loss])[0]
        if self.world.first:
            save_checkpoint(self.job.path, self.trainer)
        view.close()
        total = self.job.recipe.total_epochs
        view.message(
            f"stopped after {at.epoch} of {total} epochs and {at.step} steps of the next; "
            f"to go on:\n  {self.job.resume_command}"
        )
        return stop.exit_code or INTERRUPTED

    def _end(self, view: View) -> int:
        """Score the test split once, if there is one, and say what came out."""
        job, rows = self.job, {}
        if self.world.first:
            rows = read_metrics(job.path)
        weights = self.world.of_first(rows[max(rows)]["weights"] if rows else "")
        done = (job.path / CONFIG).exists() and Network.load(job.path).facts["training"]["finished"]
        if not self.world.any(self.world.first and bool(done)):
            test = None
            if "test" in job.divided.parts:
                models = [self.trainer.models[weights]]
                test = accuracy(self._judge("test").score(models, self.trainer.autocast())[0])
            if self.world.first:
                self._write(rows[max(rows)], test=test)
        view.close()
        if self.world.first:
            view.message(summary(job, Network.load(job.path).facts))
        return 0


def _create(job: Job, world: World) -> None:
    """Make the folder of a new training.

    Raises: RunError in every process if it is there already.
    """
    if world.any(world.first and job.path.exists()):
        raise RunError(
            f"{job.path} exists already",
            hint=f"--resume {quoted(job.path)} goes on with it; --name gives another name",
        )
    if world.first:
        create_folder(job, device=device_name(world.device), processes=world.size)


def _workers(job: Job, asked: Options) -> int:
    """Return how many processes decode for this one."""
    in_memory = isinstance(job.divided.parts["train"].pool, ArrayPool)
    return workers_here(asked.workers, images=job.images("train"), in_memory=in_memory)


def _say(world: World, text: str) -> int:
    """Print a text once."""
    if world.first:
        sys.stdout.write(text)
    return 0
