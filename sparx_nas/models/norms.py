"""The two norms a backbone can use, and its activations."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from sparx_nas.architecture.families import Norm
from sparx_nas.kernels.fused import single
from sparx_nas.kernels.fusing import stands_in
from sparx_nas.kernels.transforms import transformed

EPS = 1e-5
"""Of every norm whose family says nothing else."""

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"silu": nn.SiLU, "gelu": nn.GELU, "relu": nn.ReLU}


class PositionNorm(nn.Module):
    """LayerNorm over the channels of every position of a (B, C, H, W) map."""

    def __init__(self, channels: int, eps: float = EPS) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; the shape stays."""
        if stands_in("norm", x, (self, PositionNorm)):
            return single.norm(x, self.weight, self.bias, self.eps, False)
        rows = layer_norm(
            x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps
        )
        return rows.permute(0, 3, 1, 2)


class SampleNorm(nn.GroupNorm):
    """GroupNorm of one group: over channels and positions of a (B, C, H, W) map together."""

    def __init__(self, channels: int, eps: float = EPS) -> None:
        super().__init__(1, channels, eps)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise; the shape stays."""
        if stands_in("norm", input, (self, SampleNorm)):
            return single.norm(input, self.weight, self.bias, self.eps, True)
        if transformed(input):
            # Forward mode of torch's GroupNorm takes a map and its tangent as they lie.
            return super().forward(input.clone(memory_format=torch.contiguous_format))
        learns = self.weight.requires_grad and torch.is_grad_enabled()
        if learns and not input.requires_grad and not torch.compiler.is_compiling():
            # After frozen layers: torch 2.13 crashes on the way back through a channels-last map
            # on a CPU that takes no gradient, so it takes one.
            input = input.detach().requires_grad_()
        return super().forward(input)


def make_norm(kind: Norm, channels: int, eps: float = EPS) -> nn.Module:
    """Return a norm over (B, C, H, W): `group` over a whole sample, `layer` at each position."""
    return SampleNorm(channels, eps) if kind == "group" else PositionNorm(channels, eps)
