"""Networks whose blocks are fused parts, beside the same with modules."""

import pytest
import torch

import sparx_nas
from sparx_nas import kernels
from sparx_nas.kernels import fusing

pytestmark = pytest.mark.skipif(
    bool(kernels.missing("cpu")), reason=f"no compiled kernels: {kernels.missing('cpu')}"
)


def kept_bytes(net, x):
    """Return the bytes of all storages that autograd keeps, parameters and buffers aside."""
    own = {t.untyped_storage()._cdata for t in (*net.parameters(), *net.buffers())}
    kept = {}

    def pack(t):
        kept[t.untyped_storage()._cdata] = t
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        net(x)
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in own)


@pytest.mark.parametrize("baseline", ["plain", "sparx", "dense"])
def test_parts_keep_what_modules_keep(baseline):
    space = sparx_nas.load_space("mamba_t")
    net = sparx_nas.build(space.baselines[baseline], 10, in_chans=1, width=0.25, stem_stride=2).to(
        memory_format=torch.channels_last
    )
    x = torch.randn(48, 1, 16, 16)
    fused = kept_bytes(net, x)
    with fusing.only():
        modules = kept_bytes(net, x)
    assert abs(fused / modules - 1) < 0.03
