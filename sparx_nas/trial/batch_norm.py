"""Statistics of BatchNorm layers, taken anew: running ones lag behind weights that move fast."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparx_nas.data import DataSet
from sparx_nas.trial.score import channels_last

BATCH = 128
"""Images of a batch that statistics are taken of."""


def training_images(data: DataSet, count: int, *, device: torch.device) -> Iterator[Tensor]:
    """Yield batches of `count` training images, not augmented and the same every time."""
    return (images for images, _ in data.drawn("train", count, BATCH, device=device))


@torch.no_grad()
def reestimate(model: nn.Module, batches: Iterable[Tensor], autocast: torch.autocast) -> int:
    """Replace running means and variances by those of batches of images; return how many images.

    `autocast` is the precision of the passes.

    Every batch (B, C, H, W) weighs the same. The layers train their statistics, everything else
    is as in evaluation: no drop path, no dropout. A network without such layers is left as it is.
    `torch.optim.swa_utils.update_bn` averages so as well, but lets the rest train, too.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers:
        return 0
    images = 0
    with _averaging(model, layers):
        for x in batches:
            with autocast:
                model(channels_last(x))
            images += len(x)
    return images


@contextmanager
def _averaging(model: nn.Module, layers: list[_BatchNorm]) -> Iterator[None]:
    """Let layers, and nothing else, average over the batches of the block, from nothing."""
    was_training, momenta = model.training, [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.train(was_training)
