"""Cost of one layer: position embedding, token mixer, feed-forward network.

Letters: C width, L = H*W. Source: arXiv 2409.09649.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from sparx_nas.architecture.families import Mixer
from sparx_nas.cost.aggregator import count_aggregator
from sparx_nas.cost.layer_shape import LayerShape
from sparx_nas.cost.mamba import count_mamba
from sparx_nas.cost.pvt import count_pvt
from sparx_nas.cost.swin import count_swin
from sparx_nas.cost.tally import KEEPS_OUTPUT, Tally

MIXERS: Mapping[Mixer, Callable[[Tally, LayerShape], None]] = {
    "scan": count_mamba,
    "window": count_swin,
    "reduction": count_pvt,
    "convolution": count_mamba,
}
"""A mixer's count includes the normed stream that it is given, as far as it keeps it; a ganglion's
aggregator is counted besides."""


@lru_cache(maxsize=65536)
def layer_cost(layer: LayerShape) -> Tally:
    """Count one layer; equal layers are counted once, so the result is not to be changed."""
    t, C, L, per_position = Tally(), layer.C, layer.H * layer.W, layer.per_position
    if layer.family.position:
        t.depthwise_conv(C, 3, L, bias=True)
        t.kept += C * L
    # Both norms keep the stream, which LayerScale shares.
    t.kept += 2 * C * L
    t.norm(C, L, per_position=per_position)
    t.norm(C, L, per_position=per_position)
    t.params += 4 * C * layer.layer_scale
    t.layer_scale_elements += 2 * C * L * layer.layer_scale
    if layer.sources:
        count_aggregator(t, layer)
    MIXERS[layer.family.kind](t, layer)
    _feed_forward(t, layer)
    return t


def _feed_forward(t: Tally, layer: LayerShape) -> None:
    """Count widening, depthwise convolution where there is one, activation, narrowing."""
    C, hidden, L, family = layer.C, layer.hidden, layer.H * layer.W, layer.family
    t.pointwise_conv(C, hidden, L, bias=True)
    if family.feed_forward_conv != "none":
        t.depthwise_conv(hidden, 3, L, bias=True)
        t.kept += hidden * L
    t.pointwise_conv(hidden, C, L, bias=True)
    # The normed stream; what the activation keeps; what the narrowing map reads.
    t.kept += C * L + (1 if family.mlp_act in KEEPS_OUTPUT else 2) * hidden * L
