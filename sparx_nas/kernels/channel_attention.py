"""Attention among the channels of a map, as the aggregator of a ganglion layer has it.

Queries and keys may be smaller maps than values. Everywhere it is torch's own operators; the fused
kernels are for who names the backend `triton`, until a GPU has shown that a network gains by them.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from sparx_nas.kernels.backends import resolve, triton_attention
from sparx_nas.kernels.operator import leave_as_it_is
from sparx_nas.kernels.transforms import in_plain_torch, transformed


def channel_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    group: int,
    *,
    scale: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Return softmax(Q K^T / sqrt(H' W')) V within contiguous groups of `group` channels.

    query, key (B, C, H', W'); value and the result (B, C, H, W); C a multiple of `group`. `scale`
    (1,) takes the place of 1 / sqrt(H' W'), which depends on the image's size.

    Raises: DeviceError for a backend that is not there; ValueError for shapes that do not fit.
    Source: arXiv 2409.09649, sec. 3.3.
    """
    _check(query, key, value, group)
    if scale is not None:
        if scale.shape != (1,):
            raise ValueError(f"channel_attention: scale is {tuple(scale.shape)}, not (1,)")
        # The kernels divide by sqrt(H' W'): the query brings what is left to multiply with.
        query = query * (scale * (query.shape[2] * query.shape[3]) ** 0.5)
    if backend == "triton" and transformed(query, key, value):
        return in_plain_torch(partial(plain, group=group), (query, key, value), backend=backend)
    if backend == "triton":
        resolve(backend, value.device.type, value.dtype)
        out: Tensor = operator(query, key, value, group)[0]
        return out
    return plain(query, key, value, group)


def plain(query: Tensor, key: Tensor, value: Tensor, group: int) -> Tensor:
    """Compute `channel_attention` in operators of torch: the specification."""
    positions = query.shape[2] * query.shape[3]
    q, k, v = (t.flatten(2).unflatten(1, (-1, group)) for t in (query, key, value))
    weights = torch.softmax((q @ k.transpose(2, 3)) * positions**-0.5, dim=3)
    mixed: Tensor = (weights @ v).reshape(value.shape)
    return mixed


def _check(query: Tensor, key: Tensor, value: Tensor, group: int) -> None:
    """Raise a ValueError that names what does not fit."""
    if query.shape != key.shape or query.ndim != 4 or query.shape[:2] != value.shape[:2]:
        shapes = ", ".join(str(tuple(t.shape)) for t in (query, key, value))
        raise ValueError(
            "channel_attention takes query and key (B, C, H', W') and value (B, C, H, W), "
            f"not {shapes}"
        )
    if group < 1 or value.shape[1] % group:
        raise ValueError(f"channel_attention: {value.shape[1]} channels in groups of {group}")


@torch.library.custom_op("sparx_nas::channel_attention", mutates_args=())
def operator(query: Tensor, key: Tensor, value: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """Run the fused kernel; the second result, the softmax (B, C, group), is for the way back."""
    maps = [t.detach().to(value.dtype).contiguous() for t in (query, key, value)]
    mixed, weights = triton_attention().forward(*maps, group)
    return mixed, weights


@torch.library.custom_op("sparx_nas::channel_attention_backward", mutates_args=())
def operator_backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of query, key and value."""
    maps = [t.detach().to(value.dtype).contiguous() for t in (gradient, query, key, value)]
    of_query, of_key, of_value = triton_attention().backward(*maps, weights)
    return of_query.to(query.dtype), of_key.to(key.dtype), of_value


@operator.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, group: int) -> tuple[Tensor, Tensor]:
    weights = value.new_empty((*value.shape[:2], group), dtype=torch.float32)
    return value.new_empty(value.shape), weights


@operator_backward.register_fake
def _(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return query.new_empty(query.shape), key.new_empty(key.shape), value.new_empty(value.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(*inputs[:3], output[1])


def _gradients(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return *operator_backward(gradient, *ctx.saved_tensors), None


operator.register_autograd(_gradients, setup_context=_keep)
for _each in (operator, operator_backward):
    leave_as_it_is(_each)


@register_flop_formula(torch.ops.sparx_nas.channel_attention)
def flop(
    query: tuple[int, ...], key: object, value: tuple[int, ...], group: int, *a: object, **k: object
) -> int:
    """Return two a multiply-add of both products, as for the operators of torch."""
    places = query[2] * query[3] + value[2] * value[3]
    return 2 * value[0] * value[1] * group * places


@register_flop_formula(torch.ops.sparx_nas.channel_attention_backward)
def backward_flop(
    gradient: object,
    query: tuple[int, ...],
    key: object,
    value: tuple[int, ...],
    weights: tuple[int, ...],
    *a: object,
    **k: object,
) -> int:
    """Count twice the forward pass."""
    return 2 * flop(query, key, value, weights[2])
