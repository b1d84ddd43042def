"""The scans on a GPU: Triton kernels, channels-last, a direction no more than an order of rows.

A program has one sample, one direction and a tile of channels, and walks step by step with the
state of its channels in registers; what it reads for the next few steps it asks for at once. The
numbers of a code are the same for all channels, so their part of a step is one multiply-add each,
with no product of matrices and no exchange between threads. What the directions add is written side
by side and summed by a kernel of its own: nothing is atomic, and every run gives the same bits. A
sequence scan is a map of one direction whose steps are given instead of computed from codes.

The way back is two walks: against the order for the gradient of the states, which rests in memory,
then along it for everything else. Nothing is divided by a decay, which may be 0. The gradients of
the low-rank maps are products of what softplus gets.

Sizes are run-time arguments. What is compiled for is the rank, padded to one of a few, the type of
the map, and whether its rows are aligned.
"""

import torch
import triton
from torch import Tensor

from sparx_nas.kernels import triton_device
from sparx_nas.kernels.reference import DIRECTIONS
from sparx_nas.kernels.triton_sums import launch, merge, outer, project
from sparx_nas.kernels.triton_tiles import TILES

KERNELS = {
    "forward": triton_device.forward,
    "against": triton_device.against,
    "along": triton_device.along,
}
RANKS = (8, 16, 24, 32, 48, 64)
"""What ranks are padded to; beyond the last to its multiples."""
MANY = 32
"""Beyond this rank maps to steps fill the registers: a program takes half as many channels."""


