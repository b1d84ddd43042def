"""Ready-made wirings: the published rule against a replay of its bookkeeping, and their costs."""

import random
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import ConnectivityGraph, StageGraph
from sparx_nas.cost import estimate
from sparx_nas.ground.errors import GraphError

DEPTHS = {"t": (2, 2, 7, 2), "s": (2, 2, 17, 2), "b": (2, 2, 21, 3)}
WIDTHS = {"t": (96, 192, 320, 512), "s": (96, 192, 328, 544), "b": (120, 240, 396, 636)}
NONE = 100
"""A start beyond every depth: no ganglia."""
PUBLISHED = {
    "t": ((1, 1, 2, 1), (NONE, 1, 0, 0), (NONE, NONE, 3, NONE)),
    "s": ((1, 1, 3, 1), (NONE, 1, 0, 0), (NONE, NONE, 3, NONE)),
    "b": ((1, 1, 3, 2), (NONE, 1, 0, 2), (NONE, NONE, 3, NONE)),
}
ALL_ONE, FROM_STAGE_2 = (1, 1, 1, 1), (NONE, 0, 0, 0)
FREE = (NONE,) * 4
TABLE = [
    ("t", *PUBLISHED["t"], 27_051_794, 5_247_196_800),
    ("s", *PUBLISHED["s"], 47_444_712, 9_258_812_544),
    ("b", *PUBLISHED["b"], 83_536_168, 15_895_356_744),
    ("t", ALL_ONE, FREE, FREE, 20_704_536, 4_417_969_408),
    ("s", ALL_ONE, FREE, FREE, 36_834_328, 7_713_913_888),
    ("b", ALL_ONE, FREE, FREE, 66_392_356, 13_247_426_340),
    ("s", PUBLISHED["s"][0], PUBLISHED["s"][1], FREE, 48_103_008, 9_388_417_152),
    ("b", PUBLISHED["b"][0], PUBLISHED["b"][1], FREE, 85_448_848, 16_271_639_112),
    ("t", ALL_ONE, FROM_STAGE_2, (3,) * 4, 29_412_047, 5_628_296_064),
    ("s", ALL_ONE, FROM_STAGE_2, (3,) * 4, 56_159_986, 10_618_288_144),
    ("t", ALL_ONE, FROM_STAGE_2, FREE, 30_665_807, 5_875_161_984),
    ("s", ALL_ONE, FROM_STAGE_2, FREE, 76_128_298, 14_549_627_920),
    ("b", ALL_ONE, FROM_STAGE_2, FREE, 151_641_712, 28_148_631_120),
    ("t", ALL_ONE, (NONE, 1, 1, 1), FREE, 28_361_297, 5_560_407_936),
    ("t", ALL_ONE, FROM_STAGE_2, (1,) * 4, 27_531_407, 5_257_997_184),
    ("t", (1, 1, 2, 1), (NONE, 1, 0, 0), (NONE, NONE, 1, NONE), 26_424_914, 5_123_763_840),
    ("t", (1, 1, 2, 1), (NONE, 1, 0, 0), (NONE, NONE, 2, NONE), 26_842_834, 5_206_052_480),
    ("t", (1, 1, 2, 1), (NONE, 1, 0, 0), (NONE, NONE, 4, NONE), 27_051_794, 5_247_196_800),
    ("t", (1, 1, 1, 1), (NONE, 1, 0, 0), (NONE, NONE, 3, NONE), 29_283_791, 5_590_871_040),
    ("t", (1, 1, 3, 1), (NONE, 1, 0, 0), (NONE, NONE, 3, NONE), 26_307_795, 5_132_638_720),
    ("t", (1, 1, 4, 1), (NONE, 1, 0, 0), (NONE, NONE, 3, NONE), 25_772_756, 5_059_224_960),
    ("t", (1, 1, 2, 1), (NONE, NONE, 0, NONE), (NONE, NONE, 3, NONE), 24_098_452, 4_958_490_368),
    ("t", (1, 1, 2, 1), (NONE, NONE, 0, 0), (NONE, NONE, 3, NONE), 26_771_090, 5_089_349_376),
]
"""Model, stride, start, window, parameters, and FLOPs by the rule of the official README at 224
pixels; measured on the official code at commit 1e84174."""


def architecture(model, stride, start, window, **settings) -> Architecture:
    wiring = patterns.sparx(
        DEPTHS[model],
        stride=stride,
        start=start,
        window=window,
        stage_input=settings.get("stage_inputs"),
    )
    stem = "v1" if model == "t" else "v2"
    return Architecture(graph=wiring, widths=WIDTHS[model], **({"stem": stem} | settings))


def replay(depth, stride, start, window, input_in_window) -> list[list[int]]:
    """Return what each layer concatenates, following the published bookkeeping step by step."""
    positions, at = [], depth - 1
    while at >= start:
        positions.append(at)
        at -= stride
    fresh, remembered, read = [], [], []
    (remembered if input_in_window else fresh).append(0)
    for index in range(depth):
        if index in positions:
            read.append(fresh + remembered)
            remembered.append(index + 1)
            fresh = []
        else:
            read.append([])
            fresh.append(index + 1)
        if window is not None and len(remembered) > window:
            remembered = remembered[len(remembered) - window :]
    return read


