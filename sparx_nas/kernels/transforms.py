"""Derivatives that kernels have not got: of derivatives, of each sample, in forward mode.

What is compiled knows first derivatives in reverse mode. For the rest plain PyTorch stands in:
slow, and differentiable in every way that torch knows.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch._C._functorch import TransformType, get_interpreter_stack
from torch.autograd import forward_ad

from sparx_nas.ground.errors import DeviceError


def transformed(*tensors: Tensor) -> bool:
    """Tell whether tensors are under vmap, forward mode or nested derivatives of torch.func."""
    if torch.compiler.is_compiling():
        return False
    stack = get_interpreter_stack()
    if stack:
        return [each.key() for each in stack] != [TransformType.Grad]
    dual = forward_ad._current_level >= 0
    return dual and any(forward_ad.unpack_dual(t).tangent is not None for t in tensors)


def differentiated_again() -> bool:
    """Tell, on the way back, whether the gradients will be differentiated (create_graph)."""
    compiling = torch.compiler.is_compiling()
    return torch.is_grad_enabled() and not compiling and not get_interpreter_stack()


def in_plain_torch(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], *, backend: str = "auto"
) -> Tensor:
    """Compute in float32, or float64 if the first input is, outside autocast.

    Raises: DeviceError if a kernel was asked for by name.
    """
    if backend != "auto":
        raise DeviceError(
            f"backend {backend!r} has first derivatives in reverse mode only, not those of "
            "vmap, of forward mode or of a second order",
            hint="backend='auto' or 'reference' can do this",
        )
    first = inputs[0]
    wide = torch.float64 if first.dtype == torch.float64 else torch.float32
    with torch.autocast(first.device.type, enabled=False):
        return function(*(t.to(wide) for t in inputs)).to(first.dtype)


def gradients_in_plain_torch(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], gradient: Tensor
) -> list[Tensor | None]:
    """Return the gradients of a function of tensors such that they can be differentiated again."""
    wanted = [t for t in inputs if t.requires_grad]
    with torch.enable_grad():
        found = iter(
            torch.autograd.grad(
                function(*inputs), wanted, gradient, create_graph=True, allow_unused=True
            )
        )
    return [next(found) if t.requires_grad else None for t in inputs]
