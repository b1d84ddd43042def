"""A compiled part as a node of autograd: its memory, and gradients in their shapes."""

import ctypes
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparx_nas.kernels.fused import plainly
from sparx_nas.kernels.fusing import rows_of
from sparx_nas.kernels.library import fresh, library
from sparx_nas.kernels.tasks import PartTask
from sparx_nas.kernels.transforms import differentiated_again

LARGEST_ROOM = 2**24
"""Floats, 64 MiB, that a thread keeps between parts."""

_own = threading.local()


@dataclass(frozen=True)
class Part:
    """What a part is asked: its task, settings and numbers, and how much there is of each weight.

    `outputs` is the channels of the result, `plain` computes the same in operators of torch.
    `buffers` take no gradient: what a part reads, or keeps up to date, besides its weights.
    """

    kind: type[PartTask]
    settings: tuple[float, ...]
    counts: Sequence[int]
    outputs: int
    plain: Callable[..., Tensor]
    buffers: Sequence[Tensor | None] = ()

    def __call__(self, *tensors: Tensor | None) -> Tensor:
        """Compute the part of its maps (B, C, H, W), then its weights; the result is a map."""
        out: Tensor = _Node.apply(self, *tensors)  # type: ignore[no-untyped-call]
        return out


class _Node(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Part, *tensors: Tensor | None) -> Tensor:
        maps = len(tensors) - len(part.kind.WEIGHTS)
        _check(part, tensors[:maps], tensors[maps:])  # type: ignore[arg-type]
        given = [rows_of(t) for t in tensors[:maps]]  # type: ignore[arg-type]
        weights = _by_rows(tensors[maps:])
        y = given[-1].new_empty(*given[-1].shape[:3], part.outputs)
        size, way = _floats(part.kind, part.settings, 0)
        kept, room = fresh(y, size), _room(y, way)
        places = _places(*given, *weights, *part.buffers, y, kept, room)
        _run(part, "forward", places)
        ctx.part = part
        ctx.save_for_backward(*tensors, *given, kept)
        return y.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        part, count = ctx.part, len(ctx.needs_input_grad) - 1
        saved, maps = ctx.saved_tensors, count - len(part.kind.WEIGHTS)
        tensors = saved[:count]
        if differentiated_again():
            return None, *plainly.differentiable(part.plain, tensors, gradient)
        *given, kept = saved[count:]
        weights = _by_rows(tensors[maps:])
        g, to = rows_of(gradient), [fresh(rows) for rows in given]
        grads = g.new_empty(sum(part.counts))
        room = _room(g, _floats(part.kind, part.settings, 1)[1])
        places = _places(*given, *weights, *part.buffers, None, kept, room, g, *to, grads)
        _run(part, "backward", places)
        found = grads.split_with_sizes(part.counts)
        of_weights = [
            None if w is None else grad if w.ndim == 1 else grad.view(w.shape)
            for w, grad in zip(weights, found, strict=True)
        ]
        return None, *(rows.permute(0, 3, 1, 2) for rows in to), *of_weights


def _check(part: Part, maps: Sequence[Tensor], weights: Sequence[Tensor | None]) -> None:
    """Refuse what is of another size than the part reads without looking.

    Raises: ValueError that names it.
    """
    name, first = part.kind.NAME, maps[0].shape
    if any(each.shape[2:] != first[2:] or len(each) != first[0] for each in maps):
        raise ValueError(f"{name}: maps of other sizes, {[tuple(each.shape) for each in maps]}")
    for which, weight, count in zip(part.kind.WEIGHTS, weights, part.counts, strict=True):
        if weight is not None and weight.numel() != count:
            shape = tuple(weight.shape)
            raise ValueError(f"{name}: {which} is {shape}, where {count} numbers are needed")


def _by_rows(weights: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return weights that lie in memory as they are read; most do."""
    return [w if w is None or w.is_contiguous() else w.contiguous() for w in weights]


def _places(*tensors: Tensor | None) -> list[int | None]:
    """Return where tensors lie; None where there is none."""
    return [None if t is None else t.data_ptr() for t in tensors]


def _run(part: Part, way: str, places: Sequence[int | None]) -> None:
    """Call the compiled part."""
    task = part.kind(*part.settings, _blas(), *places)
    library().call(f"sparx_{part.kind.NAME}_{way}", task)


@lru_cache(maxsize=1024)
def _floats(kind: type[PartTask], settings: tuple[float, ...], back: int) -> tuple[int, int]:
    """Return how many floats a part of these settings keeps, and has to have room for."""
    handle, task, sizes = library().handle, ctypes.byref(kind(*settings)), []
    for name, *more in (("kept",), ("room", back)):
        function = getattr(handle, f"sparx_{kind.NAME}_{name}")
        function.restype = ctypes.c_int64
        sizes.append(function(task, *more))
    return sizes[0], sizes[1]


def _room(like: Tensor, floats: int) -> Tensor:
    """Return memory for the way, which every part of a thread uses after the other.

    Memory that is given back after each use would be taken from the system again and again, a page
    fault for every 4 KiB. What is very large is given back all the same.
    """
    if floats > LARGEST_ROOM:
        return fresh(like, floats)
    room: Tensor | None = getattr(_own, "room", None)
    if room is None or room.numel() < floats:
        room = _own.room = torch.empty(floats)
    return room


@cache
def _blas() -> int | None:
    """Return where torch's own single-precision matrix product is; None if it does not say."""
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        path = Path(torch.__file__).parent / "lib" / name
        if path.is_file():
            found = getattr(ctypes.CDLL(str(path)), "sgemm_", None)
            return ctypes.cast(found, ctypes.c_void_p).value if found else None
    return None
