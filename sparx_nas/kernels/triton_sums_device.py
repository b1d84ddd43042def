"""The device code beside the scans: low-rank maps, their gradients, sums of directions.

VECTOR is 8 where rows of maps start at multiples of 16 bytes, so that a thread reads and writes
16 bytes at once, and 1 elsewhere; `channels` comes divided by it.
"""

import triton
import triton.language as tl
from triton.language import constexpr

SIZES = ("count", "channels", "wide", "stride", "step", "length", "sets", "share")
"""Run-time arguments that are compiled for no value in particular."""

TENSORS = ("x", "weight", "codes", "parts", "skip", "out", "sums")
"""Pointers that are compiled for no alignment in particular."""


@triton.jit
def _columns(first, CHANNELS: constexpr):
    """Return CHANNELS columns from `first` on."""
    return tl.max_contiguous(tl.multiple_of(first + tl.arange(0, CHANNELS), CHANNELS), CHANNELS)


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def project(
    x, weight, codes, count, channels, wide, stride, step,
    VECTOR: constexpr, ROWS: constexpr, WIDE: constexpr, CHANNELS: constexpr, PRECISION: constexpr,
):  # fmt: skip
    """Write codes = x . weight for planes x (K, count, channels), weight (K, wide, channels).

    Grid (rows times columns of codes, K); codes have rows of `stride`, `step` from plane to plane.
    """
    channels = channels * VECTOR
    across, k = tl.cdiv(wide, WIDE), tl.program_id(1)
    first = (tl.program_id(0) // across).to(tl.int64) * ROWS
    x = tl.multiple_of(x + (k.to(tl.int64) * count + first) * channels, 2 * VECTOR)
    codes += first * stride + k * step
    weight += k * wide * channels
    row, left = tl.arange(0, ROWS), count - first
    e = tl.program_id(0) % across * WIDE + tl.arange(0, WIDE)
    of_x = tl.multiple_of(tl.minimum(row, left - 1).to(tl.int32) * channels, VECTOR)
    # Columns past the last compute it once more; they are not stored.
    of_weight = weight + tl.minimum(e, wide - 1)[None, :] * channels
    total = tl.zeros((ROWS, WIDE), tl.float32)
    c0 = 0
    while c0 < channels:
        c = _columns(c0, CHANNELS)
        a = tl.load(x + of_x[:, None] + c[None, :], (c < channels)[None, :], 0.0).to(tl.float32)
        b = tl.load(of_weight + c[:, None], (c < channels)[:, None], 0.0)
        total += tl.dot(a, b, input_precision=PRECISION)
        c0 += CHANNELS
    both = (row < left)[:, None] & (e < wide)[None, :]
    tl.store(codes + row[:, None] * stride + e[None, :], total, both)


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def outer(
    codes, x, sums, count, channels, wide, stride, step, share,
    VECTOR: constexpr, ROWS: constexpr, WIDE: constexpr, CHANNELS: constexpr, PRECISION: constexpr,
):  # fmt: skip
    """Write sums (K, parts, wide, channels) of codes^T . x over `share` rows a part.

    Grid (tiles times parts, K); x has planes if K > 1, codes as in `project`.
    """
    channels = channels * VECTOR
    down, across, k = tl.cdiv(channels, CHANNELS), tl.cdiv(wide, WIDE), tl.program_id(1)
    c = _columns(tl.program_id(0) % down * CHANNELS, CHANNELS)
    e = tl.program_id(0) // down % across * WIDE + tl.arange(0, WIDE)
    part = (tl.program_id(0) // (down * across)).to(tl.int64)
    first, parts = part * share, tl.num_programs(0) // (down * across)
    x = tl.multiple_of(x + (k.to(tl.int64) * count + first) * channels, 2 * VECTOR)
    codes += first * stride + k * step
    in_c, in_e, left = c < channels, e < wide, tl.minimum(count - first, share).to(tl.int32)
    total = tl.zeros((WIDE, CHANNELS), tl.float32)
    r0 = 0
    while r0 < left:
        row = r0 + tl.arange(0, ROWS)
        of_codes = codes + row[None, :] * stride + e[:, None]
        a = tl.load(of_codes, (row < left)[None, :] & in_e[:, None], 0.0)
        of_x = x + tl.multiple_of(row * channels, VECTOR)[:, None] + c[None, :]
        b = tl.load(of_x, (row < left)[:, None] & in_c[None, :], 0.0).to(tl.float32)
        total += tl.dot(a, b, input_precision=PRECISION)
        r0 += ROWS
    to = sums + ((k * parts + part) * wide + e[:, None]) * channels + c[None, :]
    tl.store(to, total, in_e[:, None] & in_c[None, :])


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def merge(
    parts, x, skip, codes, weight, out, count, channels, wide, length, sets,
    VECTOR: constexpr, DIRECTIONS: constexpr, ROWS: constexpr, WIDE: constexpr,
    CHANNELS: constexpr, PRECISION: constexpr,
):  # fmt: skip
    """Write out (count, channels): the sum of parts, skip x, and codes . weight if WIDE."""
    channels = channels * VECTOR
    across = tl.cdiv(channels, CHANNELS)
    first = (tl.program_id(0) // across).to(tl.int64) * ROWS
    c = _columns(tl.program_id(0) % across * CHANNELS, CHANNELS)
    row, in_c = tl.arange(0, ROWS), c < channels
    inside = row < count - first
    both = inside[:, None] & in_c[None, :]
    at = tl.multiple_of(row * channels, VECTOR)[:, None] + c[None, :]
    if DIRECTIONS == 1:
        p = ((first + row) // length % sets).to(tl.int32)
        factor = tl.load(skip + p[:, None] * channels + c[None, :], both, 0.0)
    else:
        factor = tl.load(skip + c, in_c, 0.0)[None, :]
    of = tl.multiple_of(x + first * channels, 2 * VECTOR)
    total = tl.load(of + at, both, 0.0).to(tl.float32) * factor
    for k in tl.static_range(DIRECTIONS):
        of = tl.multiple_of(parts + (k * count.to(tl.int64) + first) * channels, 2 * VECTOR)
        total += tl.load(of + at, both, 0.0).to(tl.float32)
    if WIDE > 0:
        e0 = 0
        while e0 < wide:
            e = e0 + tl.arange(0, WIDE)
            of_codes = codes + first * wide + row[:, None] * wide + e[None, :]
            a = tl.load(of_codes, inside[:, None] & (e < wide)[None, :], 0.0)
            of_weight = weight + e[:, None] * channels + c[None, :]
            b = tl.load(of_weight, (e < wide)[:, None] & in_c[None, :], 0.0)
            total += tl.dot(a, b, input_precision=PRECISION)
            e0 += WIDE
    to = tl.multiple_of(out + first * channels, 2 * VECTOR) + at
    tl.store(to, total.to(out.dtype.element_ty), both)
