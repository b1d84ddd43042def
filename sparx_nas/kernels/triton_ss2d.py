"""The scans on a GPU: Triton kernels, channels-last, a direction no more than an order of rows.

A program has one sample and CHANNELS channels of it. It walks each direction in tiles of STEPS
positions: an associative scan within the tile, a float32 state between tiles. One program sums all
directions of its channels, so nothing is atomic and every run gives the same bits. A sequence scan
is a map of one direction whose steps are given instead of computed from low-rank codes.

The way back of a direction is two walks: against the order for the gradient of the states, which
rests in memory, then along it for everything else. What a state held before its decay is h - drive,
so that no tile has to be shifted and nothing is divided by a decay that may be 0.

Sizes are run-time arguments: forward and backward, steps given or computed from codes, maps in
three types are all the binaries there can be.
"""

import torch
import triton
from torch import Tensor

from sparx_nas.kernels import triton_device
from sparx_nas.kernels.reference import DIRECTIONS
from sparx_nas.kernels.triton_device import SIZES

STEPS, CHANNELS, RANK = 16, 64, 16
WARPS = {"forward": 2, "backward": 4}
KERNELS = {"forward": triton_device.forward, "backward": triton_device.backward}


def ss2d(
    x: Tensor, x_proj: Tensor, dt_weight: Tensor, dt_bias: Tensor, A_logs: Tensor, Ds: Tensor
) -> Tensor:
    """Scan a map in four directions and sum the results."""
    inputs = _MapInputs(x, x_proj, dt_weight, dt_bias, A_logs, Ds)
    y = torch.empty(x.shape, dtype=torch.float32, device=x.device)
    _launch("forward", inputs.tensors | {"y": y}, inputs.sizes, len(x), RANK)
    return y.to(x.dtype)


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
    grads = _gradients(gradient, inputs, RANK)
    places, channels, rank = x.numel() // x.shape[3], x.shape[3], inputs.rank
    grad_z = grads["grad_z"].view(DIRECTIONS, places, channels)
    codes = inputs.tensors["codes"].view(places, DIRECTIONS, -1)
    code = codes[:, :, :rank].transpose(0, 1)
    rows = grads["grad_rows"].sum(0).view(places, DIRECTIONS, -1)
    grad_codes = torch.cat([torch.bmm(grad_z, dt_weight).transpose(0, 1), rows], 2).flatten(1)
    flat, given = (t.reshape(places, channels).float() for t in (x, gradient))
    of_A = grads["grad_A"].sum(0).transpose(1, 2).reshape(A_logs.shape)
    return (
        torch.addmm(grads["grad_x"].view(places, channels), grad_codes, x_proj[:, :, 0]).view_as(x),
        (grad_codes.t() @ flat).unsqueeze(2),
        torch.bmm(grad_z.transpose(1, 2), code),
        grad_z.sum(1),
        of_A * -torch.exp(A_logs),
        (given * flat).sum(0).repeat(DIRECTIONS),
    )


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan sequences in one direction."""
    inputs = _SequenceInputs(u, delta, A, B, C, D, delta_bias)
    x = inputs.tensors["x"]
    y = torch.empty(x.shape, dtype=torch.float32, device=u.device)
    _launch("forward", inputs.tensors | {"y": y}, inputs.sizes, len(x), 0)
    return y.transpose(1, 2).reshape(u.shape).to(u.dtype)


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
    grads = _gradients(inputs.turned(gradient), inputs, 0)
    batch, sets, states, length = B.shape
    rows = grads["grad_rows"].sum(0).view(batch, sets, length, 2, states).permute(3, 0, 1, 4, 2)
    grad_u, grad_delta = (
        t.view(batch * sets, length, -1).transpose(1, 2).reshape(u.shape)
        for t in (grads["grad_x"], grads["grad_z"])
    )
    of_A = grads["grad_A"].view(batch, sets, states, -1).sum(0).transpose(1, 2)
    return (
        grad_u,
        grad_delta,
        of_A.reshape(A.shape),
        rows[0],
        rows[1],
        (gradient.float() * u.float()).sum((0, 2)),
        grad_delta.sum((0, 2)),
    )


class _MapInputs:
    """What the kernels read of a map scan."""

    def __init__(
        self,
        x: Tensor,
        x_proj: Tensor,
        dt_weight: Tensor,
        dt_bias: Tensor,
        A_logs: Tensor,
        Ds: Tensor,
    ) -> None:
        _, height, width, channels = x.shape
        self.rank, states = dt_weight.shape[2], A_logs.shape[1]
        A = -torch.exp(A_logs).view(DIRECTIONS, channels, states)
        codes = x.reshape(-1, channels).float() @ x_proj[:, :, 0].t()
        self.tensors = {
            "x": x,
            "codes": codes,
            "delta": codes,
            "dt_weight": dt_weight.transpose(1, 2).contiguous(),
            "bias": dt_bias,
            "A": A.transpose(1, 2).contiguous(),
            "skip": Ds.view(DIRECTIONS, channels).sum(0),
        }
        self.sizes = (height, width, channels, self.rank, states, DIRECTIONS, 1)


class _SequenceInputs:
    """What the kernels read of a sequence scan: maps (B*K, L, 1, D) of one direction."""

    def __init__(
        self, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor
    ) -> None:
        self.sets, states, length = B.shape[1:]
        rows = torch.stack([B, C], 2).permute(0, 1, 4, 2, 3).contiguous()
        self.tensors = {
            "x": self.turned(u),
            "codes": rows,
            "delta": self.turned(delta).float(),
            "dt_weight": rows,
            "bias": bias,
            "A": A.view(self.sets, -1, states).transpose(1, 2).contiguous(),
            "skip": D,
        }
        self.sizes = (length, 1, u.shape[1] // self.sets, 0, states, 1, self.sets)

    def turned(self, t: Tensor) -> Tensor:
        """Bring (B, K*D, L) to (B*K, L, D)."""
        return t.view(len(t) * self.sets, -1, t.shape[2]).transpose(1, 2).contiguous()


def _gradients(
    gradient: Tensor, inputs: _MapInputs | _SequenceInputs, rank: int
) -> dict[str, Tensor]:
    """Run the backward kernel and return what it writes, in float32."""
    x = inputs.tensors["x"]
    height, width, channels, _, states, directions, _ = inputs.sizes
    tiles, length = triton.cdiv(channels, CHANNELS), height * width
    shapes = {
        "states_gradient": (len(x), length, channels),
        "grad_x": (len(x), length, channels),
        "grad_z": (directions, len(x), length, channels),
        "grad_rows": (tiles, len(x), length, directions, 2 * states),
        "grad_A": (len(x), directions, states, channels),
    }
    out = {
        name: torch.empty(shape, dtype=torch.float32, device=x.device)
        for name, shape in shapes.items()
    }
    tensors = inputs.tensors | {"gradient": gradient.to(x.dtype)} | out
    _launch("backward", tensors, inputs.sizes, len(x), rank)
    return out


def _launch(
    name: str, tensors: dict[str, Tensor], sizes: tuple[int, ...], batch: int, rank: int
) -> None:
    """Run a kernel over all samples and channel tiles."""
    channels = sizes[SIZES.index("channels")]
    if not tensors["x"].numel():
        return
    named = dict(zip(SIZES, sizes, strict=True))
    KERNELS[name][(batch, triton.cdiv(channels, CHANNELS))](
        **tensors,
        **named,
        RANK=rank,
        STEPS=STEPS,
        CHANNELS=CHANNELS,
        num_warps=WARPS[name],
    )
