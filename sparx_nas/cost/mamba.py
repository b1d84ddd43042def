"""Cost of the token mixer of SparX-Mamba and VMamba: depthwise convolution, four-direction scan.

That of plain convolutions is the same without the scan. Letters: C width, D inner width, R rank of
the step sizes, N state size, L = H*W. Source: arXiv 2409.09649; the scan after arXiv 2401.10166
(VMamba), whose FLOP formula `published_flops` uses.
"""

from sparx_nas.cost.layer_shape import LayerShape
from sparx_nas.cost.tally import KEEPS_OUTPUT, Tally

DIRECTIONS = 4


def count_mamba(t: Tally, layer: LayerShape) -> None:
    """Count input map, convolution, scan where there is one, norm and output map.

    A ganglion's aggregator stands in for the input map.
    """
    C, D, L = layer.C, layer.D, layer.H * layer.W
    mixer, bias = layer.family.mixer, layer.family.bias
    if not layer.sources:
        t.kept += C * L
        t.pointwise_conv(C, D, L, bias=bias)
    if mixer.conv_kernel:
        t.depthwise_conv(D, mixer.conv_kernel, L, bias=bias)
        t.kept += D * L
    if mixer.act not in KEEPS_OUTPUT:
        t.kept += D * L
    if layer.family.kind == "scan":
        _count_scan(t, D, layer.R, mixer.state_dim, L)
    # out_norm keeps its input, out_proj the normalised map.
    t.kept += 2 * D * L
    t.norm(D, L, per_position=layer.per_position)
    t.pointwise_conv(D, C, L, bias=bias)


def _count_scan(t: Tally, D: int, R: int, N: int, L: int) -> None:
    """Count the scan, which keeps its input."""
    t.params += DIRECTIONS * ((R + 2 * N) * D + D * R + D + D * N + D)
    t.linear += DIRECTIONS * ((R + 2 * N) * D + D * R) * L
    t.scan += DIRECTIONS * D * L * (4 * N + 1)
    t.published_scan += DIRECTIONS * D * L * (9 * N + 1)
    t.kept += D * L
