"""The selective scan in pure PyTorch operators, any device, in linear time.

Functions outside autograd, with the arguments of `reference`; `operator` joins them to it.

One sequence of the four-direction scan: the low-rank codes are computed once on the map (a 1x1 map
commutes with reordering), and only these small codes and u are brought into scan order.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sparx_nas.kernels.recurrence import ScanInputs, scan, scan_backward
from sparx_nas.kernels.reference import DIRECTIONS

CACHE_ELEMENTS = 2**18
"""Elements of one temporary (4, L, B, D): 1 MiB in float32. Larger ones leave a CPU's cache and are
paged in anew at every call."""


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan sequences in one direction."""
    step = softplus(delta + delta_bias[:, None])
    y = scan(_sequence_inputs(u, step, A, B, C))
    return torch.addcmul(y.permute(2, 0, 3, 1).flatten(1, 2), D[:, None], u)


def selective_scan_backward(
    gradient: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
) -> tuple[Tensor, ...]:
    """Return the gradients of all seven inputs."""
    z = delta + delta_bias[:, None]
    grads = scan_backward(
        _sequence_inputs(u, softplus(z), A, B, C), _steps_first(gradient, B.shape[1])
    )
    grad_u, grad_step = (t.permute(2, 0, 3, 1).flatten(1, 2) for t in (grads.u, grads.step))
    grad_z = grad_step * torch.sigmoid(z)
    return (
        torch.addcmul(grad_u, D[:, None], gradient),
        grad_z,
        grads.A.flatten(0, 1),
        *(t.permute(2, 0, 3, 1) for t in (grads.B, grads.C)),
        (gradient * u).sum((0, 2)),
        grad_z.sum((0, 2)),
    )


