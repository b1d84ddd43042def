"""Public implementations of the scan, as whoever runs a benchmark has fetched them; none is ours.

A folder holds checkouts by these names; what is not there is left out and said in the record:
`mamba` (state-spaces/mamba), `VMamba` (MzeroMiko/VMamba), `mambapy` (alxndrTL/mamba.py),
`mamba-mini` (MzeroMiko/mamba-mini); einops has to be installed for the first.
"""

import contextlib
import importlib.util
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import torch
from torch import Tensor
from torch.nn.functional import softplus

Function = Callable[..., Tensor]
NOT_NEEDED = (
    *("mamba_ssm", "mamba_ssm.utils", "mamba_ssm.utils.torch"),
    *("mamba_ssm.ops", "mamba_ssm.ops.triton", "mamba_ssm.ops.triton.layer_norm"),
)
"""What the peers' files import and their plain functions do not use."""


def load(file: Path) -> ModuleType:
    """Import a file of a peer by its path."""
    for name in NOT_NEEDED:
        sys.modules.setdefault(name, MagicMock())
    spec = importlib.util.spec_from_file_location(f"peer_{file.stem}", file)
    assert spec is not None and spec.loader is not None, file  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    return module


def scans(folder: Path) -> dict[str, Function]:
    """Return the one-direction scans that are there, with the arguments of our own."""
    makers = {
        "mamba-ssm selective_scan_ref": (
            "mamba/mamba_ssm/ops/selective_scan_interface.py",
            _reference,
        ),
        "VMamba selective_scan_torch": ("VMamba/classification/models/csms6s.py", _vmamba),
        "mambapy pscan": ("mambapy/mambapy/pscan.py", _pscan),
        "mamba-mini selective_scan_easy": ("mamba-mini/test_selective_scan_easy.py", _mini),
    }
    files = {name: (folder / place, make) for name, (place, make) in makers.items()}
    return {name: make(load(file)) for name, (file, make) in files.items() if file.is_file()}


def cores(folder: Path) -> dict[str, Function]:
    """Return the whole four-direction cores that are there, with the arguments of our own."""
    models = folder / "VMamba/classification/models"
    if not models.is_dir():
        return {}
    orders, scans = load(models / "csm_triton.py"), load(models / "csms6s.py")
    out = {"VMamba, torch path": _vmamba_core(orders, scans.selective_scan_torch)}
    if scans.WITH_SELECTIVESCAN_OFLEX and torch.cuda.is_available():
        out["VMamba, CUDA scan"] = _vmamba_core(orders, scans.selective_scan_fn)
    return out


def _vmamba_core(orders: ModuleType, scan: Function) -> Function:
    """Return VMamba's four-direction core with one of its scans."""

    def core(
        x: Tensor, x_proj: Tensor, dt_weight: Tensor, dt_bias: Tensor, A_logs: Tensor, Ds: Tensor
    ) -> Tensor:
        batch, height, width, channels = x.shape
        rank, states = dt_weight.shape[2], A_logs.shape[1]
        # The map comes in the layout that this peer likes best.
        rows = orders.CrossScanF.apply(x.permute(0, 3, 1, 2).contiguous())
        codes = torch.einsum("bkdl,kcd->bkcl", rows, x_proj.view(4, -1, channels))
        code, B, C = codes.split([rank, states, states], dim=2)
        delta = torch.einsum("bkrl,kdr->bkdl", code, dt_weight)
        y = scan(
            rows.reshape(batch, -1, height * width),
            delta.reshape(batch, -1, height * width),
            -torch.exp(A_logs),
            B.contiguous(),
            C.contiguous(),
            Ds,
            dt_bias.flatten(),
            True,
        )
        merged = orders.CrossMergeF.apply(y.view(batch, 4, channels, height, width))
        return merged.view(batch, channels, height, width).permute(0, 2, 3, 1)

    return core


def _reference(module: ModuleType) -> Function:
    def scan(u, delta, A, B, C, D, bias):
        return module.selective_scan_ref(u, delta, A, B, C, D, None, bias, delta_softplus=True)

    return scan


def _vmamba(module: ModuleType) -> Function:
    return module.selective_scan_torch


def _mini(module: ModuleType) -> Function:
    def scan(u, delta, A, B, C, D, bias):
        return module.selective_scan_easy(u, delta, A, B, C, D, bias, True, chunksize=64)

    return scan


def _pscan(module: ModuleType) -> Function:
    def scan(u, delta, A, B, C, D, bias):
        wide = u.shape[1] // B.shape[1]
        B, C = (t.repeat_interleave(wide, dim=1).permute(0, 3, 1, 2) for t in (B, C))
        step = softplus(delta + bias[:, None]).transpose(1, 2).unsqueeze(3)
        drive = step * B * u.transpose(1, 2).unsqueeze(3)
        states = module.pscan(torch.exp(step * A), drive)
        return (states * C).sum(3).transpose(1, 2) + D[:, None] * u

    return scan
