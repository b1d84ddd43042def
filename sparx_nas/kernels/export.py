"""The scans in operators that ONNX has: the recurrence becomes one Scan node.

`torch.onnx.export(..., dynamo=True)` takes them apart so. torch.compile also asks these functions
for the shape, type and strides of a result when sizes are symbols, so all three are the operator's.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch._decomp import register_decomposition
from torch._higher_order_ops.scan import scan
from torch.nn.functional import softplus

from sparx_nas.kernels.reference import DIRECTIONS


def register() -> None:
    """Tell torch's exporter how to take the operators apart."""
    operators = torch.ops.sparx_nas
    register_decomposition(operators.ss2d.default)(lambda *inputs: as_operator(ss2d, inputs[:-1]))
    register_decomposition(operators.selective_scan.default)(
        lambda *inputs: as_operator(selective_scan, inputs[:-1])
    )


def as_operator(function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> Tensor:
    """Compute as the operator does: wide inside, the type of the first outside, contiguous."""
    kind = inputs[0].dtype
    wide = torch.float64 if kind == torch.float64 else torch.float32
    return function(*(t.to(wide) for t in inputs)).to(kind).contiguous()


def ss2d(
    x: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
    *,
    recurrence: Callable[..., Tensor] | None = None,
) -> Tensor:
    """Scan a map as `reference.ss2d` does, all directions in one recurrence.

    That is one node of higher order; `recurrence` is another function of its five arguments.
    """
    height, width, channels = x.shape[1:]
    rank, states = dt_weight.shape[2], A_logs.shape[1]
    rows = torch.stack([_visit(x, k) for k in range(DIRECTIONS)])
    maps = x_proj.view(DIRECTIONS, 1, rank + 2 * states, channels)
    code, B, C = (rows @ maps.transpose(2, 3)).split([rank, states, states], dim=3)
    delta = code @ dt_weight.transpose(1, 2).unsqueeze(1)
    step = softplus(delta + dt_bias.view(DIRECTIONS, 1, 1, channels))
    A = -torch.exp(A_logs).view(DIRECTIONS, 1, channels, states)
    u, step, B, C = (t.permute(2, 0, 1, 3).contiguous() for t in (rows, step, B, C))
    y = (recurrence or _recurrence)(u, step, B, C, A)
    y = y.permute(1, 2, 0, 3)
    merged = sum(
        (_unvisit(y[k], k, height, width) for k in range(1, DIRECTIONS)),
        _unvisit(y[0], 0, height, width),
    )
    out: Tensor = merged + x * Ds.view(DIRECTIONS, channels).sum(0)
    return out


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan sequences as `reference.selective_scan` does."""
    batch, sets, states, length = B.shape
    step = softplus(delta + delta_bias.unsqueeze(1))
    wide = (t.reshape(batch, sets, -1, length) for t in (u, step))
    inputs = [t.permute(3, 1, 0, 2).contiguous() for t in (*wide, B, C)]
    y = _recurrence(inputs[0], inputs[1], inputs[2], inputs[3], A.view(sets, 1, -1, states))
    return y.permute(2, 1, 3, 0).reshape(u.shape) + D.unsqueeze(1) * u


def _recurrence(u: Tensor, step: Tensor, B: Tensor, C: Tensor, A: Tensor) -> Tensor:
    """Return C . h of every position; u, step (L, K, B, D), B, C (L, K, B, N), A (K, 1, D, N)."""

    def advance(h: Tensor, row: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        u, step, B, C = row
        d = step.unsqueeze(3)
        h = torch.exp(d * A) * h + (d * u.unsqueeze(3)) * B.unsqueeze(2)
        return h, (h * C.unsqueeze(2)).sum(3)

    start = (step[0] * 0).unsqueeze(3) * A
    y: Tensor = scan(advance, start, (u, step, B, C))[1]
    return y


def _visit(x: Tensor, direction: int) -> Tensor:
    """Bring (B, H, W, D) into the order of a direction: (B, L, D)."""
    rows: Tensor = (x.transpose(1, 2) if direction % 2 else x).flatten(1, 2)
    return rows.flip(1) if direction >= 2 else rows


def _unvisit(y: Tensor, direction: int, height: int, width: int) -> Tensor:
    """Bring (B, L, D) of a direction back to (B, H, W, D)."""
    rows = y.flip(1) if direction >= 2 else y
    sides = (width, height) if direction % 2 else (height, width)
    grid: Tensor = rows.unflatten(1, sides)
    return grid.transpose(1, 2) if direction % 2 else grid
