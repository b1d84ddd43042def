"""One layer of a backbone: position embedding, token mixer, feed-forward network.

Letters: B batch, C width, H x W map. Source: arXiv 2409.09649. Module names are the official ones.
"""

from collections.abc import Sequence

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from sparx_nas.kernels.convolution import DepthwiseConv2d, PointwiseConv2d
from sparx_nas.models.mamba import MambaMixer
from sparx_nas.models.norms import ACTIVATIONS, make_norm
from sparx_nas.plan import BackbonePlan, StagePlan


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
    """Widen, add a depthwise convolution, activate, narrow."""

    def __init__(self, channels: int, hidden: int, act: str) -> None:
        super().__init__()
        self.fc1 = PointwiseConv2d(channels, hidden)
        self.dwconv = DepthwiseConv2d(hidden, 3, add_input=True)
        self.act = ACTIVATIONS[act]()
        self.fc2 = PointwiseConv2d(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        out: Tensor = self.fc2(self.act(self.dwconv(self.fc1(x))))
        return out


class Block(nn.Module):
    """One layer, normal or ganglion; `sources` is the number of maps it aggregates.

    LayerScale acts on the identity branch, as upstream, not on the residual one.
    """

    def __init__(
        self, plan: BackbonePlan, stage: StagePlan, sources: int, drop_path: float, backend: str
    ) -> None:
        super().__init__()
        C, scale = stage.width, stage.layer_scale
        self.pos_embed = DepthwiseConv2d(C, 3, add_input=True)
        self.norm = make_norm(plan.norm, C)
        self.op = MambaMixer(plan, stage, sources, backend)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = make_norm(plan.norm, C)
        self.mlp = FeedForward(C, stage.hidden, plan.mlp_act)
        self.layerscale_1 = nn.Identity() if scale is None else LayerScale(C, scale)
        self.layerscale_2 = nn.Identity() if scale is None else LayerScale(C, scale)

    def forward(self, x: Tensor, context: Sequence[Tensor] = ()) -> Tensor:
        """Map the stream x (B, C, H, W) to the same shape; a ganglion also reads its context."""
        x = self.pos_embed(x)
        x = self.layerscale_1(x) + self.drop_path(self.op(self.norm(x), context))
        out: Tensor = self.layerscale_2(x) + self.drop_path(self.mlp(self.norm2(x)))
        return out
