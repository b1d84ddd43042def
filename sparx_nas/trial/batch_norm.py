"""Statistics of BatchNorm layers, taken anew: running ones lag behind weights that move fast."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

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
def reestimate(
    models: Sequence[nn.Module], batches: Iterable[Tensor], autocast: torch.autocast
) -> int:
    """Replace running means and variances by those of batches of images; return how many images.

    The networks see the same batches; `autocast` is the precision of the passes.

    Every batch (B, C, H, W) weighs the same. The layers train their statistics, everything else
    is as in evaluation: no drop path, no dropout. A network without such layers is left as it is.
    `torch.optim.swa_utils.update_bn` averages so as well, but lets the rest train, too.
    """
    able = [model for model in models if _tracking(model)]
    if not able:
        return 0
    images = 0
    with ExitStack() as stack:
        for model in able:
            stack.enter_context(_averaging(model))
        for x in batches:
            for model in able:
                with autocast:
                    model(channels_last(x))
            images += len(x)
    return images


def _tracking(model: nn.Module) -> list[_BatchNorm]:
    """Return the layers of a network that keep running statistics."""
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


@contextmanager
def _averaging(model: nn.Module) -> Iterator[None]:
    """Let such layers, and nothing else, average over the batches of the block, from nothing."""
    layers = _tracking(model)
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
