"""A token mixer of plain convolutions: the mixer of SparX-Mamba with its scan taken out.

Letters: B batch, C width, H x W map, D inner width. A control: with a large depthwise kernel, as in
ConvNeXt (arXiv 2201.03545), and everything around it unchanged.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from sparx_nas.architecture.plan import BackbonePlan, StagePlan
from sparx_nas.kernels.convolution import DepthwiseConv2d, PointwiseConv2d
from sparx_nas.models.aggregator import add_aggregator, aggregate
from sparx_nas.models.norms import ACTIVATIONS, make_norm


class ConvMixer(nn.Module):
    """Mix the positions of a map; a ganglion's aggregator stands in for the input map.

    `sources` is the number of maps that a ganglion aggregates, 0 for a normal layer.
    """

    def __init__(
        self, plan: BackbonePlan, stage: StagePlan, sources: int, index: int, backend: str
    ) -> None:
        super().__init__()
        add_aggregator(self, plan, stage, sources)
        self.backend, self.inner = backend, stage.inner
        if not sources:
            self.in_proj = PointwiseConv2d(stage.width, stage.inner)
        self.conv2d = DepthwiseConv2d(stage.inner, plan.mixer.conv_kernel)
        self.act = ACTIVATIONS[plan.mixer.act]()
        self.out_norm = make_norm(plan.norm, stage.inner, plan.family.norm_eps)
        self.out_proj = PointwiseConv2d(stage.inner, stage.width)

    def forward(self, x: Tensor, context: Sequence[Tensor] = ()) -> Tensor:
        """Mix x (B, C, H, W), with the maps of the same shape that a ganglion aggregates."""
        x = aggregate(self, x, context, self.inner) if context else self.in_proj(x)
        out: Tensor = self.out_proj(self.out_norm(self.act(self.conv2d(x))))
        return out
