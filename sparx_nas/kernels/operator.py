"""The scans as operators of torch: autograd, autocast, shapes without memory, FLOPs.

`sparx_nas::ss2d` and `sparx_nas::selective_scan` are opaque to torch.compile, so that no shape is
compiled anew; both keep their inputs only and compute states again on the way back.
"""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from sparx_nas.kernels import reference
from sparx_nas.kernels.backends import Scans, scans_for
from sparx_nas.kernels.reference import DIRECTIONS
from sparx_nas.kernels.transforms import (
    differentiated_again,
    gradients_in_plain_torch,
    in_plain_torch,
)


@torch.library.custom_op("sparx_nas::ss2d", mutates_args=())
def ss2d(
    x: Tensor,
    x_proj_weight: Tensor,
    dt_projs_weight: Tensor,
    dt_projs_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
    backend: str,
) -> Tensor:
    """Scan a map in four directions; see `sparx_nas.kernels.ss2d`."""
    inputs = (x, x_proj_weight, dt_projs_weight, dt_projs_bias, A_logs, Ds)
    scans = scans_for(backend, x)
    return scans.ss2d(*_wide(scans, 1, inputs)).to(x.dtype)


@torch.library.custom_op("sparx_nas::ss2d_backward", mutates_args=())
def ss2d_backward(
    gradient: Tensor,
    x: Tensor,
    x_proj_weight: Tensor,
    dt_projs_weight: Tensor,
    dt_projs_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x and of the five parameters."""
    inputs = (x, x_proj_weight, dt_projs_weight, dt_projs_bias, A_logs, Ds)
    scans = scans_for(backend, x)
    grads = scans.ss2d_backward(*_wide(scans, 2, (gradient, *inputs)))
    return tuple(_like(grads, inputs))  # type: ignore[return-value]


@torch.library.custom_op("sparx_nas::selective_scan", mutates_args=())
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    backend: str,
) -> Tensor:
    """Scan sequences in one direction; see `sparx_nas.kernels.selective_scan`."""
    inputs = (u, delta, A, B, C, D, delta_bias)
    scans = scans_for(backend, u)
    return scans.selective_scan(*_wide(scans, 1, inputs)).to(u.dtype)


@torch.library.custom_op("sparx_nas::selective_scan_backward", mutates_args=())
def selective_scan_backward(
    gradient: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of all seven inputs."""
    inputs = (u, delta, A, B, C, D, delta_bias)
    scans = scans_for(backend, u)
    grads = scans.selective_scan_backward(*_wide(scans, 2, (gradient, *inputs)))
    return tuple(_like(grads, inputs))  # type: ignore[return-value]


def _wide(scans: Scans, maps: int, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Bring tensors to float32, or float64 if the map is; they come out contiguous.

    The first so many are maps, which stay in half precision where a backend takes that.
    """
    wide = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    kept = maps if scans.halves else 0
    types = [tensors[0].dtype] * kept + [wide] * (len(tensors) - kept)
    return [t.detach().to(kind).contiguous() for t, kind in zip(tensors, types, strict=True)]


def _like(grads: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Bring gradients to the types of the inputs, each in memory of its own."""
    out: list[Tensor] = []
    for grad, tensor in zip(grads, inputs, strict=True):
        own = grad.to(tensor.dtype).contiguous()
        taken = {t.untyped_storage().data_ptr() for t in out}
        out.append(own.clone() if own.untyped_storage().data_ptr() in taken else own)
    return out


def _shape_of_first(first: Tensor, *rest: object) -> Tensor:
    """Return a result without memory: contiguous, as the first argument."""
    _keep_whole()
    return first.new_empty(first.shape)


def _keep_whole() -> None:
    """Tell Inductor, once it is loaded, to leave the scans whole though they can be taken apart.

    Where the variable CI is set it takes an operator with a decomposition, which ONNX needs, for a
    mistake. It asks for shapes before it comes to that.
    """
    lowering = sys.modules.get("torch._inductor.lowering")
    if lowering is not None:
        lowering.FALLBACK_ALLOW_LIST.update(("sparx_nas::ss2d", "sparx_nas::selective_scan"))


def _shapes_of_inputs(gradient: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
    """Return gradients without memory."""
    return tuple(t.new_empty(t.shape) for t in inputs[:-1])


def _join(op: Any, backward: Any, plain: Any) -> None:
    """Give an operator its shapes, its gradient and its place under autocast.

    `plain` is what it computes in operators of torch, for derivatives of its gradient.
    """

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:-1])
        ctx.backend = inputs[-1]

    def gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if differentiated_again():
            again = partial(_plainly, plain, ctx.backend)
            return *gradients_in_plain_torch(again, ctx.saved_tensors, gradient), None
        return *backward(gradient, *ctx.saved_tensors, ctx.backend), None

    op.register_fake(_shape_of_first)
    backward.register_fake(_shapes_of_inputs)
    op.register_autograd(gradients, setup_context=keep)
    for each in (op, backward):
        leave_as_it_is(each)


def _plainly(plain: Any, backend: str, *inputs: Tensor) -> Tensor:
    """Compute an operator in operators of torch."""
    return in_plain_torch(plain, inputs, backend=backend)


LIBRARY = torch.library.Library("sparx_nas", "FRAGMENT")


def leave_as_it_is(op: Any) -> None:
    """Under autocast, compute on the types that come: what has to be float32 inside is."""
    for device in ("CPU", "CUDA"):
        key = getattr(torch._C.DispatchKey, f"Autocast{device}")
        run = partial(_outside_autocast, op, torch._C.DispatchKeySet(key))
        LIBRARY.impl(op._opoverload._name.split("::")[1], run, f"Autocast{device}")


def _outside_autocast(op: Any, keys: Any, *args: Any) -> Any:
    """Run an operator without the named part of torch's dispatcher."""
    with torch._C._ExcludeDispatchKeyGuard(keys):
        return op(*args)


_join(ss2d, ss2d_backward, reference.ss2d)
_join(selective_scan, selective_scan_backward, reference.selective_scan)


def _map_macs(x_shape: Sequence[int], rank: int, states: int) -> int:
    """Count the multiply-adds of a map scan: both low-rank maps, and 4N + 1 an element."""
    batch, height, width, channels = x_shape
    directed = DIRECTIONS * batch * height * width * channels
    return directed * (rank + 2 * states) + directed * rank + directed * (4 * states + 1)


@register_flop_formula(torch.ops.sparx_nas.ss2d)
def ss2d_flop(
    x_shape: Sequence[int],
    x_proj: object,
    dt: Sequence[int],
    bias: object,
    A: Sequence[int],
    *args: object,
    **kwargs: object,
) -> int:
    """Return two a multiply-add, as FlopCounterMode counts."""
    return 2 * _map_macs(x_shape, dt[2], A[1])


@register_flop_formula(torch.ops.sparx_nas.ss2d_backward)
def ss2d_backward_flop(
    gradient: object,
    x_shape: Sequence[int],
    x_proj: object,
    dt: Sequence[int],
    bias: object,
    A: Sequence[int],
    *args: object,
    **kwargs: object,
) -> int:
    """Count twice the forward pass, as the formulas of torch's own operators do."""
    return 4 * _map_macs(x_shape, dt[2], A[1])


@register_flop_formula(torch.ops.sparx_nas.selective_scan)
def selective_scan_flop(
    u: Sequence[int], delta: object, A: Sequence[int], *args: object, **kwargs: object
) -> int:
    """Count 4N + 1 multiply-adds an element."""
    batch, channels, length = u
    return 2 * batch * channels * length * (4 * A[1] + 1)


@register_flop_formula(torch.ops.sparx_nas.selective_scan_backward)
def selective_scan_backward_flop(
    gradient: object,
    u: Sequence[int],
    delta: object,
    A: Sequence[int],
    *args: object,
    **kwargs: object,
) -> int:
    """Count twice the forward pass."""
    return 2 * selective_scan_flop(u, delta, A)
