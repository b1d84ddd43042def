"""The selective scan behind one function each, whatever computes it.

`reference` is the specification; `backends` says what else there is and when it is used.
"""

import torch
from torch import Tensor

from sparx_nas.kernels import export, operator, packages, reference
from sparx_nas.kernels.backends import BACKENDS, check_name, in_use, missing, resolve
from sparx_nas.kernels.transforms import in_plain_torch, transformed

__all__ = [
    "BACKENDS",
    "check_name",
    "in_use",
    "missing",
    "resolve",
    "selective_scan",
    "ss2d",
    "warm",
]


export.register()


def ss2d(
    x: Tensor,
    x_proj_weight: Tensor,
    dt_projs_weight: Tensor,
    dt_projs_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
    *,
    backend: str = "auto",
) -> Tensor:
    """Scan a map in four directions and sum the results; x and the result are (B, H, W, D).

    x_proj_weight (4*(R+2N), D, 1), dt_projs_weight (4, D, R), dt_projs_bias (4, D), A_logs
    (4*D, N), Ds (4*D,): the parameters of the official model. H, W >= 1, any D, N and R. The
    result is before `out_norm`, in the type of x; states are float32, or float64 if x is.

    Raises: DeviceError for a backend that is not there; ValueError for shapes that do not fit.
    Source: arXiv 2401.10166 (VMamba).
    """
    inputs = (x, x_proj_weight, dt_projs_weight, dt_projs_bias, A_logs, Ds)
    check_name(backend)
    _check_map(*inputs)
    if backend == "reference":
        return reference.ss2d(*inputs)
    if backend == "mamba_ssm":
        return packages.ss2d(*inputs)
    if transformed(*inputs):
        return in_plain_torch(reference.ss2d, inputs, backend=backend)
    y: Tensor = operator.ss2d(*inputs, backend)
    return y


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    *,
    backend: str = "auto",
) -> Tensor:
    """Scan sequences in one direction with softplus(delta + delta_bias); y has the shape of u.

    u, delta (B, K*D, L); A (K*D, N), negative; B, C (B, K, N, L); D, delta_bias (K*D,).

    Raises: DeviceError for a backend that is not there; ValueError for shapes that do not fit.
    Source: arXiv 2312.00752 (Mamba), whose package has a function of this name.
    """
    inputs = (u, delta, A, B, C, D, delta_bias)
    check_name(backend)
    _check_sequences(*inputs)
    if backend == "reference":
        return reference.selective_scan(*inputs)
    if backend == "mamba_ssm":
        return packages.selective_scan(*inputs)
    if transformed(*inputs):
        return in_plain_torch(reference.selective_scan, inputs, backend=backend)
    y: Tensor = operator.selective_scan(*inputs, backend)
    return y


def warm(device: torch.device) -> None:
    """Compile what trainings on a device need, forward and back, into the cache all share.

    That is `TRITON_CACHE_DIR`, or `triton` in this package's own cache folder.
    """
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.zeros(1, 2, 2, 4, device=device, dtype=dtype, requires_grad=True)
        shapes = ((12, 4, 1), (4, 4, 1), (4, 4), (16, 1), (16,))
        ss2d(x, *(torch.zeros(shape, device=device) for shape in shapes)).sum().backward()


def _check_map(
    x: Tensor, x_proj: Tensor, dt_weight: Tensor, dt_bias: Tensor, A_logs: Tensor, Ds: Tensor
) -> None:
    """Raise a ValueError that names the first argument of a shape that does not fit."""
    if x.ndim != 4 or dt_weight.ndim != 3 or A_logs.ndim != 2:
        raise ValueError(
            f"ss2d takes x (B, H, W, D), dt_projs_weight (4, D, R) and A_logs (4*D, N), not "
            f"{tuple(x.shape)}, {tuple(dt_weight.shape)} and {tuple(A_logs.shape)}"
        )
    D, R, N = x.shape[3], dt_weight.shape[2], A_logs.shape[1]
    _check(
        "ss2d",
        ("x_proj_weight", x_proj, (4 * (R + 2 * N), D, 1)),
        ("dt_projs_weight", dt_weight, (4, D, R)),
        ("dt_projs_bias", dt_bias, (4, D)),
        ("A_logs", A_logs, (4 * D, N)),
        ("Ds", Ds, (4 * D,)),
    )


def _check_sequences(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> None:
    """Raise a ValueError that names the first argument of a shape that does not fit."""
    if u.ndim != 3 or A.ndim != 2 or B.ndim != 4 or not B.shape[1] or u.shape[1] % B.shape[1]:
        raise ValueError(
            f"selective_scan takes u (B, K*D, L), A (K*D, N) and B (B, K, N, L), not "
            f"{tuple(u.shape)}, {tuple(A.shape)} and {tuple(B.shape)}"
        )
    batch, wide, length = u.shape
    rows = (batch, B.shape[1], A.shape[1], length)
    _check(
        "selective_scan",
        ("delta", delta, (batch, wide, length)),
        ("A", A, (wide, A.shape[1])),
        ("B", B, rows),
        ("C", C, rows),
        ("D", D, (wide,)),
        ("delta_bias", delta_bias, (wide,)),
    )


def _check(function: str, *arguments: tuple[str, Tensor, tuple[int, ...]]) -> None:
    """Compare shapes."""
    for name, tensor, shape in arguments:
        if tensor.shape != shape:
            raise ValueError(f"{function}: {name} is {tuple(tensor.shape)}, not {shape}")