def ss2d(
    x: Tensor, x_proj: Tensor, dt_weight: Tensor, dt_bias: Tensor, A_logs: Tensor, Ds: Tensor
) -> Tensor:
    """Scan a map in four directions and sum the results."""
    return _forward(_MapInputs(x, x_proj, dt_weight, dt_bias, A_logs, Ds))


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
    inputs = _MapInputs(x, x_proj, dt_weight, dt_bias, A_logs, Ds)
    grads = _gradients(gradient, inputs)
    rank, codes, sums = dt_weight.shape[2], inputs.tensors["codes"], grads["sums"].sum(1)
    of_codes = torch.empty_like(codes)
    project(grads["z"], inputs.tensors["dt_weight"], of_codes)
    of_codes[:, :, inputs.rank :] = grads["rows"].sum(0).view(len(codes), DIRECTIONS, -1)
    of_maps = outer(of_codes.view(1, len(codes), -1), x[None])[0].unflatten(0, (DIRECTIONS, -1))
    return (
        merge(
            grads["parts"],
            gradient.to(x.dtype),
            inputs.skip,
            length=inputs.length,
            codes=of_codes,
            weight=inputs.x_proj,
        ),
        torch.cat([of_maps[:, :rank], of_maps[:, inputs.rank :]], 1).view_as(x_proj),
        outer(codes.transpose(0, 1)[:, :, : inputs.rank], grads["z"])[:, :rank].transpose(1, 2),
        sums[0],
        sums[2:].permute(1, 2, 0).reshape(A_logs.shape) * -torch.exp(A_logs),
        sums[1].flatten(),
    )


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan sequences in one direction."""
    y = _forward(_SequenceInputs(u, delta, A, B, C, D, delta_bias))
    return y.transpose(1, 2).reshape(u.shape)


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
    inputs = _SequenceInputs(u, delta, A, B, C, D, delta_bias)
    given = inputs.turned(gradient).to(inputs.x.dtype)
    grads = _gradients(given, inputs)
    batch, sets, states, length = B.shape
    rows = grads["rows"].sum(0).view(batch, sets, length, 2, states).permute(3, 0, 1, 4, 2)
    sums = grads["sums"].view(2 + states, batch, sets, -1).sum(1)
    return (
        merge(grads["parts"], given, inputs.skip, length=inputs.length)
        .transpose(1, 2)
        .reshape(u.shape),
        grads["z"][0].transpose(1, 2).reshape(u.shape),
        sums[2:].permute(1, 2, 0).reshape(A.shape),
        rows[0],
        rows[1],
        sums[1].flatten(),
        sums[0].flatten(),
    )


class _MapInputs:
    """What the kernels read of a map scan; codes and what makes them are padded to `rank`."""

    def __init__(
        self,
        x: Tensor,
        x_proj: Tensor,
        dt_weight: Tensor,
        dt_bias: Tensor,
        A_logs: Tensor,
        Ds: Tensor,
    ) -> None:
        self.batch, height, width, channels = x.shape
        self.length = height * width
        rank, self.states = dt_weight.shape[2], A_logs.shape[1]
        self.rank = next((r for r in RANKS if r >= rank), -rank // RANKS[-1] * -RANKS[-1])
        self.x_proj, steps = x_proj[:, :, 0], dt_weight.transpose(1, 2).contiguous()
        if self.rank > rank:
            rows = x_proj.view(DIRECTIONS, rank + 2 * self.states, channels)
            gap = rows.new_zeros(DIRECTIONS, self.rank - rank, channels)
            self.x_proj = torch.cat([rows[:, :rank], gap, rows[:, rank:]], 1).flatten(0, 1)
            steps = torch.cat([steps, gap], 1)
        A = -torch.exp(A_logs).view(DIRECTIONS, channels, self.states)
        self.x, self.skip = x, Ds.view(DIRECTIONS, channels).sum(0)
        wide = len(self.x_proj) // DIRECTIONS
        codes = torch.empty(
            x.numel() // max(channels, 1), DIRECTIONS, wide, dtype=torch.float32, device=x.device
        )
        project(x.view(1, -1, channels), self.x_proj[None], codes)
        self.tensors = {
            "x": x,
            "codes": codes,
            "delta": codes,
            "dt_weight": steps,
            "bias": dt_bias,
            "A": A.transpose(1, 2).contiguous(),
        }
        sizes = (height, width, channels, self.states, DIRECTIONS, 1)
        self.sizes = dict(zip(triton_device.SIZES[1:], sizes, strict=True))


class _SequenceInputs:
    """What the kernels read of a sequence scan: maps (B*K, L, 1, D) of one direction."""

    def __init__(
        self, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor
    ) -> None:
        self.sets, self.states, self.length = B.shape[1:]
        rows = torch.stack([B, C], 2).permute(0, 1, 4, 2, 3).contiguous()
        self.x, self.skip, self.rank = self.turned(u), D, 0
        self.batch = len(u) * self.sets
        self.tensors = {
            "x": self.x,
            "codes": rows,
            "delta": self.turned(delta).float(),
            "dt_weight": rows,
            "bias": bias,
            "A": A.view(self.sets, -1, self.states).transpose(1, 2).contiguous(),
        }
        sizes = (self.length, 1, u.shape[1] // self.sets, self.states, 1, self.sets)
        self.sizes = dict(zip(triton_device.SIZES[1:], sizes, strict=True))

    def turned(self, t: Tensor) -> Tensor:
        """Bring (B, K*D, L) to (B*K, L, D)."""
        return t.view(len(t) * self.sets, -1, t.shape[2]).transpose(1, 2).contiguous()


_Inputs = _MapInputs | _SequenceInputs


def _forward(inputs: _Inputs) -> Tensor:
    """Return the sum of all directions, and the skip."""
    parts = _parts(inputs)
    _launch_scan("forward", inputs, {"parts": parts}, 0)
    return merge(parts, inputs.x, inputs.skip, length=inputs.length)


def _gradients(gradient: Tensor, inputs: _Inputs) -> dict[str, Tensor]:
    """Run the walks back and return what they write, named without `grad_`."""
    x, sizes, states = inputs.x, inputs.sizes, inputs.states
    channels, directions = sizes["channels"], sizes["directions"]
    length, tiles = inputs.length, triton.cdiv(channels, _channels("along", inputs.rank))
    shapes = {
        "held": (directions, inputs.batch, length, channels),
        "grad_rows": (tiles, inputs.batch * length, directions, 2 * states),
        "grad_sums": (2 + states, inputs.batch, directions, channels),
    }
    make = torch.empty if states and x.numel() else torch.zeros
    out = {n: make(s, dtype=torch.float32, device=x.device) for n, s in shapes.items()}
    out["parts"] = _parts(inputs)
    out["grad_z"] = _parts(inputs, wide=not inputs.rank).view(directions, -1, channels)
    if not inputs.rank:
        out["grad_z"] = out["grad_z"].view(1, inputs.batch, length, channels)
    out["gradient"] = gradient.to(x.dtype)
    for n in range(states):
        for name in ("against", "along"):
            _launch_scan(name, inputs, out, n)
    return {name.removeprefix("grad_"): t for name, t in out.items()}


def _parts(inputs: _Inputs, *, wide: bool = False) -> Tensor:
    """Return memory for what the directions add: (K, B, L, D).

    In the type of the map, unless several states are summed there, or a result is float32.
    """
    kind = inputs.x.dtype if inputs.states == 1 and not wide else torch.float32
    make = torch.empty if inputs.states else torch.zeros
    return make(inputs.sizes["directions"], *inputs.x.shape, dtype=kind, device=inputs.x.device)


def _channels(name: str, rank: int) -> int:
    """Return how many channels a program of a scan takes."""
    return TILES[name].channels // (2 if rank > MANY else 1)


def _launch_scan(name: str, inputs: _Inputs, out: dict[str, Tensor], n: int) -> None:
    """Run a scan over all samples, channel tiles and directions."""
    channels, kernel = _channels(name, inputs.rank), KERNELS[name]
    tiles = triton.cdiv(inputs.sizes["channels"], channels)
    programs = (inputs.batch * tiles * inputs.sizes["directions"],)
    constants = {"RANK": inputs.rank, "STEPS": TILES[name].rows, "CHANNELS": channels}
    given = inputs.tensors | out | inputs.sizes | constants | {"n": n}
    launch(kernel, programs, TILES[name].warps, {k: given[k] for k in kernel.arg_names})
