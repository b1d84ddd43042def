"""The specification of the selective scan: plain PyTorch, slow, read beside the equations.

Letters: B batch, K groups (scan directions), D channels of a group, N state, R rank, L = H*W.
Source: arXiv 2312.00752 (selective state spaces), arXiv 2401.10166 (four directions of a map).
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

DIRECTIONS = 4


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan sequences in one direction; returns y of the shape of u.

    u, delta (B, K*D, L); A (K*D, N), negative; B, C (B, K, N, L); D, delta_bias (K*D,). With
    d = softplus(delta + delta_bias), h_l = exp(d_l A) h_{l-1} + d_l B_l u_l and
    y_l = C_l . h_l + D u_l. The backward pass of this loop is quadratic in L.
    """
    groups, step = B.shape[1], softplus(delta + delta_bias[:, None])
    per_group = u.shape[1] // groups
    B, C = (t.repeat_interleave(per_group, dim=1) for t in (B, C))
    state = torch.zeros_like(A).expand(u.shape[0], -1, -1)
    outputs = []
    for position in range(u.shape[2]):
        d, x = step[:, :, position, None], u[:, :, position, None]
        state = torch.exp(d * A) * state + d * B[:, :, :, position] * x
        outputs.append((state * C[:, :, :, position]).sum(-1) + D * x[:, :, 0])
    return torch.stack(outputs, dim=2) if outputs else torch.zeros_like(u)


def scan_order(direction: int, height: int, width: int) -> Tensor:
    """Return the row-major index of the l-th position that a direction visits; shape (L,).

    0 row by row, 1 column by column, 2 and 3 the same backwards.
    """
    order = torch.arange(height * width)
    if direction % 2:
        order = order.view(height, width).t().reshape(-1)
    return order.flip(0) if direction >= 2 else order


def ss2d(
    x: Tensor,
    x_proj_weight: Tensor,
    dt_projs_weight: Tensor,
    dt_projs_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
) -> Tensor:
    """Scan a map in four directions and sum the results; x and the result are (B, H, W, D).

    x_proj_weight (4*(R+2N), D, 1), dt_projs_weight (4, D, R), dt_projs_bias (4, D), A_logs
    (4*D, N), Ds (4*D,): the parameters of the official model.
    """
    _, height, width, channels = x.shape
    rank, states = dt_projs_weight.shape[2], A_logs.shape[1]
    maps = x_proj_weight.view(DIRECTIONS, rank + 2 * states, channels)
    flat, merged = x.flatten(1, 2), torch.zeros_like(x).flatten(1, 2)
    for k in range(DIRECTIONS):
        order, rows = scan_order(k, height, width).to(x.device), slice(k * channels, None)
        u = flat[:, order]
        code, B, C = (u @ maps[k].t()).split([rank, states, states], dim=2)
        y = selective_scan(
            u.transpose(1, 2),
            (code @ dt_projs_weight[k].t()).transpose(1, 2),
            -torch.exp(A_logs[rows][:channels]),
            B.transpose(1, 2).unsqueeze(1),
            C.transpose(1, 2).unsqueeze(1),
            Ds[rows][:channels],
            dt_projs_bias[k],
        )
        merged = merged.index_add(1, order, y.transpose(1, 2))
    return merged.reshape(x.shape)
