"""Short trainings of a candidate, epoch by epoch, each decided by its seed."""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sparx_nas.architecture import Architecture
from sparx_nas.data import DataSet
from sparx_nas.ground.timm_import import prepare_timm
from sparx_nas.kernels.memory import keep_freed_memory
from sparx_nas.models import build
from sparx_nas.trial.batch_norm import reestimate, training_images
from sparx_nas.trial.flat import update_of
from sparx_nas.trial.score import Score, channels_last, evaluate, half_precision
from sparx_nas.trial.values import Epoch, Fidelity

prepare_timm()

from timm.loss import LabelSmoothingCrossEntropy  # noqa: E402  (timm is ready now)
from timm.optim import create_optimizer_v2  # noqa: E402
from timm.scheduler import CosineLRScheduler  # noqa: E402

EVALUATION_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a candidate is trained: AdamW, warm-up, cosine, label smoothing.

    `lr` is the peak for the batch size in use; `warmup` the share of steps that lead up to it,
    `final_lr` the share of the peak that the cosine ends at, `clip` the norm of the gradient.
    """

    lr: float = 3e-3
    weight_decay: float = 0.05
    warmup: float = 0.2
    final_lr: float = 0.01
    smoothing: float = 0.1
    clip: float = 5.0
    drop_path: float = 0.0


class Training:
    """A candidate in training on a device; the same arguments give the same numbers.

    On a CPU that holds for one number of threads.
    """

    def __init__(
        self,
        architecture: Architecture,
        data: DataSet,
        *,
        fidelity: Fidelity,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        self.data, self.fidelity, self.recipe, self.device = data, fidelity, recipe, device
        if device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(fidelity.seed)
        model = build(
            architecture,
            data.num_classes,
            in_chans=data.in_chans,
            width=fidelity.width,
            stem_stride=fidelity.stem_stride,
            drop_path=recipe.drop_path,
        )
        self.model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = LabelSmoothingCrossEntropy(recipe.smoothing)
        self.optimizer = create_optimizer_v2(
            self.model, opt="adamw", lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
        )
        per_epoch = data.batch_count("train", fidelity.batch_size, train=True)
        self.schedule = _schedule(self.optimizer, recipe, fidelity.epochs * per_epoch)
        self.update = update_of(self.model, self.optimizer, device)
        self.step, self.epoch = 0, 0

    def run_epoch(self) -> Epoch:
        """Train one epoch, then score the validation split with BatchNorm statistics taken anew.

        Raises: FloatingPointError if the loss is no longer a number.
        """
        start, self.epoch = time.perf_counter(), self.epoch + 1
        train_loss, images = self._train()
        seconds = time.perf_counter() - start
        if not math.isfinite(train_loss):
            raise FloatingPointError(f"the training loss became {train_loss} in epoch {self.epoch}")
        score = self._score()
        return Epoch(
            epoch=self.epoch,
            train_loss=train_loss,
            val_loss=score.loss,
            val_loss_error=score.loss_error,
            top1=score.top1,
            seconds=time.perf_counter() - start,
            images_per_s=images / seconds,
        )

    def _train(self) -> tuple[float, int]:
        """Train on the images of an epoch; return the mean loss and how many images there were."""
        self.model.train()
        total, images = torch.zeros((), device=self.device), 0
        for x, labels in self.data.batches(
            "train",
            self.fidelity.batch_size,
            seed=self.fidelity.seed,
            epoch=self.epoch,
            train=True,
            device=self.device,
        ):
            loss = self._step(x, labels)
            total, images = total + loss * len(labels), images + len(labels)
        return float(total) / images, images

    def _step(self, x: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch and return its mean loss."""
        self.schedule.step_update(self.step)
        with half_precision(self.device):
            loss: Tensor = self.loss(self.model(channels_last(x)).float(), labels)
        loss.backward()
        self.update.step(self.recipe.clip)
        self.step += 1
        return loss.detach()

    def _score(self) -> Score:
        """Score the validation split as the fidelity says."""
        if count := self.fidelity.statistics_images:
            drawn = training_images(self.data, count, device=self.device)
            reestimate([self.model], drawn, half_precision(self.device))
        return evaluate(
            self.model,
            self.data,
            "val",
            batch_size=EVALUATION_BATCH,
            device=self.device,
            copies=self.fidelity.val_copies,
        )


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> Any:
    """Return timm's cosine after a warm-up, step by step."""
    # timm warns of a cosine of one step.
    steps = max(2, steps)
    warmup = round(recipe.warmup * steps)
    return CosineLRScheduler(
        optimizer,
        t_initial=steps,
        lr_min=recipe.lr * recipe.final_lr,
        warmup_t=warmup,
        warmup_lr_init=recipe.lr / max(warmup, 1),
        warmup_prefix=False,
        t_in_epochs=False,
    )


class Trainings:
    """The trainings of a trial, one for each seed of its fidelity, side by side."""

    def __init__(
        self,
        architecture: Architecture,
        data: DataSet,
        *,
        fidelity: Fidelity,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        self.fidelity, self.device = fidelity, device
        self.each = [
            Training(
                architecture,
                data,
                fidelity=replace(fidelity, seed=fidelity.seed + i, seeds=1),
                recipe=recipe,
                device=device,
            )
            for i in range(fidelity.seeds)
        ]

    def run_epoch(self) -> Epoch:
        """Run the next epoch of every training and return their means.

        Raises: FloatingPointError as `Training.run_epoch`.
        """
        return Epoch.of_trainings([training.run_epoch() for training in self.each])
