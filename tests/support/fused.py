"""Fused parts compared with their specifications."""

import torch


def drawn(*shape, scale=1.0):
    return (torch.randn(shape) * scale).requires_grad_()


def gradients(function, inputs, dtype):
    """Return a function's result and the gradients of a fixed weighted sum of it."""
    own = [None if t is None else t.detach().to(dtype).requires_grad_() for t in inputs]
    y = function(*own)
    weights = torch.linspace(-1, 2, y.numel(), dtype=dtype).view(y.shape)
    there = [t for t in own if t is not None]
    return [y.detach(), *torch.autograd.grad((y * weights).sum(), there)]


def assert_same(fused, plain, inputs, tolerance=3e-6, floor=1e-6):
    """Compare in float32 with the specification in float64, by its largest number.

    The specification in float32 tells how far rounding goes: a gradient that is nought but for
    rounding has no size of its own, so there is a `floor` of what counts, in units of the inputs.
    """
    exact, near, got = (
        gradients(f, inputs, dtype)
        for f, dtype in ((plain, torch.float64), (plain, torch.float32), (fused, torch.float32))
    )
    for a, b, c in zip(exact, near, got, strict=True):
        assert c.shape == a.shape
        rounding = float((b.double() - a).abs().max())
        allowed = max(tolerance * float(a.abs().max()), 4 * rounding, floor)
        assert float((c.double() - a).abs().max()) <= allowed
