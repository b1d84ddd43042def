"""Cost of attention within windows, shifted in every other layer.

Letters: C width, L = H*W, h x w window. Source: arXiv 2103.14030, section 3.2.
"""

from sparx_nas.cost.layer_shape import LayerShape
from sparx_nas.cost.tally import Tally


def count_swin(t: Tally, layer: LayerShape) -> None:
    """Count the attention, padding included."""
    C, H, W, window = layer.C, layer.H, layer.W, layer.family.mixer.window
    h, w = min(window, H), min(window, W)
    tokens, L = h * w, H * W
    padded = (H + -H % h) * (W + -W % w)
    shifted = layer.shifts and window > 1 and max(H, W) > window
    t.params += (2 * window - 1) ** 2 * layer.heads
    t.pointwise_conv(C, 3 * C, padded, bias=True)
    t.attention += 2 * C * tokens * padded
    t.pointwise_conv(C, C, L, bias=True)
    # The map that qkv reads; queries, keys and values in one; the scaled queries; the softmax.
    t.kept += (1 + 3 + 1) * C * padded + layer.heads * tokens * padded
    # Where each pair of positions reads its bias: numbers of 8 bytes.
    t.kept += 2 * tokens * tokens
    # Moved back, the mixed map has shed its padding; cut to size it has not.
    t.kept += C * (L if shifted else padded)
