"""A network in training: the step, the epoch, and everything that a checkpoint has to hold."""

import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sparx_nas.architecture.network import Network
from sparx_nas.ground.errors import OptionError, SparxError
from sparx_nas.ground.timm_import import prepare_timm
from sparx_nas.kernels.memory import keep_freed_memory
from sparx_nas.models import build
from sparx_nas.train.batch_norm import average_statistics, convert_batch_norms
from sparx_nas.train.pipeline import Batch, check_shares, epoch_keys, steps_per_epoch
from sparx_nas.train.processes import World
from sparx_nas.train.recipe import Recipe
from sparx_nas.train.transforms import PASS_STREAM, Mixing, seed_all

prepare_timm()

from timm.loss import SoftTargetCrossEntropy  # noqa: E402  (timm is ready now)
from timm.optim import create_optimizer_v2  # noqa: E402
from timm.scheduler import CosineLRScheduler  # noqa: E402
from timm.utils import ModelEmaV3  # noqa: E402

LOOK_EVERY = 20
"""Steps between looks at the loss; each makes a GPU wait."""

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}

Report = Callable[[int, float], None]
"""Takes the steps done of an epoch and the mean loss so far."""


class LossError(SparxError):
    """A loss that is no number any more."""

    exit_code = 6
    code = "E-LOSS"


@dataclass
class Progress:
    """Where a training stands: epochs done, steps done of the one under way, and its loss.

    `loss` is the sum over images of this process, `images` their number over all processes.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    images: int = 0


class Trainer:
    """A network, its average, its optimizer and its schedule, stepped by batches of images.

    On a CPU the same recipe, images and number of threads give the same weights to the last bit,
    interrupted or not: whatever is drawn is drawn from seeds that epoch and step decide. `broken`
    lists images that could not be read, by name, with the reason.
    """

    def __init__(self, network: Network, recipe: Recipe, world: World, *, images: int) -> None:
        self.recipe, self.world, self.images = recipe, world, images
        check_shares(recipe, world.size)
        self.steps = steps_per_epoch(images, recipe)
        self.precision = precision(recipe, world.device)
        if world.device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(recipe.seed)
        model = build(
            network.architecture, **network.build_arguments, drop_path=recipe.drop_path
        ).to(world.device)
        model.set_grad_checkpointing(recipe.grad_checkpointing)
        self.model = convert_batch_norms(model, recipe.batch_norm, processes=world.size)
        self.ema = _average(self.model, recipe)
        self.optimizer = _optimizer(self.model, recipe)
        self.schedule = _schedule(self.optimizer, recipe, self.steps)
        self.scaler = torch.amp.GradScaler(
            world.device.type, enabled=self.precision == torch.float16
        )
        self.loss = SoftTargetCrossEntropy()
        self.mixing = Mixing(recipe, network.num_classes)
        self.progress = Progress()
        self.broken: dict[str, str] = {}
        self.parallel: nn.Module = self.model
        if world.size > 1:
            self.parallel = _parallel(self.model, world.device)

    @property
    def models(self) -> dict[str, nn.Module]:
        """The networks to judge, by name: `plain` and, if there is an average, `ema`."""
        return {"plain": self.model} | ({"ema": self.ema.module} if self.ema else {})

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def autocast(self) -> torch.autocast:
        """Return the precision of forward passes."""
        return autocast(self.precision, self.world.device)

    def keys(self) -> list[tuple[int, Any]]:
        """Return what this process has still to read of the epoch under way."""
        at = self.progress
        keys = epoch_keys(
            self.images, self.recipe, at.epoch, rank=self.world.rank, size=self.world.size
        )
        return keys[at.step * self.recipe.accumulate :]

    def run_epoch(
        self, batches: Iterator[Batch], *, asked: Callable[[], bool], report: Report
    ) -> float | None:
        """Train the rest of the epoch under way and return its mean loss, or None if asked to stop.

        After a stop `progress` says where; an epoch with no step left to take only ends.

        Raises: LossError if the loss is no number any more.
        """
        at = self.progress
        self.parallel.train()
        sum_of_loss = torch.tensor(at.loss, dtype=torch.float64, device=self.world.device)
        while at.step < self.steps:
            if self.world.any(asked()):
                at.loss = float(sum_of_loss)
                return None
            passes = list(islice(batches, self.recipe.accumulate))
            assert len(passes) == self.recipe.accumulate, "an epoch has whole steps"
            sum_of_loss += self._step(passes)
            at.step += 1
            at.images += self.recipe.batch_size
            if at.step % LOOK_EVERY == 0 or at.step == self.steps:
                report(at.step, self._looked_at(sum_of_loss))
        mean = self._looked_at(sum_of_loss)
        if self.recipe.batch_norm == "local":
            average_statistics(self.model, self.world.size)
        self.progress = Progress(epoch=at.epoch + 1)
        return mean

    def _step(self, passes: list[Batch]) -> Tensor:
        """Take one step and return the summed loss of this process's images, on the device."""
        recipe, at, device = self.recipe, self.progress, self.world.device
        if recipe.schedule == "epoch":
            self.schedule.step(at.epoch)
        else:
            self.schedule.step_update(at.epoch * self.steps + at.step)
        self.optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64, device=device)
        for number, batch in enumerate(passes):
            self.broken.update(batch.broken)
            x = batch.images.to(device, non_blocking=True)
            labels = batch.labels.to(device, non_blocking=True)
            x, targets = self.mixing(x, labels, epoch=at.epoch, step=at.step)
            seed_all(PASS_STREAM, recipe.seed, at.epoch, at.step, number, self.world.rank)
            last = number == len(passes) - 1
            with self._gathering(last):
                with self.autocast():
                    loss = self.loss(self.parallel(x).float(), targets)
                # The gradient is that of the mean over the whole batch; DDP averages processes.
                share = len(x) * self.world.size / recipe.batch_size
                self.scaler.scale(loss * share).backward()
            total += loss.detach().double() * len(x)
        self.scaler.unscale_(self.optimizer)
        if recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            done = at.epoch * self.steps + at.step + 1
            self.ema.update(self.model, step=done if recipe.ema_warmup else None)
        return total

    def _gathering(self, last: bool) -> Any:
        """Return the context of a pass: gradients travel between processes in the last one only."""
        if isinstance(self.parallel, DistributedDataParallel) and not last:
            return self.parallel.no_sync()
        return nullcontext()

    def _looked_at(self, sum_of_loss: Tensor) -> float:
        """Return the mean loss of the epoch so far, over all processes.

        Raises: LossError if it is no number.
        """
        at = self.progress
        mean = self.world.totals([float(sum_of_loss)])[0] / max(at.images, 1)
        if not math.isfinite(mean):
            ways = "a lower --lr, a smaller --clip"
            ways += ", --amp bf16 or none" if self.precision == torch.float16 else ""
            kept = "; the checkpoint of the last whole epoch is kept" if at.epoch else ""
            raise LossError(
                f"the loss became {mean} in epoch {at.epoch + 1}, by step {at.step}",
                hint=ways + kept,
            )
        return mean


