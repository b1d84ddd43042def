"""The device code of the Triton kernels; `triton_ss2d` says how it works and launches it."""

import triton
import triton.language as tl
from triton.language import constexpr

SIZES = ("height", "width", "channels", "rank", "states", "directions", "sets")
"""Run-time arguments that are compiled for no value in particular."""

TENSORS = (
    "x",
    "codes",
    "delta",
    "dt_weight",
    "bias",
    "A",
    "skip",
    "y",
    "gradient",
    "states_gradient",
    "grad_x",
    "grad_z",
    "grad_rows",
    "grad_A",
)
"""Pointers that are compiled for no alignment in particular."""


@triton.jit
def _softplus(z, e):
    """Return log(1 + exp(z)) from e = exp(-|z|), exact for tiny e as well: 2 atanh(e / (2 + e))."""
    s = e / (2.0 + e)
    q = s * s
    p = ((0.13436028 * q + 0.14116539) * q + 0.20003860) * q + 0.33333319
    return tl.maximum(z, 0.0) + 2.0 * s + 2.0 * s * q * p


@triton.jit
def _after(a, b, c, d):
    """Return the recurrence h -> a h + b, then h -> c h + d, as one."""
    return a * c, b * c + d


@triton.jit
def _place(t, k, height, width):
    """Return the row of the map that direction k visits at step t."""
    s = tl.where(k >= 2, height * width - 1 - t, t)
    return tl.where(k % 2 == 1, (s % height) * width + s // height, s)


@triton.jit
def _steps(
    codes, delta, dt_weight, bias, place, inside, c, own, k, p, channels, rank, stride,
    RANK: constexpr, STEPS: constexpr, CHANNELS: constexpr,
):  # fmt: skip
    """Return what softplus is given at the rows of a tile: bias + code . dt_weight, or + delta."""
    z = tl.zeros((STEPS, CHANNELS), tl.float32)
    z += tl.load(bias + p * channels + c, own, 0.0)[None, :]
    if RANK == 0:
        both = inside[:, None] & own[None, :]
        z += tl.load(delta + place[:, None] * channels + c[None, :], both, 0.0)
    else:
        r0 = 0
        while r0 < rank:
            r = r0 + tl.arange(0, RANK)
            code = tl.load(
                codes + place[:, None] * stride + k * (stride // 4) + r[None, :],
                inside[:, None] & (r < rank)[None, :],
                0.0,
            )
            weight = tl.load(
                dt_weight + (p * rank + r[:, None]) * channels + c[None, :],
                (r < rank)[:, None] & own[None, :],
                0.0,
            )
            z += tl.dot(code, weight, input_precision="ieee")
            r0 += RANK
    return z


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def forward(
    x, codes, delta, dt_weight, bias, A, skip, y,
    height, width, channels, rank, states, directions, sets,
    RANK: constexpr, STEPS: constexpr, CHANNELS: constexpr,
):  # fmt: skip
    """Write y (B, L, D) in float32; grid (B, channel tiles)."""
    sample = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    own = c < channels
    length = height * width
    stride = directions * (rank + 2 * states)
    start = sample * length
    k = 0
    while k < directions:
        p = sample % sets if RANK == 0 else k
        n = 0
        while n < states:
            decay_rate = tl.load(A + (p * states + n) * channels + c, own, 0.0)
            state = tl.zeros((CHANNELS,), tl.float32)
            t0 = 0
            while t0 < length:
                t = t0 + tl.arange(0, STEPS)
                inside = t < length
                both = inside[:, None] & own[None, :]
                place = start + _place(t, k, height, width)
                at = place[:, None] * channels + c[None, :]
                z = _steps(
                    codes, delta, dt_weight, bias, place, inside, c, own, k, p, channels, rank,
                    stride, RANK, STEPS, CHANNELS,
                )  # fmt: skip
                step = _softplus(z, tl.exp(-tl.abs(z)))
                u = tl.load(x + at, both, 0.0).to(tl.float32)
                row = codes + place * stride + k * (rank + 2 * states) + rank + n
                into = tl.load(row, inside, 0.0)
                out = tl.load(row + states, inside, 0.0)
                decay = tl.where(inside[:, None], tl.exp(step * decay_rate[None, :]), 1.0)
                drive = tl.where(both, step * u * into[:, None], 0.0)
                fade, h = tl.associative_scan((decay, drive), 0, _after)
                h += fade * state[None, :]
                last = tl.arange(0, STEPS) == STEPS - 1
                state = tl.sum(tl.where(last[:, None], h, 0.0), 0)
                if (k == 0) & (n == 0):
                    base = u * tl.load(skip + (p % sets) * channels + c, own, 0.0)[None, :]
                else:
                    base = tl.load(y + at, both, 0.0)
                tl.store(y + at, base + out[:, None] * h, both)
                t0 += STEPS
            # Another direction's tiles read rows that other threads have written.
            tl.debug_barrier()
            n += 1
        k += 1


@triton.jit
def _walk_back(
    codes, delta, dt_weight, bias, gradient, states_gradient, decay_rate,
    start, c, own, k, p, n, height, width, channels, rank, states, stride,
    RANK: constexpr, STEPS: constexpr, CHANNELS: constexpr,
):  # fmt: skip
    """Write the gradient of one state at every position, last step first."""
    length = height * width
    state = tl.zeros((CHANNELS,), tl.float32)
    t0 = 0
    while t0 < length:
        t = length - 1 - (t0 + tl.arange(0, STEPS))
        inside = t >= 0
        both = inside[:, None] & own[None, :]
        place = start + _place(t, k, height, width)
        # The decay of the step after this one; behind the last there is none.
        later = inside & (t + 1 < length)
        after = start + _place(tl.where(later, t + 1, 0), k, height, width)
        z = _steps(
            codes, delta, dt_weight, bias, after, later, c, own, k, p, channels, rank, stride,
            RANK, STEPS, CHANNELS,
        )  # fmt: skip
        step = _softplus(z, tl.exp(-tl.abs(z)))
        decay = tl.where(inside[:, None], tl.exp(step * decay_rate[None, :]), 1.0)
        at = place[:, None] * channels + c[None, :]
        row = codes + place * stride + k * (rank + 2 * states) + rank + states + n
        g = tl.load(gradient + at, both, 0.0).to(tl.float32)
        given = g * tl.load(row, inside, 0.0)[:, None]
        fade, h = tl.associative_scan((decay, given), 0, _after)
        h += fade * state[None, :]
        last = tl.arange(0, STEPS) == STEPS - 1
        state = tl.sum(tl.where(last[:, None], h, 0.0), 0)
        tl.store(states_gradient + at, h, both)
        t0 += STEPS


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def backward(
    x, codes, delta, dt_weight, bias, A, skip, gradient, states_gradient,
    grad_x, grad_z, grad_rows, grad_A,
    height, width, channels, rank, states, directions, sets,
    RANK: constexpr, STEPS: constexpr, CHANNELS: constexpr,
):  # fmt: skip
    """Write all gradients; grid (B, channel tiles).

    grad_x (B, L, D), grad_z (K, B, L, D) of what softplus is given, grad_rows (tiles, B, L, K, 2N)
    of B and C, grad_A (B, K, N, D): float32, summed afterwards.
    """
    batch, sample = tl.num_programs(0).to(tl.int64), tl.program_id(0).to(tl.int64)
    tile = tl.program_id(1).to(tl.int64)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    own = c < channels
    length = height * width
    stride = directions * (rank + 2 * states)
    start = sample * length
    k = 0
    while k < directions:
        p = sample % sets if RANK == 0 else k
        n = 0
        while n < states:
            decay_rate = tl.load(A + (p * states + n) * channels + c, own, 0.0)
            tl.debug_barrier()
            _walk_back(
                codes, delta, dt_weight, bias, gradient, states_gradient, decay_rate,
                start, c, own, k, p, n, height, width, channels, rank, states, stride,
                RANK, STEPS, CHANNELS,
            )  # fmt: skip
            tl.debug_barrier()
            state = tl.zeros((CHANNELS,), tl.float32)
            of_A = tl.zeros((CHANNELS,), tl.float32)
            t0 = 0
            while t0 < length:
                t = t0 + tl.arange(0, STEPS)
                inside = t < length
                both = inside[:, None] & own[None, :]
                place = start + _place(t, k, height, width)
                at = place[:, None] * channels + c[None, :]
                z = _steps(
                    codes, delta, dt_weight, bias, place, inside, c, own, k, p, channels, rank,
                    stride, RANK, STEPS, CHANNELS,
                )  # fmt: skip
                e = tl.exp(-tl.abs(z))
                step = _softplus(z, e)
                slope = tl.where(z < 0, e, 1.0) / (1.0 + e)
                u = tl.load(x + at, both, 0.0).to(tl.float32)
                g = tl.load(gradient + at, both, 0.0).to(tl.float32)
                to_state = tl.load(states_gradient + at, both, 0.0)
                row = codes + place * stride + k * (rank + 2 * states) + rank + n
                into = tl.load(row, inside, 0.0)[:, None]
                decay = tl.where(inside[:, None], tl.exp(step * decay_rate[None, :]), 1.0)
                drive = tl.where(both, step * u * into, 0.0)
                fade, h = tl.associative_scan((decay, drive), 0, _after)
                h += fade * state[None, :]
                last = tl.arange(0, STEPS) == STEPS - 1
                state = tl.sum(tl.where(last[:, None], h, 0.0), 0)
                to_exponent = to_state * (h - drive)
                of_A += tl.sum(tl.where(both, to_exponent * step, 0.0), 0)
                to_z = (to_state * into * u + to_exponent * decay_rate[None, :]) * slope
                to_x = to_state * step * into
                if n == 0:
                    z_base = tl.zeros((STEPS, CHANNELS), tl.float32)
                else:
                    z_base = tl.load(grad_z + k * batch * length * channels + at, both, 0.0)
                if (k == 0) & (n == 0):
                    x_base = g * tl.load(skip + (p % sets) * channels + c, own, 0.0)[None, :]
                else:
                    x_base = tl.load(grad_x + at, both, 0.0)
                tl.store(grad_z + k * batch * length * channels + at, z_base + to_z, both)
                tl.store(grad_x + at, x_base + to_x, both)
                rows = grad_rows + (tile * batch * length + place) * directions * 2 * states
                rows += k * 2 * states + n
                tl.store(rows, tl.sum(tl.where(both, to_state * step * u, 0.0), 1), inside)
                tl.store(rows + states, tl.sum(tl.where(both, g * h, 0.0), 1), inside)
                t0 += STEPS
            of = grad_A + ((sample * directions + k) * states + n) * channels + c
            tl.store(of, of_A, own)
            n += 1
        k += 1
