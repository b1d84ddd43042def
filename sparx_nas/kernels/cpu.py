"""The scans on a CPU in compiled code (csrc/), float32; the matrix products are torch's.

Functions outside autograd, with the arguments of `reference`; `operator` joins them to it.
"""

from typing import Any

import torch
from torch import Tensor

from sparx_nas.kernels.library import fresh, library
from sparx_nas.kernels.reference import DIRECTIONS
from sparx_nas.kernels.tasks import MapTask, SequenceTask, fill

GRADIENT_ELEMENTS = 2**22
"""Elements of the one large temporary of the backward pass (4, B, L, D): 4 MiB."""


def ss2d(
    x: Tensor, x_proj: Tensor, dt_weight: Tensor, dt_bias: Tensor, A_logs: Tensor, Ds: Tensor
) -> Tensor:
    """Scan a map in four directions and sum the results."""
    y = fresh(x)
    if x.numel():
        codes = x.flatten(0, 2) @ x_proj[:, :, 0].t()
        task = _map_task(x, codes, dt_weight, dt_bias, A_logs, Ds, y=y)
        library().call("sparx_map_forward", task[0])
    return y


def ss2d_backward(
    gradient: Tensor,
    x: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
) -> tuple[Tensor, ...]:
    """Return the gradients of x and of the five parameters."""
    weights = (x_proj, dt_weight, dt_bias, A_logs, Ds)
    grad_x, totals = fresh(x), [torch.zeros_like(w) for w in weights]
    if x.numel():
        size = max(torch.get_num_threads(), GRADIENT_ELEMENTS // (DIRECTIONS * x[0].numel()))
        parts = zip(*(t.split(size) for t in (gradient, x, grad_x)), strict=True)
        for part in parts:
            shares = _part_backward(part[0], part[1], part[2], *weights)
            for total, share in zip(totals, shares, strict=True):
                total += share
    return grad_x, *totals


def _part_backward(
    gradient: Tensor,
    x: Tensor,
    grad_x: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
) -> tuple[Tensor, ...]:
    """Write the gradient of a few maps and return those of the parameters."""
    channels, states = x.shape[3], A_logs.shape[1]
    flat = x.view(-1, channels)
    codes = flat @ x_proj[:, :, 0].t()
    groups, threads = shares(len(x), channels)
    wrote = {
        "grad_x": grad_x,
        "grad_z": fresh(x, DIRECTIONS, len(flat), channels),
        "grad_rows": x.new_empty(groups, len(flat), DIRECTIONS, 2 * states),
        "grad_params": x.new_zeros(threads, DIRECTIONS, states + 1, channels),
    }
    task = _map_task(x, codes, dt_weight, dt_bias, A_logs, Ds, gradient=gradient, **wrote)
    library().call("sparx_map_backward", task[0])
    of_codes, of_dt = _code_gradients(wrote["grad_z"], wrote["grad_rows"], codes, dt_weight)
    grad_x.view(flat.shape).addmm_(of_codes, x_proj[:, :, 0])
    total = wrote["grad_params"].sum(0)
    # A = -exp(A_logs), so its derivative is A itself.
    of_A = total[:, :states].transpose(1, 2).reshape(A_logs.shape) * -torch.exp(A_logs)
    of_skip = (gradient.reshape(flat.shape) * flat).sum(0).repeat(DIRECTIONS)
    return (of_codes.t() @ flat).unsqueeze(2), of_dt, total[:, states], of_A, of_skip


def _code_gradients(
    grad_z: Tensor, rows: Tensor, codes: Tensor, dt_weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the codes (places, 4*(R+2N)) and of dt_weight."""
    places, rank = len(codes), dt_weight.shape[2]
    code = codes.view(places, DIRECTIONS, -1)
    of_codes, of_dt = torch.empty_like(code), torch.empty_like(dt_weight)
    of_codes[:, :, rank:] = rows[0] if len(rows) == 1 else rows.sum(0)
    # One product after another: torch's batched product of such shapes is several times slower.
    for k in range(DIRECTIONS):
        of_codes[:, k, :rank] = grad_z[k] @ dt_weight[k]
        of_dt[k] = (code[:, k, :rank].t() @ grad_z[k]).t()
    return of_codes.view(places, -1), of_dt


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan sequences in one direction."""
    y = fresh(u)
    if u.numel():
        task = _sequence_task(u, delta, A, B, C, D, delta_bias, y=y)
        library().call("sparx_sequence_forward", task[0])
    return y


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
    if not u.numel():
        return tuple(torch.zeros_like(t) for t in (u, delta, A, B, C, D, delta_bias))
    states = A.shape[1]
    groups, threads = shares(len(u) * B.shape[1], u.shape[1] // B.shape[1])
    grad_u, grad_delta = fresh(u), fresh(u)
    grad_B, grad_C = (u.new_empty(groups, *B.shape) for _ in range(2))
    params = u.new_zeros(threads, states + 2, u.shape[1])
    task = _sequence_task(
        *(u, delta, A, B, C, D, delta_bias),
        gradient=gradient,
        grad_u=grad_u,
        grad_delta=grad_delta,
        grad_B=grad_B,
        grad_C=grad_C,
        grad_params=params,
    )
    library().call("sparx_sequence_backward", task[0])
    total = params.sum(0)
    of_A = total[:states].t().contiguous()
    return (
        grad_u,
        grad_delta,
        of_A,
        grad_B.sum(0),
        grad_C.sum(0),
        total[states],
        total[states + 1],
    )


def shares(items: int, channels: int) -> tuple[int, int]:
    """Return into how many groups the channels of an item are split, and how many threads work.

    The split depends on the threads only where there are fewer items than threads.
    """
    threads: int = torch.get_num_threads()
    groups = 1 if items >= threads else -(-threads // max(1, items))
    return min(groups, channels), threads


def _map_task(
    x: Tensor,
    codes: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
    **more: Tensor,
) -> tuple[Any, list[Tensor]]:
    """Return a task and the tensors that have to live as long."""
    batch, height, width, channels = x.shape
    states = A_logs.shape[1]
    groups, threads = shares(batch, channels)
    sizes = (batch, height, width, channels, dt_weight.shape[2], states, groups, threads)
    A = -torch.exp(A_logs).view(DIRECTIONS, channels, states).transpose(1, 2)
    tensors = {
        "x": x,
        "codes": codes,
        "dt_weight": dt_weight.transpose(1, 2),
        "dt_bias": dt_bias,
        "A": A,
        "skip": Ds.view(DIRECTIONS, channels).sum(0),
    }
    return fill(MapTask, sizes, tensors | more)


def _sequence_task(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    **more: Tensor,
) -> tuple[Any, list[Tensor]]:
    """Return a task and the tensors that have to live as long."""
    batch, sets, states, length = B.shape
    channels = u.shape[1] // sets
    groups, threads = shares(batch * sets, channels)
    sizes = (batch, sets, channels, length, states, groups, threads)
    tensors = dict(
        zip(
            ("u", "delta", "A", "B", "C", "skip", "bias"),
            (u, delta, A, B, C, D, delta_bias),
            strict=True,
        )
    )
    return fill(SequenceTask, sizes, tensors | more)
