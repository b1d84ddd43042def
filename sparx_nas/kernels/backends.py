"""Which code computes the scans: backends by name, what each needs, and what `auto` takes."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

from sparx_nas.command.typed import typed
from sparx_nas.ground.errors import DeviceError, did_you_mean
from sparx_nas.kernels import cpu, linear
from sparx_nas.kernels.library import cache_folder, library, why_missing

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scans:
    """The four functions of a backend, outside autograd; arguments as in `reference`.

    The backward ones take the gradient of the result first and return those of all arguments.
    `halves` says that they take maps of half precision; elsewhere those come in float32.
    """

    ss2d: Callable[..., Tensor]
    ss2d_backward: Callable[..., tuple[Tensor, ...]]
    selective_scan: Callable[..., Tensor]
    selective_scan_backward: Callable[..., tuple[Tensor, ...]]
    halves: bool = False


TORCH = Scans(
    linear.ss2d, linear.ss2d_backward, linear.selective_scan, linear.selective_scan_backward
)
CPU = Scans(cpu.ss2d, cpu.ss2d_backward, cpu.selective_scan, cpu.selective_scan_backward)

BACKENDS: Mapping[str, str] = {
    "triton": "fused kernels on a GPU",
    "cpu": "compiled kernels on a CPU, float32",
    "torch": "pure PyTorch in linear time, any device and type",
    "mamba_ssm": "the mamba-ssm package's CUDA scan between torch's reorderings",
    "reference": "the specification, slow",
}
"""Backends by name, and what each is; `auto` takes triton, cpu or torch."""


@cache
def triton_scans() -> Scans:
    """Return the Triton backend; triton is imported here.

    Raises: ImportError without triton.
    """
    module = _import_triton("triton_ss2d")
    return Scans(
        module.ss2d,
        module.ss2d_backward,
        module.selective_scan,
        module.selective_scan_backward,
        halves=True,
    )


@cache
def triton_attention() -> ModuleType:
    """Return the fused channel attention; triton is imported here.

    Raises: ImportError without triton.
    """
    return _import_triton("triton_attention")


def _import_triton(name: str) -> ModuleType:
    """Import a module of Triton kernels; they share one cache of binaries with all processes.

    It is said, not left to Triton: other users of it in the process may move its default.
    """
    os.environ.setdefault("TRITON_CACHE_DIR", str(cache_folder() / "triton"))
    return import_module(f"sparx_nas.kernels.{name}")


def check_name(backend: str) -> None:
    """Raise a DeviceError for a name that is no backend."""
    if backend != "auto" and backend not in BACKENDS:
        known = ", ".join(["auto", *BACKENDS])
        raise DeviceError(
            f"no kernel backend {backend!r}; there are {known}.{did_you_mean(backend, BACKENDS)}"
        )


def missing(backend: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> str:
    """Say why a backend cannot be used for tensors of a device and type; empty if it can."""
    if backend == "triton":
        return _triton_missing(device, dtype)
    if backend == "cpu":
        return _cpu_missing(device, dtype)
    if backend == "mamba_ssm":
        return _mamba_missing(device)
    return ""


def choose(device: str, dtype: torch.dtype) -> str:
    """Return the fastest backend there is for tensors of a device and type."""
    fast = "triton" if device == "cuda" else "cpu"
    if device not in ("cpu", "cuda") or dtype == torch.float64:
        return "torch"
    reason = missing(fast, device, dtype)
    if not reason:
        return fast
    _say_once(fast, reason)
    return "torch"


def resolve(backend: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> str:
    """Return the backend that a name stands for; `auto` is the fastest there is.

    Raises: DeviceError for an unknown name, or a backend that is not there, with the reason.
    """
    check_name(backend)
    if backend == "auto":
        return choose(device, dtype)
    reason = missing(backend, device, dtype)
    if reason:
        hint = f"{typed('doctor')} lists what is there; backend='auto' takes the fastest"
        raise DeviceError(f"the kernel backend '{backend}' cannot be used: {reason}", hint=hint)
    return backend


def in_use(device: str) -> str:
    """Say what `auto` takes on a device, and why it is not the fastest if it is not."""
    name = choose(device, torch.float32)
    if name == "cpu":
        return f"cpu kernels ({library().instruction_set})"
    fast = "triton" if device == "cuda" else "cpu"
    return f"{name} kernels" + (f", for {missing(fast, device)}" if name == "torch" else "")


def scans_for(backend: str, tensor: Tensor) -> Scans:
    """Return the functions that compute on tensors like one.

    Raises: DeviceError as `resolve` does.
    """
    if tensor.is_meta:
        return TORCH
    name = resolve(backend, tensor.device.type, tensor.dtype)
    return triton_scans() if name == "triton" else CPU if name == "cpu" else TORCH


def interpreted() -> bool:
    """Tell whether Triton interprets its kernels on the CPU, as its variable asks."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _triton_missing(device: str, dtype: torch.dtype) -> str:
    if find_spec("triton") is None:
        return "triton is not installed (pip install 'sparx-nas[cuda]')"
    if dtype == torch.float64:
        return "it computes in float32; float64 takes backend='torch'"
    if device == "cuda" or (device == "cpu" and interpreted()):
        return ""
    return f"it needs a CUDA device, not {device}"


def _cpu_missing(device: str, dtype: torch.dtype) -> str:
    if device != "cpu":
        return f"it needs the CPU, not {device}"
    if dtype == torch.float64:
        return "it computes in float32; float64 takes backend='torch'"
    return why_missing()


def _mamba_missing(device: str) -> str:
    if find_spec("mamba_ssm") is None:
        return "mamba-ssm is not installed (pip install 'sparx-nas[cuda]')"
    if find_spec("selective_scan_cuda") is None:
        return (
            "this mamba-ssm was built without its CUDA scan; "
            "MAMBA_KEEP_CUDA_BUILD=TRUE pip install --no-binary mamba-ssm mamba-ssm builds it"
        )
    return "" if device == "cuda" else f"it needs a CUDA device, not {device}"


@cache
def _say_once(fast: str, reason: str) -> None:
    LOG.warning("kernels: torch instead of %s: %s", fast, reason)
