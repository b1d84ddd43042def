"""The token mixer of Swin: attention within windows, shifted by half a window in every other layer.

Letters: B batch, C width, H x W map, h x w window. Source: arXiv 2103.14030, section 3.2. On a map
that no whole number of windows covers, zeros are added below and right of the (shifted) map, and
are attended to; a side no longer than the window is one window, which is not shifted.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from sparx_nas.architecture.plan import BackbonePlan, StagePlan
from sparx_nas.kernels.convolution import PointwiseConv2d
from sparx_nas.models.aggregator import add_aggregator, aggregate

APART = -100.0
"""Added to the score of positions of one window that are not neighbours in the map."""


class SwinMixer(nn.Module):
    """Mix the positions of a map; a ganglion's aggregator stands in front of queries and keys.

    `sources` is the number of maps that a ganglion aggregates, 0 for a normal layer; `index` counts
    layers of the stage from 0, and those with an odd one shift.
    """

    def __init__(
        self, plan: BackbonePlan, stage: StagePlan, sources: int, index: int, backend: str
    ) -> None:
        super().__init__()
        add_aggregator(self, plan, stage, sources)
        C, window = stage.width, plan.mixer.window
        self.backend = backend
        self.heads, self.window, self.shifts = stage.heads, window, bool(index % 2)
        self.relative_position_bias_table = nn.Parameter(
            torch.empty((2 * window - 1) ** 2, stage.heads)
        )
        self.qkv = PointwiseConv2d(C, 3 * C)
        self.proj = PointwiseConv2d(C, C)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: Tensor, context: Sequence[Tensor] = ()) -> Tensor:
        """Mix x (B, C, H, W), with the maps of the same shape that a ganglion aggregates."""
        if context:
            x = aggregate(self, x, context, x.shape[1])
        height, width = x.shape[2:]
        sides = (min(self.window, height), min(self.window, width))
        wide = zip((height, width), sides, strict=True)
        shift = tuple(self.window // 2 if self.shifts and n > side else 0 for n, side in wide)
        if any(shift):
            x = torch.roll(x, (-shift[0], -shift[1]), (2, 3))
        x = pad(x, (0, -width % sides[1], 0, -height % sides[0]))
        mixed = self._attend(x, sides, shift)[:, :, :height, :width]
        if any(shift):
            mixed = torch.roll(mixed, shift, (2, 3))
        out: Tensor = self.proj(mixed)
        return out

    def _attend(self, x: Tensor, sides: Sequence[int], shift: Sequence[int]) -> Tensor:
        """Attend within the windows of x (B, C, H, W), whose sides they divide."""
        batch, C, height, width = x.shape
        h, w = sides
        rows, columns, dim = height // h, width // w, C // self.heads
        parts = self.qkv(x).permute(0, 2, 3, 1)
        parts = parts.reshape(batch, rows, h, columns, w, 3, self.heads, dim)
        # Copied at most once: the products read windows and heads as one dimension, as they lie.
        q, k, v = parts.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, -1, h * w, dim).unbind(0)
        products = (q * dim**-0.5) @ k.transpose(1, 2)
        scores = products.unflatten(0, (batch, rows * columns, self.heads)) + self._bias(h, w)
        if any(shift):
            scores = scores + _apart((height, width), sides, shift, scores)
        mixed = torch.softmax(scores, dim=4).flatten(0, 2) @ v
        mixed = mixed.reshape(batch, rows, columns, self.heads, h, w, dim)
        out: Tensor = mixed.permute(0, 3, 6, 1, 4, 2, 5).reshape(batch, C, height, width)
        return out

    def _bias(self, h: int, w: int) -> Tensor:
        """Return the bias (heads, h w, h w) of every pair of positions of a window."""
        reach = 2 * self.window - 1
        device = self.relative_position_bias_table.device
        rows, columns = (torch.arange(n, device=device) for n in (h, w))
        down = rows[:, None] - rows[None, :] + self.window - 1
        across = columns[:, None] - columns[None, :] + self.window - 1
        index = down[:, None, :, None] * reach + across[None, :, None, :]
        bias = self.relative_position_bias_table[index.reshape(h * w, h * w)]
        out: Tensor = bias.permute(2, 0, 1)
        return out


def _apart(sides: Sequence[int], window: Sequence[int], shift: Sequence[int], x: Tensor) -> Tensor:
    """Return what keeps regions apart that only the shift brought together.

    (windows, 1, h w, h w), of the type and device of x; added to the scores.
    """
    regions = []
    for side, own, moved in zip(sides, window, shift, strict=True):
        place = torch.arange(side, device=x.device)
        late = (place >= side - own).long() + (place >= side - moved).long()
        regions.append(late if moved else torch.zeros_like(place))
    grid = 3 * regions[0][:, None] + regions[1][None, :]
    h, w = window
    cut = grid.reshape(sides[0] // h, h, sides[1] // w, w).transpose(1, 2).reshape(-1, 1, h * w)
    return (cut[:, :, :, None] != cut[:, :, None, :]).to(x.dtype) * APART
