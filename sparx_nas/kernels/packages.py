"""The scans with the mamba-ssm package's CUDA kernel, where it is installed with one."""

from importlib import import_module

import torch
from torch import Tensor

from sparx_nas.kernels.backends import resolve
from sparx_nas.kernels.reference import DIRECTIONS, scan_order


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan sequences in one direction.

    Raises: DeviceError if the package or its CUDA scan is not there.
    """
    resolve("mamba_ssm", u.device.type, u.dtype)
    scan = import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
    y: Tensor = scan(
        u, delta, A.float(), B, C, D.float(), delta_bias=delta_bias.float(), delta_softplus=True
    )
    return y


def ss2d(
    x: Tensor, x_proj: Tensor, dt_weight: Tensor, dt_bias: Tensor, A_logs: Tensor, Ds: Tensor
) -> Tensor:
    """Scan a map as four materialised sequences.

    Raises: DeviceError as `selective_scan` does.
    """
    resolve("mamba_ssm", x.device.type, x.dtype)
    batch, height, width, channels = x.shape
    rank, states = dt_weight.shape[2], A_logs.shape[1]
    orders = [scan_order(k, height, width).to(x.device) for k in range(DIRECTIONS)]
    flat = x.flatten(1, 2)
    rows = torch.stack([flat[:, order] for order in orders], dim=1)
    maps = x_proj.view(DIRECTIONS, rank + 2 * states, channels)
    codes = torch.einsum("bkld,kcd->bkcl", rows, maps)
    code, B, C = codes.split([rank, states, states], dim=2)
    y = selective_scan(
        rows.transpose(2, 3).flatten(1, 2),
        torch.einsum("bkrl,kdr->bkdl", code, dt_weight).flatten(1, 2),
        -torch.exp(A_logs.float()),
        B.contiguous(),
        C.contiguous(),
        Ds,
        dt_bias.flatten(),
    ).view(batch, DIRECTIONS, channels, -1)
    merged = torch.zeros_like(flat)
    for k, order in enumerate(orders):
        merged = merged.index_add(1, order, y[:, k].transpose(1, 2).to(flat.dtype))
    return merged.view_as(x)
