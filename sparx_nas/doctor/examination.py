"""What a machine has for sparx_nas: devices, versions, kernel backends and how right they are."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor

from sparx_nas.ground.errors import SparxError
from sparx_nas.kernels import BACKENDS, missing, resolve, ss2d
from sparx_nas.kernels.channel_attention import channel_attention
from sparx_nas.kernels.fusing import parts_told
from sparx_nas.kernels.library import library

PACKAGES = ("sparx-nas", "torch", "timm", "ray", "optuna", "triton", "mamba-ssm")
TOLERANCE = 1e-4
CHECKED = ((2, 5, 3, 19, 2, 1), (1, 8, 8, 64, 4, 1), (2, 4, 4, 32, 2, 4))
"""Maps that the check scans: batch, height, width, channels, rank, states."""


@dataclass(frozen=True)
class Backend:
    """A backend on this machine: why it is missing, or how far off its specification it is.

    `difference` is the largest of values and gradients over the specification's standard
    deviation; None where the backend cannot be used.
    """

    name: str
    about: str
    missing: str
    used: bool
    difference: float | None

    @property
    def right(self) -> bool:
        """Tell whether the backend agrees with the specification, or is not there to disagree."""
        return self.difference is None or self.difference <= TOLERANCE


@dataclass(frozen=True)
class Report:
    """All that `sparx-nas doctor` says."""

    system: str
    versions: Mapping[str, str]
    device: str
    cpu_kernels: str
    backends: tuple[Backend, ...]

    @property
    def right(self) -> bool:
        """Tell whether every backend that is there is right."""
        return all(backend.right for backend in self.backends)


def examine() -> Report:
    """Look at the machine and check every backend; about a second.

    Raises: DeviceError if a variable names a fused part that is not there.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Report(
        system=f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        versions={name: _version(name) for name in PACKAGES},
        device=_device(device),
        cpu_kernels=f"{_cpu_kernels()}; fused parts: {parts_told()}",
        backends=tuple(_backend(name, device) for name in BACKENDS),
    )


def _backend(name: str, device: str) -> Backend:
    """Say what a backend is here."""
    place = "cpu" if name == "cpu" else device
    reason = missing(name, place)
    return Backend(
        name=name,
        about=BACKENDS[name],
        missing=reason,
        used=name in (resolve("auto", place), resolve("auto", device)),
        difference=None if reason else _difference(name, place),
    )


def _difference(name: str, device: str) -> float:
    """Compare a backend with the specification in float64."""
    worst = 0.0
    for sizes in CHECKED:
        inputs = _inputs(*sizes)
        exact = _values([t.double() for t in inputs], "reference")
        got = _values([t.to(device) for t in inputs], name)
        for a, b in zip(got, exact, strict=True):
            scale = b.std().clamp_min(1e-6)
            worst = max(worst, float((a.double().cpu() - b).abs().max() / scale))
    return worst


def _values(inputs: list[Tensor], backend: str) -> list[Tensor]:
    """Return the results of a scan and of the channel attention on it, and all gradients."""
    leaves = [t.detach().requires_grad_() for t in inputs]
    y = ss2d(*leaves, backend=backend)
    maps = torch.tanh(y).permute(0, 3, 1, 2)
    mixed = channel_attention(maps, maps, maps, maps.shape[1], backend=backend)
    grads = torch.autograd.grad(y.square().sum() + mixed.square().sum(), leaves)
    return [y.detach(), mixed.detach(), *grads]


def _inputs(
    batch: int, height: int, width: int, channels: int, rank: int, states: int
) -> list[Tensor]:
    """Return a map and the five parameters of its scan."""
    shapes = [
        (batch, height, width, channels),
        (4 * (rank + 2 * states), channels, 1),
        (4, channels, rank),
        (4, channels),
        (4 * channels, states),
        (4 * channels,),
    ]
    scales = (1.0, channels**-0.5, rank**-0.5, 0.5, 0.3, 1.0)
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(s, generator=draw) * k for s, k in zip(shapes, scales, strict=True)]


def _cpu_kernels() -> str:
    """Say which compiled kernels are loaded."""
    try:
        found = library()
    except SparxError as error:
        return f"none: {error}"
    return f"{found.instruction_set} (of {', '.join(found.sets)}), {found.path}"


def _device(device: str) -> str:
    """Say what the trials would run on."""
    threads = f"CPU, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if device == "cuda":
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return f"{', '.join(names)}; {threads}"
    why = "torch sees none" if torch.version.cuda else "this torch is built without CUDA"
    return f"{threads}; no GPU ({why})"


def _version(package: str) -> str:
    """Return an installed version, or nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
