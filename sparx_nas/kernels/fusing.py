"""Whole parts of a block as one operator each on a CPU: which are on, and when they stand in.

A part computes what its modules compute, in values and gradients, with few operators and a
backward pass of its own. It stands in only where nobody could tell but by a clock: no hook on its
modules, no module put in the place of another, no tracing, no autocast. `optimiser` is no part of a
block: it has a trial's parameters lie end to end in memory (`trial/flat.py`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack
from torch.nn.modules import module as all_modules

from sparx_nas.ground.errors import DeviceError
from sparx_nas.kernels.backends import missing
from sparx_nas.kernels.transforms import transformed

PARTS = (
    *("depthwise", "norm", "projection", "scan", "feed_forward"),
    *("aggregator", "optimiser"),
)
VARIABLE = "SPARX_NAS_FUSED"
"""all, none, or names of parts with commas between; `all,-scan` is all but one."""

_chosen: ContextVar[frozenset[str] | None] = ContextVar("chosen", default=None)


def parts_on() -> frozenset[str]:
    """Return the parts that may stand in.

    Raises: DeviceError if the variable names a part that is not there.
    """
    chosen = _chosen.get()
    return _read(os.environ.get(VARIABLE) or "all") if chosen is None else chosen


def parts_told() -> str:
    """Say which parts may stand in.

    Raises: DeviceError as `parts_on`.
    """
    on = parts_on()
    if len(on) == len(PARTS):
        return "all"
    return ", ".join(name for name in PARTS if name in on) or "none"


@contextmanager
def only(*parts: str) -> Iterator[None]:
    """Let these parts stand in within the block, and no others.

    Raises: DeviceError for a part that is not there.
    """
    token = _chosen.set(_read(",".join(parts) or "none"))
    try:
        yield
    finally:
        _chosen.reset(token)


def stands_in(part: str, x: Tensor, *modules: tuple[nn.Module, type[nn.Module]]) -> bool:
    """Tell whether a part may compute a map x (B, C, H, W) in place of modules of these types."""
    return (
        type(x) is Tensor
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.numel() > 0
        and part in parts_on()
        and all(type(module) is kind and _plain(module) for module, kind in modules)
        and not _watched()
        and not transformed(x)
        and not missing("cpu")
    )


def keeps_size(conv: nn.Conv2d, *, groups: int, stride: int = 1) -> bool:
    """Tell whether a convolution has a square kernel, half of it as padding, and these settings."""
    kernel = conv.weight.shape[2]
    return (
        conv.weight.shape[3] == kernel
        and conv.stride == (stride, stride)
        and conv.padding == (kernel // 2, kernel // 2)
        and conv.dilation == (1, 1)
        and conv.padding_mode == "zeros"
        and conv.groups == groups
        and conv.weight.shape[1] * groups == conv.in_channels
    )


def rows_of(x: Tensor) -> Tensor:
    """Return a map (B, C, H, W) as (B, H, W, C), contiguous: without a copy if channels-last."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


def _plain(module: nn.Module) -> bool:
    """Tell whether a module has float32 parameters on the CPU and no hooks."""
    hooks = (
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )
    parameters = module._parameters.values()
    return not hooks and all(
        p is None
        or (type(p) is nn.Parameter and p.dtype == torch.float32 and p.device.type == "cpu")
        for p in parameters
    )


def _watched() -> bool:
    """Tell whether somebody looks at single operators or modules: compilers, modes, autocast."""
    return bool(
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[no-untyped-call,attr-defined]
        or torch.is_autocast_enabled("cpu")
        or peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or all_modules._has_any_global_hook()
    )


@cache
def _read(text: str) -> frozenset[str]:
    """Read names of parts.

    Raises: DeviceError for one that is not there.
    """
    on: set[str] = set()
    for word in (word.strip() for word in text.split(",")):
        name = word.removeprefix("-")
        if name not in (*PARTS, "all", "none"):
            known = ", ".join(PARTS)
            raise DeviceError(f"{VARIABLE}: no part {name!r}", hint=f"all, none, or of {known}")
        named = set(PARTS) if name == "all" else {name} - {"none"}
        on = on - named if word.startswith("-") else on | named
    return frozenset(on)
