"""Products and sums beside the scans on a GPU: codes of a map, their gradients, directions summed.

Nothing is atomic: a sum over all places is made of parts that are written and added afterwards.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
import triton
from torch import Tensor

from sparx_nas.kernels import triton_sums_device
from sparx_nas.kernels.triton_tiles import TILES

KERNELS = {
    "project": triton_sums_device.project,
    "outer": triton_sums_device.outer,
    "merge": triton_sums_device.merge,
}
WIDE, VECTOR = 32, 8
PARTS = 512
"""Into how many parts a sum over all positions is cut at most."""


def project(x: Tensor, weight: Tensor, codes: Tensor) -> None:
    """Write x (K, places, D) . weight (K, wide, D) to the first columns of codes (places, ...)."""
    tile, (planes, wide, _) = TILES["project"], weight.shape
    count, stride = len(codes), codes[:1].numel()
    sizes = {"count": count, "wide": wide, "stride": stride, "step": stride // planes}
    tensors = {"x": x, "weight": weight, "codes": codes}
    programs = (triton.cdiv(count, tile.rows) * triton.cdiv(wide, WIDE), planes)
    launch(KERNELS["project"], programs, tile.warps, tensors | sizes | _constants("project", x))


def outer(codes: Tensor, x: Tensor) -> Tensor:
    """Return codes^T x (K, wide, D) for codes (K, places, wide) and x (K, places, D)."""
    tile, (planes, count, wide) = TILES["outer"], codes.shape
    channels, x = x.shape[-1], x.flatten(1, -2)
    share = triton.cdiv(triton.cdiv(max(count, 1), PARTS // planes), tile.rows) * tile.rows
    parts = triton.cdiv(count, share)
    sums = torch.empty(planes, parts, wide, channels, dtype=torch.float32, device=x.device)
    sizes = {"count": count, "wide": wide, "share": share}
    sizes |= {"stride": codes.stride(1), "step": codes.stride(0)}
    programs = (parts * triton.cdiv(wide, WIDE) * triton.cdiv(channels, tile.channels), planes)
    tensors = {"codes": codes, "x": x, "sums": sums}
    launch(KERNELS["outer"], programs, tile.warps, tensors | sizes | _constants("outer", x))
    return sums.sum(1)


def merge(
    parts: Tensor,
    x: Tensor,
    skip: Tensor,
    *,
    length: int,
    codes: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Return the sum of parts (K, ...) over K, of skip x, and of codes . weight, in x's type.

    x (B, places, D) has `length` places a sample; skip (sets, D), sample b takes that of b % sets.
    """
    tile, channels, sets = TILES["merge"], x.shape[-1], skip.numel() // max(x.shape[-1], 1)
    out, count = torch.empty(x.shape, dtype=x.dtype, device=x.device), x.numel() // max(channels, 1)
    sizes = {"count": count, "length": length, "sets": sets}
    tensors = {"parts": parts, "x": x, "skip": skip, "out": out}
    constants = _constants("merge", x) | {"DIRECTIONS": len(parts)}
    if codes is None or weight is None:
        tensors |= {"codes": skip, "weight": skip}
        sizes["wide"] = constants["WIDE"] = 0
    else:
        tensors |= {"codes": codes, "weight": weight}
        sizes["wide"] = len(weight)
    programs = (triton.cdiv(count, tile.rows) * triton.cdiv(channels, tile.channels),)
    launch(KERNELS["merge"], programs, tile.warps, tensors | sizes | constants)
    return out


def _constants(name: str, x: Tensor) -> dict[str, Any]:
    """Return what a kernel is compiled for, and the channels in its unit.

    Products of half-precision maps are TF32, which holds those exactly; others are made of three.
    """
    tile, channels = TILES[name], x.shape[-1]
    vector = 1 if channels % VECTOR or x.data_ptr() % 16 else VECTOR
    precision = "tf32x3" if x.dtype == torch.float32 else "tf32"
    found = {"ROWS": tile.rows, "WIDE": WIDE, "CHANNELS": tile.channels, "VECTOR": vector}
    return found | {"PRECISION": precision, "channels": channels // vector}


def launch(kernel: Any, programs: tuple[int, ...], warps: int, given: Mapping[str, Any]) -> None:
    """Run a kernel on the device that its maps are on, if there is anything to do."""
    x = given["x"] if "x" in given else given["gradient"]
    if not x.numel():
        return
    with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
        kernel[programs](**given, num_warps=warps)
