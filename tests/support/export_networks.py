"""Small networks of every family, and folders of them, for the tests of exports."""

import torch

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.families import MambaSettings, PvtSettings, SwinSettings
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.architecture.network import Network, Preprocessing
from sparx_nas.models import build, save_network

WIRING = {"2.2": ["2.0", "2.1"], "2.3": ["2.0", "2.1", "2.2"]}
SETTINGS = {
    "mamba": {"mixer": MambaSettings(state_dim=2)},
    "vmamba": {},
    "swin": {"mixer": SwinSettings(heads=(1, 2), window=4)},
    "pvt": {"mixer": PvtSettings(heads=(1, 2), spatial_reductions=(4, 2))},
    "conv": {},
}
CLASSES = tuple(f"kind {i}" for i in range(10))
GRAY = Preprocessing(image_size=(8, 8), mean=(0.3,), std=(0.4,))


def network(family="mamba", *, depths=(1, 3), ganglia=WIRING, in_chans=1, **more):
    """Return the network of a two-stage architecture."""
    architecture = Architecture(
        graph=ConnectivityGraph.from_ganglia(list(depths), ganglia),
        backbone=family,
        widths=(8, 16),
        **SETTINGS[family],
    )
    given = {"preprocessing": GRAY, "classes": CLASSES, "num_classes": 10, "stem_stride": 2}
    return Network(architecture=architecture, in_chans=in_chans, **(given | more))


def built(network, *, seed=0):
    """Return a network in evaluation mode, its weights drawn so that every part matters."""
    torch.manual_seed(seed)
    model = build(network.architecture, **network.build_arguments)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer) * 0.2)
    return model.eval()


def saved(folder, network, *, seed=0):
    """Write a network with its weights and return the model."""
    model = built(network, seed=seed)
    save_network(folder, network, model)
    return model


def far(expected, found):
    """Return the largest difference over the largest expected value."""
    with torch.no_grad():
        return float((expected - found).abs().max() / expected.abs().max())
