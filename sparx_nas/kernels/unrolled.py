"""The scan of a map of fixed size in plain operators of torch, its loops unrolled into the graph.

For programs that run where nothing but torch is: no operator of ours, none of higher order. The
sequence is cut into about sqrt(L) chunks. One loop of sqrt(L) steps runs inside all chunks at once,
one of sqrt(L) steps carries the states from chunk to chunk, so that work is linear in L and the
graph grows with sqrt(L). Letters: K directions, B batch, D channels, N state, L = H*W.
"""

import math
from functools import partial

import torch
from torch import Tensor

from sparx_nas.kernels import export


def ss2d(*inputs: Tensor) -> Tensor:
    """Compute what the operator `sparx_nas::ss2d` does, in its types; inputs as there."""
    return export.as_operator(partial(export.ss2d, recurrence=recurrence), inputs)


def recurrence(u: Tensor, step: Tensor, B: Tensor, C: Tensor, A: Tensor) -> Tensor:
    """Return C . h of every position; u, step (L, K, B, D), B, C (L, K, B, N), A (K, 1, D, N).

    L is read as a number, so a graph that is traced through here holds for one L. Keeps some ten
    temporaries of (L, K, B, D, N).
    """
    length = u.shape[0]
    steps = math.isqrt(length - 1) + 1
    chunks = -(-length // steps)
    u, step, B, C = (_cut(t, chunks, steps) for t in (u, step, B, C))
    drive = (step * u).unsqueeze(5) * B.unsqueeze(4)
    decay = torch.exp(step.unsqueeze(5) * A)
    inside = _states(decay.unbind(1), drive.unbind(1))
    # What a chunk's first state has decayed to at each of its positions.
    since_start = torch.exp(step.cumsum(1).unsqueeze(5) * A)
    ends = inside[-1].unbind(0)
    after = _states(since_start[:, -1].unbind(0), ends)
    before = torch.stack([ends[0] * 0, *after[:-1]]).unsqueeze(1)
    h = torch.addcmul(torch.stack(inside, 1), since_start, before)
    y: Tensor = (h * C.unsqueeze(4)).sum(5).flatten(0, 1)
    return y[:length]


def _cut(t: Tensor, chunks: int, steps: int) -> Tensor:
    """Cut (L, ...) into (chunks, steps, ...), zeros appended: a step of size zero keeps a state."""
    missing = chunks * steps - t.shape[0]
    rest = (t[:1] * 0).expand(missing, *t.shape[1:])
    whole: Tensor = (torch.cat([t, rest]) if missing else t).unflatten(0, (chunks, steps))
    return whole


def _states(decay: tuple[Tensor, ...], drive: tuple[Tensor, ...]) -> list[Tensor]:
    """Return h[l] = decay[l] h[l-1] + drive[l] of every l, h[0] = drive[0]."""
    states = [drive[0]]
    for factor, row in zip(decay[1:], drive[1:], strict=True):
        states.append(torch.addcmul(row, factor, states[-1]))
    return states
