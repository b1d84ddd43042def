"""The feed-forward network of a layer, and the scale of its stream.

Letters: B batch, C width, H x W map. Source: arXiv 2409.09649. Module names are the official ones.
"""

import torch
from torch import Tensor, nn

from sparx_nas.architecture.families import FeedForwardConv
from sparx_nas.kernels.convolution import DepthwiseConv2d, PointwiseConv2d
from sparx_nas.models.norms import ACTIVATIONS


class LayerScale(nn.Module):
    """Scale and shift every channel of the identity branch."""

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1, 1), initial))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return weight * x + bias."""
        return torch.addcmul(self.bias[:, None, None], x, self.weight[:, 0])


class FeedForward(nn.Module):
    """Widen, convolve by depth where the family does, activate, narrow."""

    def __init__(self, channels: int, hidden: int, act: str, conv: FeedForwardConv) -> None:
        super().__init__()
        self.fc1 = PointwiseConv2d(channels, hidden)
        self.dwconv = (
            nn.Identity()
            if conv == "none"
            else DepthwiseConv2d(hidden, 3, add_input=conv == "residual")
        )
        self.act = ACTIVATIONS[act]()
        self.fc2 = PointwiseConv2d(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        out: Tensor = self.fc2(self.act(self.dwconv(self.fc1(x))))
        return out
