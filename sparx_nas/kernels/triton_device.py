"""The device code of the Triton scans; `triton_ss2d` says how it works and launches it."""

import os

import triton
import triton.language as tl
from triton.language import constexpr
from triton.language.extra import libdevice

SIZES = ("n", "height", "width", "channels", "states", "directions", "sets")
"""Run-time arguments that are compiled for no value in particular."""

TENSORS = (
    "x",
    "codes",
    "delta",
    "dt_weight",
    "bias",
    "A",
    "parts",
    "gradient",
    "held",
    "grad_z",
    "grad_rows",
    "grad_sums",
)
"""Pointers that are compiled for no alignment in particular."""

INTERPRETED = constexpr(os.environ.get("TRITON_INTERPRET") == "1")
LOG2_E = constexpr(1.4426950408889634)


@triton.jit
def _power(x):
    """Return 2^x; the GPU's own instruction, which takes subnormal numbers for zero."""
    if INTERPRETED:  # noqa: SIM108
        y = tl.exp2(x)
    else:
        y = libdevice.exp2(x)
    return y


@triton.jit
def _ratio(a, b):
    """Return a / b for b in [1, 2]."""
    if INTERPRETED:  # noqa: SIM108
        y = a / b
    else:
        y = libdevice.fast_dividef(a, b)
    return y


@triton.jit
def _softplus(z, e):
    """Return log(1 + exp(z)) from e = exp(-|z|): log1p(e) / e to 2e-7 of it, tiny e or not."""
    p = ((-0.0085392073 * e + 0.0440896340) * e - 0.1076817289) * e + 0.1774524301
    p = (((p * e - 0.2449546456) * e + 0.3327547908) * e - 0.4999740422) * e + 0.9999998212
    return tl.maximum(z, 0.0) + e * p


@triton.jit
def _place(i, j, k, height, width):
    """Return the row of the map at place i of line j of direction k, and the place after that.

    Past the last place it is a row that is there.
    """
    length = height * width
    tall = height if k % 2 == 1 else length
    apart = width if k % 2 == 1 else 1
    place = tl.minimum(i * apart + j, length - 1)
    last = i + 1 == tall
    place = length - 1 - place if k >= 2 else place
    return place, tl.where(last, 0, i + 1), tl.where(last, j + 1, j)


@triton.jit
def _weights(dt_weight, c, channels, RANK: constexpr):
    """Return what each number of a code adds to the steps of a program's channels."""
    rows = ()
    for r in tl.static_range(RANK):
        rows = rows + (tl.load(dt_weight + r * channels + c),)  # noqa: RUF005
    return rows


@triton.jit
def _given(code, delta, c, weights, shift, RANK: constexpr):
    """Return what softplus is given at a position: bias + code . weight, or + delta."""
    if RANK == 0:
        z = shift + tl.load(delta + c)
    else:
        z = shift
        for r in tl.static_range(RANK):
            z += tl.load(code + r) * weights[r]
    return z


