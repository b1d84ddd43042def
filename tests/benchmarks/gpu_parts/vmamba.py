"""VMamba's pipelines: in plain PyTorch, and with its CUDA scan, compiled beside the first parts."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from gpu_parts.common import DRY
from torch.nn.functional import softplus

BUILD = """
import sys, pathlib
from torch.utils.cpp_extension import load
root = pathlib.Path(sys.argv[1]).resolve() / "VMamba/kernels/selective_scan/csrc/selective_scan"
lost = pathlib.Path(sys.argv[2]) / "lost.h"
lost.write_text(sys.argv[3])
flags = ["-O3", "--expt-relaxed-constexpr", "--expt-extended-lambda", "--use_fast_math"]
flags += [f"-U__CUDA_NO_{n}__" for n in ("HALF_OPERATORS", "HALF_CONVERSIONS",
          "BFLOAT16_OPERATORS", "BFLOAT16_CONVERSIONS", "BFLOAT162_OPERATORS")]
names = ("selective_scan_oflex.cpp", "selective_scan_core_fwd.cu", "selective_scan_core_bwd.cu")
load("selective_scan_cuda_oflex", [str(root / "cusoflex" / n) for n in names],
     extra_cuda_cflags=[*flags, "-include", str(lost)], extra_include_paths=[str(root)],
     build_directory=sys.argv[2])
"""
LOST = """
#pragma once
#include <cub/cub.cuh>
#if __CUDACC_VER_MAJOR__ >= 13
namespace cub {
__device__ __forceinline__ void CTA_SYNC() { __syncthreads(); }
__device__ __forceinline__ unsigned LaneId() {
  unsigned lane;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  return lane;
}
}
#endif
"""
"""What CUDA 13 has lost and the peer's sources call."""


def vmamba_plain(x, x_proj, dt_weight, dt_bias, A_logs, Ds):
    """Scan a map as VMamba does: four materialised directions, a Python loop over positions."""
    batch, height, width, channels = x.shape
    rank, states = dt_weight.shape[2], A_logs.shape[1]
    rows = x.permute(0, 3, 1, 2)
    both = torch.stack([rows.flatten(2), rows.transpose(2, 3).flatten(2)], 1)
    rows = torch.cat([both, both.flip(3)], 1)
    codes = torch.einsum("bkdl,kcd->bkcl", rows, x_proj.view(4, -1, channels).to(x.dtype))
    code, B, C = codes.split([rank, states, states], 2)
    delta = torch.einsum("bkrl,kdr->bkdl", code, dt_weight.to(x.dtype))
    step = softplus(delta.float() + dt_bias[:, :, None])
    A = -torch.exp(A_logs).view(4, channels, states)
    state, out = torch.zeros(batch, 4, channels, states, device=x.device), []
    for t in range(height * width):
        d = step[..., t, None]
        drive = d * B[:, :, None, :, t].float() * rows[..., t, None].float()
        state = torch.exp(d * A) * state + drive
        out.append((state * C[:, :, None, :, t].float()).sum(3))
    y = torch.stack(out, 3) + Ds.view(4, channels, 1) * rows.float()
    y = y[:, :2] + y[:, 2:].flip(3)
    columns = y[:, 1].unflatten(2, (width, height)).transpose(2, 3).flatten(2)
    return (y[:, 0] + columns).transpose(1, 2).reshape(x.shape).to(x.dtype)


def vmamba_cuda(folder: Path):
    """Return VMamba's own pipeline with its CUDA scan and Triton reorderings, once it is built."""
    import peers

    orders = peers.load(folder / "VMamba/classification/models/csm_triton.py")
    scans = peers.load(folder / "VMamba/classification/models/csms6s.py")

    def core(x, x_proj, dt_weight, dt_bias, A_logs, Ds):
        batch, height, width, channels = x.shape
        rank, states = dt_weight.shape[2], A_logs.shape[1]
        rows = orders.cross_scan_fn(x.permute(0, 3, 1, 2).contiguous())
        codes = torch.einsum("bkdl,kcd->bkcl", rows, x_proj.view(4, -1, channels).to(x.dtype))
        code, B, C = codes.split([rank, states, states], 2)
        delta = torch.einsum("bkrl,kdr->bkdl", code, dt_weight.to(x.dtype))
        flat = (t.reshape(batch, -1, height * width).contiguous() for t in (rows, delta))
        A, bias = -torch.exp(A_logs), dt_bias.flatten()
        y = scans.selective_scan_fn(*flat, A, B.contiguous(), C.contiguous(), Ds, bias, True, True)
        merged = orders.cross_merge_fn(y.view(batch, 4, channels, height, width))
        return merged.view(batch, channels, -1).transpose(1, 2).reshape(x.shape).to(x.dtype)

    return core


def start_build(peers_folder: Path | None, out: Path):
    """Compile VMamba's scan in a process of its own, if its sources are there."""
    if DRY or peers_folder is None or not (peers_folder / "VMamba").is_dir():
        return None
    if any(peers_folder.glob("selective_scan_cuda_oflex*.so")):
        sys.path.append(str(peers_folder))
        return ()
    place = out.resolve() / "build"
    place.mkdir(parents=True, exist_ok=True)
    major, minor = torch.cuda.get_device_capability()
    env = os.environ | {"TORCH_CUDA_ARCH_LIST": f"{major}.{minor}", "MAX_JOBS": "3"}
    words = [sys.executable, "-c", BUILD, str(peers_folder), str(place), LOST]
    log = (place / "log").open("w")
    sys.path.append(str(place))
    return subprocess.Popen(words, env=env, stdout=log, stderr=log), place


def finish_build(building, seconds: float) -> str:
    """Wait for the build; say why it is not there, or nothing."""
    if building is None:
        return "no sources of VMamba given"
    if not building:
        return ""
    process, place = building
    try:
        failed = process.wait(max(seconds, 1))
    except subprocess.TimeoutExpired:
        process.kill()
        return "not built in time"
    return (place / "log").read_text()[-1500:] if failed else ""
