"""One network on its way out: what every form is made of."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch

from sparx_nas.architecture.network import Network
from sparx_nas.export.comparison import BATCHES
from sparx_nas.export.request import Request
from sparx_nas.export.source import Source
from sparx_nas.export.target import Target

TRACED_BATCH = 2
"""A traced batch of 1 would be taken for a fixed one."""


SMALL = 64
"""Pixels of a side."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A network, what is asked for, and where it goes."""

    source: Source
    request: Request
    target: Target

    @property
    def network(self) -> Network:
        """Everything but the weights."""
        return self.source.network

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width of the forms whose size is fixed."""
        size = self.request.image_size or self.network.preprocessing.image_size
        return (self.network.in_chans, *size)

    @property
    def compared_image(self) -> tuple[int, int, int]:
        """The image on which a form of any size is compared.

        A design at full size is compared on a small one: it takes any, and its own takes minutes.
        """
        channels, high, wide = self.image
        if self.source.weights is not None:
            return self.image
        return channels, min(high, SMALL), min(wide, SMALL)

    @property
    def batches(self) -> tuple[int, ...]:
        """Batch sizes at which a form whose batch may be fixed is compared."""
        return BATCHES if self.request.dynamic_batch else (1,)

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        """The network traced at this image size; its scans are still single operators."""
        example = torch.zeros(TRACED_BATCH if self.request.dynamic_batch else 1, *self.image)
        batch = {0: torch.export.Dim("batch", min=1)} if self.request.dynamic_batch else None
        with tracing():
            return torch.export.export(
                self.source.model, (example,), dynamic_shapes=(batch,), strict=False
            )


@contextmanager
def tracing() -> Iterator[None]:
    """Trace a network for every batch, not for those of a size alone.

    Which library computes a convolution depends on the batch, so where there is a choice, the
    answer would become a condition of the program.
    """
    flags = torch.backends.mkldnn.flags(enabled=False), torch.backends.nnpack.flags(enabled=False)
    with torch.no_grad(), quiet(), flags[0], flags[1]:
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what torch's exporters say of their own insides from who asked for a file."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