def test_the_published_rule_matches_a_replay_of_its_bookkeeping():
    rng = random.Random(2409)
    for _ in range(2000):
        depth, stride = rng.randint(0, 24), rng.randint(1, 6)
        start, window = rng.randint(0, 26), rng.choice([None, *range(1, 9)])
        place = rng.choice(["first", "window"])
        expected = replay(depth, stride, start, window, place == "window")
        got = patterns.sparx_stage(
            depth, stride=stride, start=start, window=window, stage_input=place
        )
        assert got.sources == tuple(tuple(sorted(row)) for row in expected)
        shape = (8,)
        model = Architecture(
            graph=ConnectivityGraph((StageGraph(((),)), got)),
            widths=shape * 2,
            stage_inputs=("first", place),
        )
        assert [list(model.context(1, layer)) for layer in range(1, depth + 1)] == expected


@pytest.mark.parametrize(("model", "stride", "start", "window", "params", "flops"), TABLE)
def test_costs_of_published_wirings(model, stride, start, window, params, flops):
    cost = estimate(architecture(model, stride, start, window))
    assert (cost.params, cost.published_flops) == (params, flops)


def test_costs_of_published_variants():
    cross = estimate(
        architecture("t", *PUBLISHED["t"], stage_inputs=("first", "window", "window", "window"))
    )
    assert (cross.params, cross.published_flops) == (28_000_658, 5_355_576_960)
    stem = estimate(architecture("t", *PUBLISHED["t"], stem="v2"))
    assert (stem.params, stem.published_flops) == (27_072_626, 5_508_513_408)


@pytest.mark.parametrize(
    ("model", "attention"), [("t", 45_609_984), ("s", 61_714_912), ("b", 89_140_212)]
)
def test_attention_of_the_published_models(model, attention):
    cost = estimate(architecture(model, *PUBLISHED[model]))
    assert cost.macs_by_operator["attention"] == attention


def test_positions_of_the_published_ganglia():
    for model, expected in {
        "t": ((), (2,), (1, 3, 5, 7), (1, 2)),
        "s": ((), (2,), (2, 5, 8, 11, 14, 17), (1, 2)),
        "b": ((), (2,), (3, 6, 9, 12, 15, 18, 21), (3,)),
    }.items():
        stages = architecture(model, *PUBLISHED[model]).graph.stages
        assert tuple(stage.ganglia for stage in stages) == expected


@given(
    st.integers(0, 12),
    st.integers(0, 10**6),
    st.floats(0.01, 1),
    st.sampled_from(("nearest", "spread")),
)
def test_thinning_keeps_the_stated_number_of_existing_sources(depth, seed, density, keep):
    stage = patterns.random([1, depth], 0.7, seed).stages[1]
    thin = patterns.thin_stage(stage, density, keep)
    for before, after in zip(stage.sources, thin.sources, strict=True):
        exact = (Decimal(repr(density)) * len(before)).quantize(Decimal(1), ROUND_HALF_UP)
        assert len(after) == (max(1, int(exact)) if before else 0)
        assert len(set(after)) == len(after)
        assert set(after) <= set(before)
        assert after[-1:] == before[-1:]
        if keep == "nearest":
            assert before[len(before) - len(after) :] == after
    assert patterns.thin_stage(stage, 1.0, keep) == stage


def test_spread_takes_sources_evenly():
    full = StageGraph(((),) * 8 + (tuple(range(9)),))
    assert patterns.thin_stage(full, 1 / 3, "spread").sources[8] == (2, 5, 8)
    assert patterns.thin_stage(full, 0.5, "nearest").sources[8] == (4, 5, 6, 7, 8)


def test_plain_dense_and_random():
    assert not patterns.plain([2, 0, 3]).ganglia
    dense = patterns.dense([2, 3, 2])
    assert dense.stages[0].ganglia == ()
    assert dense.stages[1].sources == ((0,), (1,), (1, 2))
    everything = patterns.random([3], density=1, seed=5)
    assert everything.stages[0].sources == ((0,), (0, 1), (0, 1, 2))
    assert patterns.random([3, 2], 0, 5) == patterns.plain([3, 2])
    assert patterns.random([6, 6], 0.5, 1) == patterns.random([6, 6], 0.5, 1)
    assert patterns.random([6, 6], 0.5, 1) != patterns.random([6, 6], 0.5, 2)


def test_random_edges_come_with_the_asked_probability():
    graphs = [patterns.random([8, 8], 0.3, seed) for seed in range(300)]
    edges = sum(len(row) for g in graphs for stage in g.stages for row in stage.sources)
    assert edges / (300 * 2 * 36) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"stride": 0}, "stride"), ({"window": 0}, "window"), ({"start": -1}, "start")],
)
def test_impossible_rules_are_refused(wrong, name):
    with pytest.raises(GraphError, match=f"{name} is"):
        patterns.sparx_stage(3, **({"stride": 1} | wrong))
    for density in (0, -0.1, 1.01):
        with pytest.raises(GraphError, match="density"):
            patterns.thin_stage(patterns.dense_stage(3), density)
    with pytest.raises(GraphError, match="probability"):
        patterns.random([3], 1.1, 0)
