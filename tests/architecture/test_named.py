"""Named architectures: counts of their sources, and the spaces that they are baselines of."""

import pytest

from sparx_nas import estimate, load_space
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.named import NAMED, named
from sparx_nas.ground.errors import ArchitectureError

PARAMS = {
    "sparx_mamba_t": 27_051_794,
    "sparx_mamba_s": 47_444_712,
    "sparx_mamba_b": 83_536_168,
    "plain_swin_t": 28_288_354,
    "plain_swin_s": 49_606_258,
    "plain_swin_b": 87_768_224,
    "plain_pvt_v2_b0": 3_666_760,
    "plain_pvt_v2_b1": 14_009_000,
    "plain_pvt_v2_b2": 25_362_856,
    "plain_pvt_v2_b3": 45_238_696,
    "plain_pvt_v2_b4": 62_556_072,
    "plain_pvt_v2_b5": 81_956_008,
    "vmamba_tiny": 30_249_064,
    "vmamba_small": 50_147_752,
    "vmamba_base": 88_557_800,
}
"""Counted in the sources: SparX and VMamba by their own code, Swin and PVT v2 by timm."""

FULL = {
    **{f"mamba_{size}": f"sparx_mamba_{size}" for size in "tsb"},
    **{f"swin_{size}": f"sparx_swin_{size}" for size in "tsb"},
    **{f"pvt_b{size}": f"sparx_pvt_v2_b{size}" for size in range(4)},
    "conv_t": "sparx_conv_t",
}


@pytest.mark.parametrize("name", PARAMS)
def test_parameters_are_those_of_the_source(name):
    assert estimate(named(name)).params == PARAMS[name]


def test_plain_mamba_is_published_without_ganglia():
    assert round(estimate(named("plain_mamba_t")).params / 1e6, 2) == 20.70
    for size in "tsb":
        plain, sparx = named(f"plain_mamba_{size}"), named(f"sparx_mamba_{size}")
        assert not plain.graph.ganglia
        assert sparx.graph.ganglia
        assert plain.widths == sparx.widths


@pytest.mark.parametrize(
    ("ours", "source"),
    [(f"sparx_swin_{s}", f"plain_swin_{s}") for s in "tsb"]
    + [(f"sparx_pvt_v2_b{i}", f"plain_pvt_v2_b{i}") for i in range(4)],
)
def test_designs_of_ours_cost_about_what_their_source_costs(ours, source):
    """No more parameters, and MACs within 6 % above and below."""
    new, old = estimate(named(ours)), estimate(named(source))
    assert 0.85 * old.params <= new.params <= old.params
    assert 0.94 * old.macs <= new.macs <= 1.06 * old.macs


@pytest.mark.parametrize("space", FULL)
def test_named_designs_are_the_baselines_of_their_spaces(space):
    for name in (space, f"{space}_free"):
        loaded = load_space(name)
        assert loaded.baselines["sparx"].id == named(FULL[space]).id
        for baseline in loaded.baselines.values():
            assert loaded.encode(baseline) is not None
        assert not loaded.violations(loaded.cost(loaded.baselines["sparx"]).to_dict())
        assert not loaded.violations(loaded.cost(loaded.baselines["plain"]).to_dict())


def test_no_two_names_are_one_architecture_and_all_survive_a_file(tmp_path):
    ids = {entry.make().id for entry in NAMED.values()}
    assert len(ids) == len(NAMED)
    for name in NAMED:
        named(name).save(tmp_path / "arch.json")
        assert Architecture.load(tmp_path / "arch.json") == named(name)
    assert load_space("mamba_micro").baselines["sparx"].id not in ids


def test_an_unknown_name_suggests_one():
    with pytest.raises(ArchitectureError, match="Did you mean 'sparx_mamba_t'"):
        named("sparx_mamba_tt")
