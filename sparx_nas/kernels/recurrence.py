"""The selective scan in pure PyTorch, linear in L forward and backward.

Everything is laid out (K, L, B, D): one step of the recurrence is one operator over all groups,
samples and channels, and the Python loop lives outside autograd, whose own backward pass would
build a tensor of full size at every step. Letters as in `reference.py`.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class ScanInputs(NamedTuple):
    """Inputs of a scan: u, step (K, L, B, D); A (K, D, N); B, C (K, L, B, N); all of one dtype.

    `step` is what softplus returned, so it is positive.
    """

    u: Tensor
    step: Tensor
    A: Tensor
    B: Tensor
    C: Tensor


class ScanGradients(NamedTuple):
    """Gradients with the shapes of `ScanInputs`."""

    u: Tensor
    step: Tensor
    A: Tensor
    B: Tensor
    C: Tensor


def scan(inputs: ScanInputs) -> Tensor:
    """Return sum_n C_n h_n with shape (K, L, B, D); the skip D * u is the caller's."""
    u, step, A, B, C = inputs
    driven, y = step * u, None
    for n in range(A.shape[2]):
        h = _states(torch.exp(step * _row(A, n)), driven * B[..., n, None]).mul_(C[..., n, None])
        y = h if y is None else y.add_(h)
    return driven.zero_() if y is None else y


def scan_backward(inputs: ScanInputs, gradient: Tensor) -> ScanGradients:
    """Return the gradients of `scan` for a gradient (K, L, B, D) of its result.

    States are computed anew, so that nothing but the inputs has to be kept in between.
    """
    u, step, A, B, C = inputs
    driven = step * u
    grad_driven, grad_step = torch.zeros_like(u), torch.zeros_like(u)
    grad_A, grad_B, grad_C = torch.empty_like(A), torch.empty_like(B), torch.empty_like(C)
    for n in range(A.shape[2]):
        decay = torch.exp(step * _row(A, n))
        h = _states(decay, driven * B[..., n, None])
        torch.sum(gradient * h, dim=3, out=grad_C[..., n])
        grad_h = _adjoint_states(decay, gradient * C[..., n, None])
        torch.sum(grad_h * driven, dim=3, out=grad_B[..., n])
        grad_driven.addcmul_(grad_h, B[..., n, None])
        # grad_h becomes the gradient of step * A: grad_h[l] h[l-1] decay[l].
        grad_h[:, 1:].mul_(h[:, :-1])
        grad_h[:, :1].zero_()
        grad_h.mul_(decay)
        grad_step.addcmul_(grad_h, _row(A, n).expand_as(grad_h))
        grad_A[..., n] = grad_h.mul_(step).sum((1, 2))
    grad_step.addcmul_(grad_driven, u)
    return ScanGradients(grad_driven.mul_(step), grad_step, grad_A, grad_B, grad_C)


def _row(A: Tensor, n: int) -> Tensor:
    """Return state n of A, ready to be multiplied with (K, L, B, D)."""
    return A[:, None, None, :, n]


def _states(decay: Tensor, drive: Tensor) -> Tensor:
    """Turn the drive into the states in place: h[l] = decay[l] h[l-1] + drive[l]."""
    if not drive.is_meta:
        rows, factors = drive.unbind(1), decay.unbind(1)
        for before, row, factor in zip(rows, rows[1:], factors[1:], strict=False):
            row.addcmul_(factor, before)
    return drive


def _adjoint_states(decay: Tensor, gradient: Tensor) -> Tensor:
    """Run the recurrence backwards in place: g[l] += decay[l+1] g[l+1]."""
    if not gradient.is_meta:
        rows, factors = gradient.unbind(1), decay.unbind(1)
        for after in range(len(rows) - 1, 0, -1):
            rows[after - 1].addcmul_(factors[after], rows[after])
    return gradient
