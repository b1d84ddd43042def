"""The cost model against built networks: parameters, MACs, kept bytes, counted while they run."""

import random
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import pytest
import timm
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from sparx_nas import build, estimate, load_space, patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.families import FAMILIES
from sparx_nas.architecture.named import NAMED, VMAMBA, named, vmamba
from sparx_nas.architecture.plan import map_sizes
from sparx_nas.kernels import fusing
from support.architectures import random_architecture

SPACES = ("mamba_t", "mamba_t_free", "mamba_micro")
PARTS = 6
FULL_SIZE = {"in_chans": 3, "num_classes": 1000, "width": 1.0, "stem_stride": 4}
OF_TIMM = [name for name, entry in NAMED.items() if entry.timm]
OF_EVERY_FAMILY = ("sparx_conv_t", "sparx_swin_t", "sparx_pvt_v2_b1", "vmamba_tiny")
FAMILIES_BESIDE_MAMBA = [name for name in FAMILIES if name != "mamba"]
GANGLIA_FREE = ("vmamba", "swin", "pvt")
"""Families that have no BatchNorm without ganglia, so any map is large enough to train on."""
PUBLISHED = {
    "vmamba_tiny": (30249064, 4.905609984e9),
    "vmamba_small": (50147752, 8.71577472e9),
    "vmamba_base": (88557800, 15.358944256e9),
    "vmamba_tiny_s2l5": (30705832, 4.85774208e9),
    "vmamba_small_s1l20": (49012840, 8.612211456e9),
    "vmamba_base_s1l20": (86614504, 15.220859904e9),
}
"""Parameters and FLOPs that fvcore counts in the official VMamba at 224 px."""


