"""Limits: where each comes from, and that none is taken up which no design keeps."""

import pytest

from sparx_nas.ground.errors import NoFeasibleError
from sparx_nas.search.asked.limits import check_limits, in_force, limit_words, sources
from sparx_nas.search.asked.options import command_line, read_options
from sparx_nas.search.asked.settings import resolve, written
from sparx_nas.search.telling.live import header
from sparx_nas.space import load_space
from sparx_nas.space.explain import explain, render


@pytest.mark.parametrize(
    ("asked", "limit", "said"),
    [
        ({}, 4_500_000, "the space's"),
        ({"params": 10_000_000}, 4_500_000, "the space's; --constraint asks for 10.0 M"),
        ({"params": 4_500_000}, 4_500_000, "the space's"),
        ({"params": 3_000_000}, 3_000_000, "--constraint"),
    ],
)
def test_the_tighter_limit_holds_and_says_where_it_comes_from(asked, limit, said):
    own = {"params": 4_500_000}
    assert in_force(own, asked) == {"params": limit}
    assert sources(own, asked)["params"].startswith(said)


def test_limits_are_said_with_their_sources_before_anything_trains(tmp_path):
    space = load_space("pvt_b0")
    limits = ("--constraint", "params<=10M", "--constraint", "macs<=900M")
    asked = read_options(command_line(("--space", "pvt_b0", *limits), "search"))
    settings = resolve(asked, space, name="x")
    told = " ".join(" ".join(header(settings, tmp_path)).split())
    assert "params <= 4.50 M (the space's; --constraint asks for 10.0 M" in told
    assert "macs <= 900 M (--constraint)" in told
    # What a run writes down is what holds, and that it can read back.
    assert written(settings)["constraint"] == ["params<=4500000", "macs<=900000000"]


def test_without_limits_there_are_none():
    assert limit_words({}, {}) == "none"
    check_limits(load_space("mamba_micro"), {})


@pytest.mark.parametrize("name", ["pvt_b0", "mamba_micro", "mamba_t_free"])
@pytest.mark.parametrize("measure", ["params", "macs", "weight_bytes", "published_flops"])
def test_what_no_design_keeps_is_refused_with_what_can_be_kept(name, measure):
    space = load_space(name)
    least = min(space.cost(a).to_dict()[measure] for a in space.corners())
    check_limits(space, {measure: least})
    with pytest.raises(NoFeasibleError, match=rf"{measure} from .* to ") as error:
        check_limits(space, {measure: least // 2})
    assert name in str(error.value)
    assert error.value.exit_code == 3


def test_a_limit_just_below_the_least_is_refused_by_all_designs():
    space = load_space("mamba_micro")
    least = min(space.cost(a).params for a in space.enumerate())
    with pytest.raises(NoFeasibleError, match=f"{least:,}"):
        check_limits(space, {"params": least - 1})


def test_an_explanation_heeds_the_limits_asked_for():
    space = load_space("pvt_b0")
    costs = [space.cost(a) for a in space.enumerate()]
    median = sorted(c.params for c in costs)[len(costs) // 2]
    limits = {"params": median, "weight_bytes": 10**9}
    found = explain(space, limits=limits)
    assert found.feasible == sum(c.params <= median for c in costs)
    assert found.ranges["weight_bytes"].least == 4 * min(c.params for c in costs)
    text = render(found)
    assert space.fingerprint in text
    assert f"{found.feasible} of them are within the limits" in text
    assert explain(space).feasible == len(costs)