def ss2d(x: Tensor, *weights: Tensor) -> Tensor:
    """Scan a map in four directions and sum the results."""
    parts = [_scan_map(part, *weights) for part in _cache_sized(x)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def ss2d_backward(gradient: Tensor, x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of x and of the five parameters."""
    pairs = zip(_cache_sized(x), _cache_sized(gradient), strict=True)
    parts = [_scan_map_backward(part, grad, *weights) for part, grad in pairs]
    if len(parts) == 1:
        return parts[0]
    columns = list(zip(*parts, strict=True))
    return torch.cat(columns[0]), *(sum(column[1:], column[0]) for column in columns[1:])


def _sequence_inputs(u: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor) -> ScanInputs:
    """Lay the inputs of a one-direction scan out for the recurrence."""
    groups = B.shape[1]
    rows = (t.permute(1, 3, 0, 2) for t in (B, C))
    wide = (_steps_first(t, groups) for t in (u, step))
    return ScanInputs._make((*wide, A.unflatten(0, (groups, -1)), *rows))


def _steps_first(t: Tensor, groups: int) -> Tensor:
    """Turn (B, K*D, L) into (K, L, B, D)."""
    grouped: Tensor = t.unflatten(1, (groups, -1))
    return grouped.permute(1, 3, 0, 2).contiguous()


def _cache_sized(x: Tensor) -> tuple[Tensor, ...]:
    """Split a batch on a CPU so that the temporaries of a part stay in the cache."""
    per_sample = DIRECTIONS * x[:1].numel()
    if x.device.type != "cpu" or not x.numel():
        return (x,)
    parts: tuple[Tensor, ...] = x.split(max(1, CACHE_ELEMENTS // per_sample))
    return parts


def _scan_map(
    x: Tensor, x_proj: Tensor, dt_weight: Tensor, dt_bias: Tensor, A_logs: Tensor, Ds: Tensor
) -> Tensor:
    """Scan a map in four directions and sum the results."""
    inputs, _ = _scan_inputs(x, x_proj, dt_weight, dt_bias, A_logs)
    return _merge(scan(inputs), x.shape).addcmul_(x, Ds.view(DIRECTIONS, -1).sum(0))


def _scan_map_backward(
    x: Tensor,
    gradient: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
) -> tuple[Tensor, ...]:
    """Return the gradients of `_scan_map` for x and its five parameters."""
    batch, height, width, channels = x.shape
    inputs, code = _scan_inputs(x, x_proj, dt_weight, dt_bias, A_logs)
    grads = scan_backward(inputs, _directions(gradient))
    # softplus'(z) = 1 - exp(-softplus(z))
    grad_dt = grads.step.mul_(torch.expm1(inputs.step.neg_()).neg_()).flatten(1, 2)
    grad_code = torch.cat([torch.bmm(grad_dt, dt_weight), _rows(grads.B), _rows(grads.C)], 2)
    grad_flat = _unscanned(grad_code.unflatten(1, (height * width, batch)), x.shape)
    grad_x = _merge(grads.u, x.shape).addcmul_(gradient, Ds.view(DIRECTIONS, -1).sum(0))
    grad_x += (grad_flat @ x_proj[:, :, 0]).view_as(x)
    return (
        grad_x,
        (grad_flat.t() @ x.reshape(-1, channels)).unsqueeze(2),
        torch.bmm(grad_dt.transpose(1, 2), code),
        grad_dt.sum(1),
        grads.A.mul_(inputs.A).flatten(0, 1),
        (gradient * x).sum((0, 1, 2)).repeat(DIRECTIONS),
    )


def _scan_inputs(
    x: Tensor, x_proj: Tensor, dt_weight: Tensor, dt_bias: Tensor, A_logs: Tensor
) -> tuple[ScanInputs, Tensor]:
    """Return the inputs of the scan in four directions, and the codes (4, L*B, R) of its steps."""
    batch, height, width, channels = x.shape
    rank, states = dt_weight.shape[2], A_logs.shape[1]
    flat = x.reshape(batch * height * width, channels)
    codes = (flat @ x_proj[:, :, 0].t()).unflatten(0, (batch, height, width))
    per_direction = codes.chunk(DIRECTIONS, dim=3)
    ordered = torch.stack([_visit(c, k) for k, c in enumerate(per_direction)])
    code, B, C = ordered.split([rank, states, states], dim=3)
    code = code.reshape(DIRECTIONS, -1, rank)
    step = softplus(torch.baddbmm(dt_bias.unsqueeze(1), code, dt_weight.transpose(1, 2)))
    step = step.view(DIRECTIONS, height * width, batch, channels)
    A = -torch.exp(A_logs).unflatten(0, (DIRECTIONS, -1))
    return ScanInputs(_directions(x), step, A, B, C), code


def _visit(t: Tensor, direction: int) -> Tensor:
    """Bring (B, H, W, D) into the order of a direction: (L, B, D)."""
    rows = t.permute(2, 1, 0, 3) if direction % 2 else t.permute(1, 2, 0, 3)
    return (rows.flip((0, 1)) if direction >= 2 else rows).flatten(0, 1)


def _directions(t: Tensor) -> Tensor:
    """Bring (B, H, W, D) into the order of every direction: (4, L, B, D)."""
    return torch.stack([_visit(t, k) for k in range(DIRECTIONS)])


def _merge(y: Tensor, shape: torch.Size) -> Tensor:
    """Sum (4, L, B, D) back to (B, H, W, D), every position where it came from."""
    batch, height, width, channels = shape
    rows = (y[0] + y[2].flip(0)).view(height, width, batch, channels)
    columns = (y[1] + y[3].flip(0)).view(width, height, batch, channels)
    return (rows + columns.transpose(0, 1)).permute(2, 0, 1, 3).contiguous()


def _unscanned(t: Tensor, shape: torch.Size) -> Tensor:
    """Bring (4, L, B, E) of four directions back to (B*L, 4*E), positions row by row."""
    _, height, width, _ = shape
    placed = []
    for k in range(DIRECTIONS):
        forward = t[k].flip(0) if k >= 2 else t[k]
        sides = (width, height) if k % 2 else (height, width)
        grid = forward.unflatten(0, sides)
        placed.append(grid.transpose(0, 1) if k % 2 else grid)
    return torch.cat(placed, dim=3).permute(2, 0, 1, 3).flatten(0, 2)


def _rows(t: Tensor) -> Tensor:
    """Flatten (4, L, B, N) to (4, L*B, N)."""
    return t.flatten(1, 2)
