"""The processes of a training: who this one is, and what they agree on.

`torchrun` starts them and says so in the environment; without it there is one.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from sparx_nas.ground.errors import DeviceError
from sparx_nas.trial.device import resolve_device

FEW_IMAGES = 20_000
"""Fewer images than this are decoded by the training process itself."""

JOINED: list[object] = []
"""Groups joined so far, held until the process ends. DDP lets go of its group with Python's lock
held, and if that was the last to hold it, waits for a thread that waits for the lock."""


@dataclass(frozen=True)
class World:
    """One process among `size`, numbered by `rank` from 0, and its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def totals(self, values: Sequence[float]) -> list[float]:
        """Sum numbers over all processes, in float64, away from the GPU."""
        total = torch.tensor(values, dtype=torch.float64)
        if self.size > 1:
            dist.all_reduce(total)
        return [float(value) for value in total]

    def any(self, flag: bool) -> bool:
        """Tell whether any process says so."""
        return self.totals([float(flag)])[0] > 0 if self.size > 1 else flag

    def together(self, found: Mapping[str, str]) -> dict[str, str]:
        """Join the dictionaries of all processes."""
        boxes: list[Mapping[str, str] | None] = [found] * self.size
        if self.size > 1:
            dist.all_gather_object(boxes, dict(found))
        return {key: value for box in boxes if box for key, value in box.items()}

    def of_first(self, text: str) -> str:
        """Return the first process's text."""
        box = [text]
        if self.size > 1:
            dist.broadcast_object_list(box, src=0)
        return box[0]


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Join the processes that torchrun started, or be the only one.

    `device` is auto, cpu or cuda; with several GPUs each process takes that of its local rank.

    Raises: DeviceError if a GPU is asked for and not there, or there are fewer than processes.
    """
    kind = resolve_device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(0, 1, kind)
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if kind.type == "cuda":
        here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", size)), torch.cuda.device_count()
        if here > gpus:
            raise DeviceError(
                f"{here} processes of this machine want a GPU each; there are {gpus}",
                hint="give torchrun as many processes as there are GPUs, or --device cpu",
            )
        kind = torch.device("cuda", local)
        torch.cuda.set_device(kind)
    dist.init_process_group("cpu:gloo,cuda:nccl" if kind.type == "cuda" else "gloo")
    JOINED.append(dist.group.WORLD)
    try:
        yield World(dist.get_rank(), size, kind)
    finally:
        dist.destroy_process_group()


def workers_here(asked: int | None, *, images: int, in_memory: bool) -> int:
    """Return how many processes decode images for this one: as asked, or by what there is to do.

    A small set is quicker without; else the processors are shared out, up to 8 each.
    """
    if asked is not None:
        return asked
    if in_memory or images < FEW_IMAGES:
        return 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(8, (os.cpu_count() or 1) // here))