class Flops(TorchDispatchMode):
    """Count by the table of FlopCounterMode, ten times as fast."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        rule = flop_registry.get(func.overloadpacket)
        self.total += rule(*args, **(kwargs or {}), out_val=out) if rule else 0
        return out


def proxy(seed: int, widths, least: int, most: int):
    """Draw an image size and the settings of a build."""
    rng = random.Random(seed)
    return (rng.randint(least, most), rng.randint(least, most)), {
        "in_chans": rng.choice((1, 2, 3)),
        "num_classes": rng.choice((2, 11)),
        "width": rng.choice(widths),
        "stem_stride": rng.choice((4, 2)),
    }


def built(a: Architecture, size, settings, device):
    """Build a network and an image for it."""
    rest = {k: v for k, v in settings.items() if k != "num_classes"}
    with nullcontext() if device == "cpu" else torch.device(device):
        net = build(a, settings["num_classes"], **rest)
        return net, torch.zeros(1, settings["in_chans"], *size)


def flops(counter, net, x) -> int:
    with torch.no_grad(), counter:
        net.eval()(x)
    return counter.total if isinstance(counter, Flops) else counter.get_total_flops()


def scan_macs(a: Architecture, size, settings) -> int:
    """4N + 1 for each element of each of four directions."""
    if a.family.mixer != "scan":
        return 0
    plan = a.plan(**settings)
    sides, states = map_sizes(plan, *size), a.mixer.state_dim
    return sum(
        4 * stage.inner * height * width * (4 * states + 1) * len(stage.contexts)
        for stage, (height, width) in zip(plan.stages, sides, strict=True)
    )


def assert_counted(a, size, settings, *, device="cpu", counter=Flops):
    cost = estimate(a, size, **settings)
    net, x = built(a, size, settings, device)
    assert sum(p.numel() for p in net.parameters()) == cost.params
    assert cost.macs_by_operator["scan"] == scan_macs(a, size, settings)
    assert flops(counter(), net, x) == 2 * cost.macs
    assert sum(cost.macs_by_operator.values()) == cost.macs
    assert cost.weight_bytes == 4 * cost.params


def test_the_quick_counter_counts_as_flop_counter_mode_does():
    for seed in range(5):
        size, settings = proxy(seed, (0.5, 1.0), 9, 40)
        net, x = built(random_architecture(seed, 2), size, settings, "meta")
        assert flops(Flops(), net, x) == flops(FlopCounterMode(display=False), net, x) > 0
    for backbone in FAMILIES:
        net, x = built(random_architecture(0, 2, backbone), (33, 40), FULL_SIZE, "meta")
        assert flops(Flops(), net, x) == flops(FlopCounterMode(display=False), net, x) > 0


@pytest.mark.parametrize("space", SPACES)
def test_costs_of_full_size_networks_of_every_space(space):
    drawn = load_space(space)
    for a in [*drawn.baselines.values(), drawn.sample(0)]:
        assert_counted(
            a,
            (224, 224),
            FULL_SIZE,
            device="meta",
            counter=lambda: FlopCounterMode(display=False),
        )


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("space", SPACES)
def test_costs_of_samples_of_every_space(space, part):
    """42 of each space, at small widths and on small images of any shape."""
    drawn = load_space(space)
    for seed in range(part, 42, PARTS):
        assert_counted(drawn.sample(seed), *proxy(seed, (0.25, 0.125), 1, 20))


@pytest.mark.parametrize("part", range(PARTS))
def test_costs_of_free_wirings(part):
    """384 random wirings of four stages with random settings."""
    for seed in range(part, 384, PARTS):
        a = random_architecture(seed, max_depth=(4, 1, 1, 1, 2, 1, 1, 1)[seed // PARTS % 8])
        assert_counted(a, *proxy(seed, (1.0, 1.0, 0.5, 1.5), 1, 24))


@pytest.mark.parametrize("backbone", FAMILIES_BESIDE_MAMBA)
def test_costs_of_every_family(backbone):
    """27 random wirings with random settings, on maps that windows and reductions do not divide."""
    for seed in range(27):
        a = random_architecture(seed, (4, 1, 2, 1)[seed % 4], backbone)
        size, settings = proxy(seed, (1.0, 0.5, 1.5), *((1, 24) if seed % 2 else (25, 60)))
        settings["stem_stride"] = (4, 2, 1)[seed % 3]
        assert_counted(a, size, settings, device="meta")


@pytest.mark.parametrize("name", OF_EVERY_FAMILY)
def test_costs_of_a_full_size_network_of_every_family(name):
    a = named(name)
    assert_counted(a, (224, 224), FULL_SIZE, device="meta")
    net, x = built(a, (224, 224), FULL_SIZE, "meta")
    assert kept_bytes(net, x) == estimate(a).activation_bytes


@pytest.mark.parametrize("name", OF_TIMM)
def test_costs_are_those_of_the_network_of_timm(name):
    with torch.device("meta"):
        net, x = timm.create_model(NAMED[name].timm), torch.zeros(1, 3, 224, 224)
    cost = estimate(named(name))
    assert sum(p.numel() for p in net.parameters()) == cost.params
    assert flops(Flops(), net, x) == 2 * cost.macs


def test_published_flops_are_those_of_the_official_vmamba():
    found = {f"vmamba_{size}": vmamba(size) for size in VMAMBA}
    for name, size, depth, expand in (
        ("vmamba_tiny_s2l5", "tiny", 5, 2.0),
        ("vmamba_small_s1l20", "small", 20, 1.0),
        ("vmamba_base_s1l20", "base", 20, 1.0),
    ):
        graph = patterns.plain((2, 2, depth, 2))
        found[name] = replace(found[f"vmamba_{size}"], graph=graph, expand=(expand,) * 4)
    costs = {name: estimate(a) for name, a in found.items()}
    assert {n: (cost.params, cost.published_flops) for n, cost in costs.items()} == PUBLISHED


def kept_bytes(net, x) -> int:
    """Return the bytes of all storages that autograd keeps, parameters and buffers aside.

    Of the modules: what a fused part keeps is another matter, and no GPU has those.
    """
    own = {t.untyped_storage()._cdata for t in (*net.parameters(), *net.buffers())}
    kept = {}

    def pack(t):
        kept[t.untyped_storage()._cdata] = t
        return t

    with fusing.only(), torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = net(x)
    sizes = [t.untyped_storage().nbytes() for key, t in kept.items() if key not in own]
    del y
    return sum(sizes)


@pytest.mark.parametrize("part", range(PARTS))
def test_kept_bytes_are_those_that_autograd_keeps(part):
    """66 random wirings in training mode, on maps that no batch norm finds too small."""
    for seed in range(part, 66, PARTS):
        a = random_architecture(seed, max_depth=(1, 2, 1, 4)[seed // PARTS % 4])
        size, settings = proxy(seed, (1.0, 0.5, 1.5), 166, 200)
        settings["stem_stride"] = random.Random(seed).choice((4, 2, 1))
        net, x = built(a, size, settings, "meta")
        assert kept_bytes(net, x) == estimate(a, size, **settings).activation_bytes


@pytest.mark.parametrize("backbone", FAMILIES_BESIDE_MAMBA)
def test_kept_bytes_of_every_family(backbone):
    """12 random wirings; a GroupNorm copies channels-last maps anywhere but on a CPU."""
    for seed in range(12):
        a = random_architecture(seed, (2, 1)[seed % 2], backbone)
        device = "meta" if a.norm == "layer" else "cpu"
        size, settings = proxy(seed, (1.0, 0.5, 1.5), 166, 200)
        settings["stem_stride"] = 4 if device == "cpu" else (4, 2, 1)[seed % 3]
        net, x = built(a, size, settings, device)
        assert kept_bytes(net, x) == estimate(a, size, **settings).activation_bytes


@pytest.mark.parametrize("backbone", GANGLIA_FREE)
def test_kept_bytes_on_tiny_maps(backbone):
    """18 networks without ganglia on maps down to one position."""
    for seed in range(18):
        a = random_architecture(seed, 2, backbone)
        a = replace(a, graph=patterns.plain(a.graph.depths), norm="layer")
        size, settings = proxy(seed, (1.0, 0.5, 1.5), 1, 24)
        settings["stem_stride"] = (4, 2, 1)[seed % 3]
        net, x = built(a, size, settings, "meta")
        assert kept_bytes(net, x) == estimate(a, size, **settings).activation_bytes


@pytest.mark.parametrize("space", SPACES)
def test_kept_bytes_of_every_space(space):
    drawn = load_space(space)
    for a in (drawn.baselines["sparx"], drawn.sample(0)):
        net, x = built(a, (224, 224), FULL_SIZE, "meta")
        assert kept_bytes(net, x) == estimate(a, **FULL_SIZE).activation_bytes


def test_costs_follow_the_image():
    a = load_space("mamba_t").baselines["sparx"]
    small, large = estimate(a, 224), estimate(a, 448)
    assert small.params == large.params
    assert large.macs_by_operator["convolution"] == 4 * small.macs_by_operator["convolution"]
    assert large.activation_bytes > 3.9 * small.activation_bytes
    assert estimate(a, (224, 448)).macs == estimate(a, (448, 224)).macs
    assert estimate(a, 224) == estimate(a, (224, 224))


def test_more_edges_never_cost_less():
    depths, widths = [2, 3, 4, 2], (16, 16, 24, 32)
    for seed in range(20):
        sparse = patterns.random(depths, 0.6, seed)
        thin = patterns.thin(sparse, 0.5)
        more, less = (estimate(Architecture(graph=g, widths=widths)) for g in (sparse, thin))
        assert less.params <= more.params
        assert less.macs <= more.macs
        assert less.activation_bytes <= more.activation_bytes


def test_settings_reach_the_estimate_as_they_reach_the_plan():
    a = random_architecture(5)
    assert estimate(a, 64).params != estimate(a, 64, num_classes=10).params
    assert estimate(a, 64, in_chans=1).params < estimate(a, 64).params
    assert estimate(a, 64, stem_stride=2).macs > estimate(a, 64).macs
    assert estimate(a, 64, stem_stride=2).params == estimate(a, 64).params
    assert estimate(replace(a, norm="layer"), 64).params == estimate(a, 64).params


def test_an_estimate_needs_no_torch():
    script = (
        "import sys, sparx_nas\n"
        "sparx_nas.estimate(sparx_nas.load_space('mamba_micro').sample(0))\n"
        "wrong = {'torch', 'timm', 'ray', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported {wrong}' if wrong else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
