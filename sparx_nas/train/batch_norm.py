"""Batch normalisation over several processes: reduced, frozen, or each process by itself.

torch's SyncBatchNorm works on GPUs only; `ReducedBatchNorm2d` is the same on a CPU. Names of
parameters and buffers stay those of `nn.BatchNorm2d`.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sparx_nas.train.recipe import BatchNorm


class _Total(torch.autograd.Function):
    """Sum a tensor over all processes; the gradient of every term is the sum of all gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


class ReducedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose statistics are those of the images of all processes together.

    Processes may have different numbers of images. In evaluation it is the plain one.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, H, W); the shape stays."""
        if not self.training:
            return super().forward(input)
        # Mean first, then squares about it: no cancellation. The whole of it is in float32.
        x = input.float()
        count = torch.tensor([x.numel() / x.shape[1]], dtype=x.dtype, device=x.device)
        sums = _total(torch.cat([x.sum((0, 2, 3)), count]))
        n, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
        centred = x - mean[:, None, None]
        variance = _total(centred.square().sum((0, 2, 3))) / n
        self._remember(mean.detach(), variance.detach() * (n / (n - 1).clamp(min=1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        out: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return out.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics; the variance is the unbiased one, as torch's."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        # Without a momentum it is the average of all batches, as in torch.
        share = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d that normalises by its running statistics in training too, and keeps them."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm2d":
        """Stay in evaluation mode."""
        super().train(False)
        return self


def _total(x: Tensor) -> Tensor:
    """Sum a tensor over all processes."""
    total: Tensor = _Total.apply(x)  # type: ignore[no-untyped-call]
    return total


def convert_batch_norms(model: nn.Module, how: BatchNorm, *, processes: int) -> nn.Module:
    """Return the network with its batch norms as asked; parameters and buffers are the same ones.

    One process needs no reduction, so `sync` changes nothing there.
    """
    if how == "frozen":
        return _replaced(model, FrozenBatchNorm2d)
    if how == "local" or processes == 1:
        return model
    if next(model.parameters()).device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return converted
    return _replaced(model, ReducedBatchNorm2d)


def average_statistics(model: nn.Module, processes: int) -> None:
    """Average running statistics over processes; with `sync` they are equal already."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and processes > 1:
            for buffer in (module.running_mean, module.running_var):
                assert buffer is not None
                dist.all_reduce(buffer)
                buffer.div_(processes)


def _replaced(model: nn.Module, kind: type[nn.BatchNorm2d]) -> nn.Module:
    """Turn every BatchNorm2d into another kind, in place: the kinds differ in methods alone."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = kind
            module.train(module.training)
    return model
