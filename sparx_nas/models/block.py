"""One layer of a backbone: position embedding, token mixer, feed-forward network.

Letters: B batch, C width, H x W map. Source: arXiv 2409.09649. Module names are the official ones.
"""

from collections.abc import Mapping, Sequence

from timm.layers import DropPath
from torch import Tensor, nn

from sparx_nas.architecture.families import Mixer
from sparx_nas.architecture.plan import BackbonePlan, StagePlan
from sparx_nas.kernels.convolution import DepthwiseConv2d
from sparx_nas.models.conv import ConvMixer
from sparx_nas.models.feed_forward import FeedForward, LayerScale
from sparx_nas.models.fused import first_half, second_half
from sparx_nas.models.mamba import MambaMixer
from sparx_nas.models.norms import make_norm
from sparx_nas.models.pvt import PvtMixer
from sparx_nas.models.swin import SwinMixer

MIXERS: Mapping[Mixer, type[nn.Module]] = {
    "scan": MambaMixer,
    "window": SwinMixer,
    "reduction": PvtMixer,
    "convolution": ConvMixer,
}


class Block(nn.Module):
    """One layer, normal or ganglion; `sources` is the number of maps it aggregates.

    `index` counts the layers of the stage from 0. LayerScale acts on the identity branch, as in
    the official SparX-Mamba, not on the residual one.
    """

    def __init__(
        self,
        plan: BackbonePlan,
        stage: StagePlan,
        sources: int,
        *,
        index: int,
        drop_path: float,
        backend: str,
    ) -> None:
        super().__init__()
        C, scale, family = stage.width, stage.layer_scale, plan.family
        self.pos_embed = DepthwiseConv2d(C, 3, add_input=True) if family.position else nn.Identity()
        self.norm = make_norm(plan.norm, C, family.norm_eps)
        self.op = MIXERS[family.mixer](plan, stage, sources, index, backend)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = make_norm(plan.norm, C, family.norm_eps)
        self.mlp = FeedForward(C, stage.hidden, plan.mlp_act, family.feed_forward_conv)
        self.layerscale_1 = nn.Identity() if scale is None else LayerScale(C, scale)
        self.layerscale_2 = nn.Identity() if scale is None else LayerScale(C, scale)

    def forward(self, x: Tensor, context: Sequence[Tensor] = ()) -> Tensor:
        """Map the stream x (B, C, H, W) to the same shape; a ganglion also reads its context."""
        return self._fed(self._mixed(self.pos_embed(x), context))

    def _mixed(self, x: Tensor, context: Sequence[Tensor]) -> Tensor:
        """Return the stream with what the mixer makes of it."""
        if (fused := first_half(self, x, context)) is not None:
            return fused
        out: Tensor = self.layerscale_1(x) + self.drop_path(self.op(self.norm(x), context))
        return out

    def _fed(self, x: Tensor) -> Tensor:
        """Return the stream with what the feed-forward network makes of it."""
        if (fused := second_half(self, x)) is not None:
            return fused
        out: Tensor = self.layerscale_2(x) + self.drop_path(self.mlp(self.norm2(x)))
        return out
