"""Attention among channels on a GPU, with queries and keys of another size than values.

A program has TILE channels of one group of one sample. It leaves their softmax in memory (g x g
numbers a group, few beside the maps), then walks over the places of the values. On the way back
one kernel goes by rows of that matrix and one by its columns; nothing is atomic. Sizes are run-time
arguments: three kernels in three types are all the binaries there can be.
"""

import torch
import triton
from torch import Tensor

from sparx_nas.kernels import triton_attention_device as device

TILE, PLACES, WARPS = 32, 64, 4
KERNELS = {
    "attention": device.forward,
    "attention back, rows": device.backward_rows,
    "attention back, columns": device.backward_columns,
}


def forward(query: Tensor, key: Tensor, value: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """Return the mixed map, as value, and the softmax (B, C, group) in float32.

    query, key (B, C, H', W') and value (B, C, H, W): contiguous, of one type.
    """
    mixed = torch.empty_like(value)
    weights = value.new_empty((*value.shape[:2], group), dtype=torch.float32)
    maps = {"query": query, "key": key, "value": value}
    _launch("attention", maps | {"weights": weights, "mixed": mixed}, query, value, group)
    return mixed, weights


def backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of query, key and value."""
    group, to_scores = weights.shape[2], torch.empty_like(weights)
    grads = [torch.empty_like(t) for t in (query, key, value)]
    both = {"gradient": gradient, "weights": weights, "to_scores": to_scores}
    by_rows = both | {"key": key, "value": value, "grad_query": grads[0]}
    _launch("attention back, rows", by_rows, query, value, group)
    by_columns = both | {"query": query, "grad_key": grads[1], "grad_value": grads[2]}
    _launch("attention back, columns", by_columns, query, value, group)
    return grads[0], grads[1], grads[2]


def _launch(
    name: str, tensors: dict[str, Tensor], query: Tensor, value: Tensor, group: int
) -> None:
    """Run a kernel over all groups of all samples, and tiles of channels."""
    if not value.numel():
        return
    small, large = (t.shape[2] * t.shape[3] for t in (query, value))
    kernel = KERNELS[name]
    scale = {"scale": small**-0.5} if "scale" in kernel.arg_names else {}
    with torch.cuda.device_of(value):
        kernel[(value.shape[0] * value.shape[1] // group, triton.cdiv(group, TILE))](
            **tensors,
            **scale,
            group=group,
            small=small,
            large=large,
            TILE=TILE,
            PLACES=PLACES,
            num_warps=WARPS,
        )
