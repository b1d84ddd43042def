"""Cost of the token mixer of plain convolutions.

Letters: C width, D inner width, L = H*W.
"""

from sparx_nas.cost.aggregator import count_aggregator
from sparx_nas.cost.layer_shape import LayerShape
from sparx_nas.cost.tally import KEEPS_OUTPUT, Tally


def count_conv(t: Tally, layer: LayerShape) -> None:
    """Count input map or aggregator, depthwise convolution, norm and output map."""
    C, D, L, mixer = layer.C, layer.D, layer.H * layer.W, layer.family.mixer
    if layer.sources:
        count_aggregator(t, layer)
    else:
        t.kept += C * L
        t.pointwise_conv(C, D, L, bias=True)
    t.depthwise_conv(D, mixer.conv_kernel, L, bias=True)
    # The convolution keeps its input, the norm the activated map, out_proj the normalised one.
    t.kept += (3 if mixer.act in KEEPS_OUTPUT else 4) * D * L
    t.norm(D, L, per_position=layer.per_position)
    t.pointwise_conv(D, C, L, bias=True)
