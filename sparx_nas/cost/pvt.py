"""Cost of attention whose keys and values come from a smaller map.

Letters: C width, L = H*W, r spatial reduction, Ls positions of the smaller map.
Source: arXiv 2106.13797, section 3.
"""

from sparx_nas.architecture.plan import spatially_reduced
from sparx_nas.cost.layer_shape import LayerShape
from sparx_nas.cost.tally import Tally


def count_pvt(t: Tally, layer: LayerShape) -> None:
    """Count the attention."""
    C, H, W, r = layer.C, layer.H, layer.W, layer.spatial_reduction
    L, Ls = H * W, spatially_reduced(H, r) * spatially_reduced(W, r)
    if r > 1:
        if min(H, W) < r:
            # A map that is smaller than one step is padded, and kept so.
            t.kept += C * max(H, r) * max(W, r)
        t.conv(C, C, r, Ls, bias=True)
        t.norm(C, Ls, per_position=True)
        # The norm keeps its input, the map to keys and values the normalised one.
        t.kept += 2 * C * Ls
    t.pointwise_conv(C, C, L, bias=True)
    t.pointwise_conv(C, 2 * C, Ls, bias=True)
    t.attention += 2 * C * L * Ls
    t.pointwise_conv(C, C, L, bias=True)
    # What queries are read from, the scaled queries, the mixed map; keys and values; the softmax.
    t.kept += 3 * C * L + 2 * C * Ls + layer.heads * L * Ls
