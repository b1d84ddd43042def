"""Spaces with scaled widths: valid, deterministic, and as their name says."""

import pytest

from sparx_nas import load_space
from sparx_nas.ground.errors import SpaceError
from sparx_nas.space import parse_space
from sparx_nas.space.scaling import read_scaling, scaled_design


@pytest.mark.parametrize(
    "name", ["mamba_t@0.1", "mamba_t@0.62:5", "swin_t@0.6:7:1", "pvt_b1@0.8", "conv_t_free@1.3"]
)
def test_a_scaled_space_is_a_space_of_its_own(name):
    scaling, scaled = read_scaling(name), load_space(name)
    usual = load_space(scaling.name)
    assert str(scaling) == name
    for key, design in usual.baselines.items():
        assert scaled.baselines[key].id == scaled_design(design, scaling.scale).id
        assert scaled.encode(scaled.baselines[key]) is not None
    assert all(width % 8 == 0 for width in scaled.baselines["sparx"].widths)
    assert scaled.distinct() == usual.distinct()
    assert scaled.fingerprint != usual.fingerprint
    assert scaled.limits == {}
    assert scaled.target["num_classes"] == (scaling.classes or usual.target["num_classes"])
    assert scaled.target["in_chans"] == (scaling.in_chans or usual.target["in_chans"])
    assert scaled.name != usual.name


def test_the_text_of_a_scaled_space_is_that_space():
    scaled = load_space("mamba_t@0.62:5")
    again = parse_space(scaled.source_text, "space.yaml")
    assert again.fingerprint == scaled.fingerprint
    assert again.source_text == load_space("mamba_t@0.62:5").source_text
    assert again.sample(3).id == scaled.sample(3).id


def test_costs_grow_with_the_scale():
    usual = load_space("mamba_t").baselines["sparx"]
    spaces = load_space("mamba_t")
    params = [spaces.cost(scaled_design(usual, s / 100)).params for s in range(10, 130)]
    assert params == sorted(params)
    assert scaled_design(usual, 1.0) == usual


def test_widths_of_a_list_that_become_equal_are_one_choice(tmp_path, monkeypatch):
    text = load_space("mamba_micro").source_text.replace("width: 16", "width: [16, 18]", 1)
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert {g.name for g in load_space("mine").genes} - {
        g.name for g in load_space("mine@0.5").genes
    } == {"s1.width"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mamba_t@", "NAME@SCALE"),
        ("mamba_t@half", "NAME@SCALE"),
        ("mamba_t@0.05", "from 0.1 to 2"),
        ("mamba_t@0.5:0", "no classes"),
        ("mamba_x@0.5", "Did you mean 'mamba_"),
    ],
)
def test_a_wrong_scale_is_refused(name, said):
    with pytest.raises(SpaceError) as caught:
        load_space(name)
    assert said in str(caught.value) + caught.value.hint
