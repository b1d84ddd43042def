"""Layers that are computed anew on the way back instead of keeping what is inside them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(block: nn.Module, x: Tensor, context: Sequence[Tensor]) -> Tensor:
    """Return block(x, context), to be computed again when gradients are asked for.

    BatchNorms take their statistics the first time only.
    """
    if torch.compiler.is_compiling():
        # There the second time is part of a graph, in which no module can be told to behave.
        out: Tensor = checkpoint(block, x, context, use_reentrant=False)
    else:
        out = checkpoint(
            block,
            x,
            context,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), _statistics_kept(block)),
        )
    return out


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Let BatchNorms norm as they do, and leave their running statistics alone."""
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm) and m.training]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, counted) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, counted
