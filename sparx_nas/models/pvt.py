"""The token mixer of PVT v2: attention whose keys and values come from a smaller map.

Letters: B batch, C width, H x W map, r spatial reduction. Source: arXiv 2106.13797, section 3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from sparx_nas.architecture.plan import BackbonePlan, StagePlan
from sparx_nas.kernels.convolution import PointwiseConv2d
from sparx_nas.models.aggregator import add_aggregator, aggregate
from sparx_nas.models.norms import PositionNorm


class PvtMixer(nn.Module):
    """Mix the positions of a map; a ganglion's aggregator stands in front of queries and keys.

    `sources` is the number of maps that a ganglion aggregates, 0 for a normal layer. Rows and
    columns that the reduction leaves over are not read, but one position always is.
    """

    def __init__(
        self, plan: BackbonePlan, stage: StagePlan, sources: int, index: int, backend: str
    ) -> None:
        super().__init__()
        add_aggregator(self, plan, stage, sources)
        C, reduction = stage.width, stage.spatial_reduction
        self.backend = backend
        self.heads, self.reduction = stage.heads, reduction
        self.query = PointwiseConv2d(C, C)
        self.key_value = PointwiseConv2d(C, 2 * C)
        self.proj = PointwiseConv2d(C, C)
        if reduction > 1:
            self.reduce = nn.Conv2d(C, C, reduction, stride=reduction)
            self.reduce_norm = PositionNorm(C)

    def forward(self, x: Tensor, context: Sequence[Tensor] = ()) -> Tensor:
        """Mix x (B, C, H, W), with the maps of the same shape that a ganglion aggregates."""
        if context:
            x = aggregate(self, x, context, x.shape[1])
        batch, C, height, width = x.shape
        small = x
        if self.reduction > 1:
            missing = [max(0, self.reduction - side) for side in (height, width)]
            if any(missing):
                small = pad(x, (0, missing[1], 0, missing[0]))
            small = self.reduce_norm(self.reduce(small))
        q = self._heads(self.query(x))
        k, v = (self._heads(part) for part in self.key_value(small).chunk(2, dim=1))
        scores = (q * (C // self.heads) ** -0.5) @ k.transpose(2, 3)
        mixed = (torch.softmax(scores, dim=3) @ v).transpose(2, 3)
        out: Tensor = self.proj(mixed.reshape(batch, C, height, width))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """Turn (B, C, H, W) into (B, heads, H W, C / heads)."""
        parts: Tensor = x.flatten(2).unflatten(1, (self.heads, -1))
        return parts.transpose(2, 3)