def precision(recipe: Recipe, device: torch.device) -> torch.dtype | None:
    """Return the type of forward passes, None for float32 as it is.

    Raises: OptionError for fp16 on a CPU, which has no use for it.
    """
    if recipe.amp == "auto":
        return torch.bfloat16 if device.type == "cuda" else None
    if recipe.amp == "fp16" and device.type == "cpu":
        raise OptionError("amp is fp16, which needs a GPU", hint="--amp none, or --amp bf16")
    return PRECISIONS.get(recipe.amp)


def autocast(kind: torch.dtype | None, device: torch.device) -> torch.autocast:
    """Return the context in which a network runs at a precision."""
    return torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None)


def _parallel(model: nn.Module, device: torch.device) -> DistributedDataParallel:
    """Wrap a network so that gradients are averaged over processes; buffers are left alone."""
    given = inspect.signature(DistributedDataParallel).parameters
    # torch 2.13 renames the argument and warns of the old name; older ones know only that.
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in given else "broadcast_buffers"
    more: dict[str, Any] = {buffers: False}
    # A 1x1 convolution's gradient may lie either way, which are the same bytes.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    if device.type == "cuda":
        more["device_ids"] = [device]
    return DistributedDataParallel(model, **more)


def _average(model: nn.Module, recipe: Recipe) -> Any:
    """Return timm's moving average of a network, or None."""
    if not recipe.ema:
        return None
    return ModelEmaV3(model, decay=recipe.ema, use_warmup=recipe.ema_warmup)


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer, weights of one dimension and biases undecayed, as timm groups them."""
    more: dict[str, Any] = {"momentum": recipe.betas[0]}
    if recipe.optimizer == "adamw":
        more = {"betas": recipe.betas, "eps": recipe.eps, "fused": True}
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        model, opt=recipe.optimizer, lr=recipe.lr, weight_decay=recipe.weight_decay, **more
    )
    return optimizer


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> Any:
    """Return timm's cosine: it starts at epoch 0, the warm-up covers its beginning."""
    unit = 1 if recipe.schedule == "epoch" else steps
    return CosineLRScheduler(
        optimizer,
        t_initial=recipe.epochs * unit,
        lr_min=recipe.min_lr,
        warmup_t=recipe.warmup_epochs * unit,
        warmup_lr_init=recipe.warmup_lr,
        warmup_prefix=False,
        cycle_limit=1,
        t_in_epochs=recipe.schedule == "epoch",
    )
