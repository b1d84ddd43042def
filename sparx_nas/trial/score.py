"""Accuracy on a split."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparx_nas.data import DataSet


@dataclass(frozen=True, kw_only=True)
class Score:
    """How many images of a split, or copies of them, were right; mean cross entropy in nats.

    `loss_error` is the standard error of that mean, 0 where it was not
    asked for.
    """

    correct: int
    images: int
    loss: float
    loss_error: float = 0.0

    @property
    def top1(self) -> float:
        """Share of images whose class came first, in [0, 1]."""
        return self.correct / self.images


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: DataSet,
    split: str,
    *,
    batch_size: int,
    device: torch.device,
    copies: int = 0,
) -> Score:
    """Score a network on a split, in evaluation mode: on its images, or on augmented copies."""
    model.eval()
    correct, losses = 0, []
    batches = (
        data.copies(split, copies, batch_size, device=device)
        if copies
        else data.batches(split, batch_size, seed=0, epoch=0, train=False, device=device)
    )
    for x, labels in batches:
        with half_precision(device):
            logits = model(channels_last(x))
        losses.append(cross_entropy(logits.float(), labels, reduction="none").double())
        correct += int((logits.argmax(1) == labels).sum())
    each = torch.cat(losses)
    # Copies of an image are no images of their own.
    error = float(each.std(correction=0)) / math.sqrt(len(each) / max(copies, 1))
    return Score(correct=correct, images=len(each), loss=float(each.mean()), loss_error=error)


def half_precision(device: torch.device) -> torch.autocast:
    """Return bf16 autocast on a GPU, and nothing of the kind on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def channels_last(x: Tensor) -> Tensor:
    """Lay a (B, C, H, W) batch out with channels last, which convolutions prefer."""
    return x.contiguous(memory_format=torch.channels_last)
