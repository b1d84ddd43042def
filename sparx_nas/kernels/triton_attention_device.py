"""The device code of the channel attention; `triton_attention` says how and launches it."""

import triton
import triton.language as tl
from triton.language import constexpr

SIZES = ("group", "small", "large")
"""Run-time arguments that are compiled for no value in particular."""

TENSORS = (
    "query",
    "key",
    "value",
    "gradient",
    "weights",
    "to_scores",
    "mixed",
    "grad_query",
    "grad_key",
    "grad_value",
)
"""Pointers that are compiled for no alignment in particular."""


@triton.jit
def _product(a, b, half: constexpr):
    """Return a b in float32. Halves fit TF32 exactly, so for their sake nothing is lost by it."""
    if half:
        product = tl.dot(a.to(tl.float32), b.to(tl.float32), input_precision="tf32")
    else:
        product = tl.dot(a, b, input_precision="ieee")
    return product


@triton.jit
def _agreement(a, b, i, j, in_i, in_j, length, TILE: constexpr, PLACES: constexpr):
    """Return sum over places of a[i] b[j]: (TILE, TILE) float32; i and j are rows of maps."""
    total = tl.zeros((TILE, TILE), tl.float32)
    p0 = 0
    while p0 < length:
        p = p0 + tl.arange(0, PLACES)
        inside = (p < length)[None, :]
        of_a = tl.load(a + i[:, None] * length + p[None, :], in_i[:, None] & inside, 0.0)
        of_b = tl.load(b + j[:, None] * length + p[None, :], in_j[:, None] & inside, 0.0)
        total += _product(of_a, tl.trans(of_b), of_a.dtype != tl.float32)
        p0 += PLACES
    return total


@triton.jit
def _mix(
    matrix, source, out, first, own, in_own, group, length, down, across,
    TILE: constexpr, PLACES: constexpr,
):  # fmt: skip
    """Write out[own] = sum over rows of matrix[own, row] source[row], at every place.

    `down` and `across` are the steps in memory from one own to the next and from one row to the
    next: (group, 1) mixes by the matrix, (1, group) by its transpose.
    """
    p0 = 0
    while p0 < length:
        p = p0 + tl.arange(0, PLACES)
        inside = (p < length)[None, :]
        total = tl.zeros((TILE, PLACES), tl.float32)
        r0 = 0
        while r0 < group:
            r = r0 + tl.arange(0, TILE)
            in_r = r < group
            at = matrix + first * group + own[:, None] * down + r[None, :] * across
            weight = tl.load(at, in_own[:, None] & in_r[None, :], 0.0)
            row = source + (first + r)[:, None] * length + p[None, :]
            given = tl.load(row, in_r[:, None] & inside, 0.0)
            total += _product(weight, given, given.dtype != tl.float32)
            r0 += TILE
        to = out + (first + own)[:, None] * length + p[None, :]
        tl.store(to, total.to(out.dtype.element_ty), in_own[:, None] & inside)
        p0 += PLACES


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def forward(
    query, key, value, weights, mixed, scale, group, small, large,
    TILE: constexpr, PLACES: constexpr,
):  # fmt: skip
    """Write weights (B*groups, g, g) and the mixed map; grid (B*groups, tiles of g)."""
    first = tl.program_id(0).to(tl.int64) * group
    i = tl.program_id(1) * TILE + tl.arange(0, TILE)
    in_i = i < group
    most = tl.full((TILE,), float("-inf"), tl.float32)
    total = tl.zeros((TILE,), tl.float32)
    j0 = 0
    while j0 < group:
        j = j0 + tl.arange(0, TILE)
        in_j = j < group
        score = _agreement(query, key, first + i, first + j, in_i, in_j, small, TILE, PLACES)
        score = tl.where(in_j[None, :], score * scale, float("-inf"))
        highest = tl.maximum(most, tl.max(score, 1))
        total = total * tl.exp(most - highest) + tl.sum(tl.exp(score - highest[:, None]), 1)
        most = highest
        at = weights + (first + i)[:, None] * group + j[None, :]
        tl.store(at, score, in_i[:, None] & in_j[None, :])
        j0 += TILE
    # Other threads read what these have written.
    tl.debug_barrier()
    j0 = 0
    while j0 < group:
        j = j0 + tl.arange(0, TILE)
        both = in_i[:, None] & (j < group)[None, :]
        at = weights + (first + i)[:, None] * group + j[None, :]
        score = tl.load(at, both, 0.0)
        tl.store(at, tl.exp(score - most[:, None]) / total[:, None], both)
        j0 += TILE
    tl.debug_barrier()
    _mix(weights, value, mixed, first, i, in_i, group, large, group, 1, TILE, PLACES)


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def backward_rows(
    gradient, key, value, weights, to_scores, grad_query, scale, group, small, large,
    TILE: constexpr, PLACES: constexpr,
):  # fmt: skip
    """Write the gradients of scores (B*groups, g, g) and of query; grid as forward."""
    first = tl.program_id(0).to(tl.int64) * group
    i = tl.program_id(1) * TILE + tl.arange(0, TILE)
    in_i = i < group
    drift = tl.zeros((TILE,), tl.float32)
    j0 = 0
    while j0 < group:
        j = j0 + tl.arange(0, TILE)
        in_j = j < group
        both = in_i[:, None] & in_j[None, :]
        at = (first + i)[:, None] * group + j[None, :]
        given = _agreement(gradient, value, first + i, first + j, in_i, in_j, large, TILE, PLACES)
        drift += tl.sum(tl.load(weights + at, both, 0.0) * given, 1)
        tl.store(to_scores + at, given, both)
        j0 += TILE
    tl.debug_barrier()
    j0 = 0
    while j0 < group:
        j = j0 + tl.arange(0, TILE)
        both = in_i[:, None] & (j < group)[None, :]
        at = (first + i)[:, None] * group + j[None, :]
        given = tl.load(to_scores + at, both, 0.0) - drift[:, None]
        tl.store(to_scores + at, tl.load(weights + at, both, 0.0) * given * scale, both)
        j0 += TILE
    tl.debug_barrier()
    _mix(to_scores, key, grad_query, first, i, in_i, group, small, group, 1, TILE, PLACES)


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=TENSORS)
def backward_columns(
    gradient, query, weights, to_scores, grad_key, grad_value, group, small, large,
    TILE: constexpr, PLACES: constexpr,
):  # fmt: skip
    """Write the gradients of key and value; grid as forward, after `backward_rows`."""
    first = tl.program_id(0).to(tl.int64) * group
    j = tl.program_id(1) * TILE + tl.arange(0, TILE)
    in_j = j < group
    _mix(to_scores, query, grad_key, first, j, in_j, group, small, 1, group, TILE, PLACES)
    _mix(weights, gradient, grad_value, first, j, in_j, group, large, 1, group, TILE, PLACES)