@triton.jit
def _tile(channels, directions, CHANNELS: constexpr):
    """Return the sample, direction and tile of a program, and how many samples there are."""
    tiles = tl.cdiv(channels, CHANNELS)
    program, each = tl.program_id(0), directions * tiles
    batch = (tl.num_programs(0) // each).to(tl.int64)
    return (
        (program // each).to(tl.int64),
        program % directions,
        program // directions % tiles,
        batch,
    )


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def forward(
    x, codes, delta, dt_weight, bias, A, parts,
    height, width, channels, states, directions, sets,
    RANK: constexpr, STEPS: constexpr, CHANNELS: constexpr,
):  # fmt: skip
    """Write what each direction adds to y, (K, B, L, D); a program a (sample, tile, direction)."""
    sample, k, tile, batch = _tile(channels, directions, CHANNELS)
    length, wide = height * width, RANK + 2 * states
    own = tile * CHANNELS + tl.arange(0, CHANNELS) < channels
    # Channels past the last compute it once more; they are not stored.
    c = tl.minimum(tile * CHANNELS + tl.arange(0, CHANNELS), channels - 1)
    p = (sample % sets).to(tl.int32) if RANK == 0 else k
    x += sample * length * channels
    delta += sample * length * channels
    codes += sample * length * directions * wide + k * wide
    parts += (k * batch + sample) * length * channels
    shift = tl.load(bias + p * channels + c)
    weights = _weights(dt_weight + p * RANK * channels, c, channels, RANK)
    n = 0
    while n < states:
        rate = tl.load(A + (p * states + n) * channels + c) * LOG2_E
        state = tl.zeros((CHANNELS,), tl.float32)
        t0, line, column = 0, 0, 0
        while t0 < length:
            # All that is read comes before the first that is written, which it could wait for.
            read = ()
            for _ in tl.static_range(STEPS):
                place, line, column = _place(line, column, k, height, width)
                code = codes + place * directions * wide
                z = _given(code, delta + place * channels, c, weights, shift, RANK)
                u = tl.load(x + place * channels + c).to(tl.float32)
                into, out = tl.load(code + RANK + n), tl.load(code + RANK + states + n)
                read = read + ((place, z, u, into, out),)  # noqa: RUF005
            for i in tl.static_range(STEPS):
                place, z, u, into, out = read[i]
                step = _softplus(z, _power(-tl.abs(z) * LOG2_E))
                state = _power(step * rate) * state + step * into * u
                y, to = out * state, parts + place * channels + c
                mask = own & (t0 + i < length)
                if n > 0:
                    y += tl.load(to, mask, 0.0).to(tl.float32)
                tl.store(to, y.to(parts.dtype.element_ty), mask)
            t0 += STEPS
        n += 1


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def against(
    codes, delta, dt_weight, bias, A, gradient, held,
    n, height, width, channels, states, directions, sets,
    RANK: constexpr, STEPS: constexpr, CHANNELS: constexpr,
):  # fmt: skip
    """Write the gradient of state n at every position, `held` (K, B, L, D), last step first."""
    sample, k, tile, batch = _tile(channels, directions, CHANNELS)
    length, wide = height * width, RANK + 2 * states
    own = tile * CHANNELS + tl.arange(0, CHANNELS) < channels
    c = tl.minimum(tile * CHANNELS + tl.arange(0, CHANNELS), channels - 1)
    p = (sample % sets).to(tl.int32) if RANK == 0 else k
    gradient += sample * length * channels
    delta += sample * length * channels
    codes += sample * length * directions * wide + k * wide
    held += (k * batch + sample) * length * channels
    shift = tl.load(bias + p * channels + c)
    weights = _weights(dt_weight + p * RANK * channels, c, channels, RANK)
    rate = tl.load(A + (p * states + n) * channels + c) * LOG2_E
    later = tl.zeros((CHANNELS,), tl.float32)
    t0, line, column = 0, 0, 0
    while t0 < length:
        read = ()
        for _ in tl.static_range(STEPS):
            # The steps backwards are those of the opposite direction.
            place, line, column = _place(line, column, (k + 2) % 4, height, width)
            code = codes + place * directions * wide
            z = _given(code, delta + place * channels, c, weights, shift, RANK)
            g = tl.load(gradient + place * channels + c).to(tl.float32)
            read = read + ((place, z, g * tl.load(code + RANK + states + n)),)  # noqa: RUF005
        for i in tl.static_range(STEPS):
            place, z, given = read[i]
            step = _softplus(z, _power(-tl.abs(z) * LOG2_E))
            to_state = given + later
            later = _power(step * rate) * to_state
            mask = own & (t0 + i < length)
            tl.store(held + place * channels + c, to_state.to(held.dtype.element_ty), mask)
        t0 += STEPS


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def along(
    x, codes, delta, dt_weight, bias, A, gradient, held, parts, grad_z, grad_rows, grad_sums,
    n, height, width, channels, states, directions, sets,
    RANK: constexpr, STEPS: constexpr, CHANNELS: constexpr,
):  # fmt: skip
    """Add what state n has of the gradients; a program a (sample, tile, direction).

    `parts` and `grad_z` (K, B, L, D) are those of x and of what softplus is given, `grad_rows`
    (tiles, B, L, K, 2N) of B and C, `grad_sums` (2 + N, B, K, D) of the bias, the skip and A of a
    sample: summed afterwards.
    """
    sample, k, tile, batch = _tile(channels, directions, CHANNELS)
    length, wide = height * width, RANK + 2 * states
    own = tile * CHANNELS + tl.arange(0, CHANNELS) < channels
    c = tl.minimum(tile * CHANNELS + tl.arange(0, CHANNELS), channels - 1)
    p = (sample % sets).to(tl.int32) if RANK == 0 else k
    x += sample * length * channels
    gradient += sample * length * channels
    delta += sample * length * channels
    codes += sample * length * directions * wide + k * wide
    plane = (k * batch + sample) * length * channels
    grad_rows += (tile * batch + sample) * length * directions * 2 * states + k * 2 * states
    shift = tl.load(bias + p * channels + c)
    weights = _weights(dt_weight + p * RANK * channels, c, channels, RANK)
    rate = tl.load(A + (p * states + n) * channels + c) * LOG2_E
    of_bias, of_skip = tl.zeros((CHANNELS,), tl.float32), tl.zeros((CHANNELS,), tl.float32)
    of_A, state = tl.zeros((CHANNELS,), tl.float32), tl.zeros((CHANNELS,), tl.float32)
    t0, line, column = 0, 0, 0
    while t0 < length:
        read = ()
        for i in tl.static_range(STEPS):
            place, line, column = _place(line, column, k, height, width)
            code, at = codes + place * directions * wide, place * channels + c
            z = _given(code, delta + place * channels, c, weights, shift, RANK)
            # Steps and channels that are not there bring no gradient, and take part in none.
            mask = own & (t0 + i < length)
            g = tl.load(gradient + at, mask, 0.0).to(tl.float32)
            to_state = tl.load(held + plane + at, mask, 0.0).to(tl.float32)
            u, into = tl.load(x + at).to(tl.float32), tl.load(code + RANK + n)
            read = read + ((place, z, g, to_state, u, into),)  # noqa: RUF005
        for i in tl.static_range(STEPS):
            place, z, g, to_state, u, into = read[i]
            mask = own & (t0 + i < length)
            e = _power(-tl.abs(z) * LOG2_E)
            step, slope = _softplus(z, e), _ratio(tl.where(z < 0, e, 1.0), 1.0 + e)
            kept = _power(step * rate) * state
            state = kept + step * into * u
            to_exponent = to_state * kept
            of_A += to_exponent * step
            of_skip += g * u
            to_z = (to_state * into * u + to_exponent * (rate * (1 / LOG2_E))) * slope
            of_bias += to_z
            moved = to_state * step
            to_x, at = moved * into, plane + place * channels + c
            if n > 0:
                to_x += tl.load(parts + at, mask, 0.0).to(tl.float32)
                to_z += tl.load(grad_z + at, mask, 0.0).to(tl.float32)
            tl.store(parts + at, to_x.to(parts.dtype.element_ty), mask)
            tl.store(grad_z + at, to_z.to(grad_z.dtype.element_ty), mask)
            row = grad_rows + place * directions * 2 * states + n
            tl.store(row, tl.sum(moved * u, 0), t0 + i < length)
            tl.store(row + states, tl.sum(g * state, 0), t0 + i < length)
        t0 += STEPS
    to = grad_sums + (sample * directions + k) * channels + c
    plane = batch * directions * channels
    if n > 0:
        of_bias += tl.load(to, own, 0.0)
    tl.store(to, of_bias, own)
    tl.store(to + plane, of_skip, own)
    tl.store(to + (2 + n) * plane, of_A, own)
