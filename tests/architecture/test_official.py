"""Constructor arguments of the official model: what they come to, and which are refused."""

import copy
import math
import warnings

import pytest

from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.design import MambaSettings
from sparx_nas.cost import estimate
from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.space import load_space

NO = (False,) * 4
DENSE = {
    "dense_step": [1, 1, 2, 1],
    "dense_start": [100, 1, 0, 0],
    "max_dense_depth": [100, 100, 3, 100],
    "cross_stage": [False] * 4,
}
T = {"depths": [2, 2, 7, 2], "dims": [96, 192, 320, 512], "dense_config": DENSE}
SMALL = {"depths": [2, 3, 4, 2], "dims": [8, 16, 24, 32], "dense_config": DENSE}


def small(**changes):
    """Change a small working configuration; keys of `dense_config` are found there."""
    out = copy.deepcopy(SMALL)
    for name, value in changes.items():
        (out["dense_config"] if name in DENSE else out)[name] = value
    return out


def without(name):
    return {key: value for key, value in DENSE.items() if key != name}


def test_the_published_models_are_those_of_the_published_rule():
    a = Architecture.from_official(**T)
    by_pattern = Architecture(
        graph=patterns.sparx(
            [2, 2, 7, 2], stride=[1, 1, 2, 1], start=[100, 1, 0, 0], window=[None, None, 3, None]
        ),
        widths=(96, 192, 320, 512),
    )
    assert a == by_pattern
    assert a.id == by_pattern.id == load_space("mamba_t").baselines["sparx"].id
    cost = estimate(a)
    assert (cost.params, cost.published_flops) == (27_051_794, 5_247_196_800)


def test_arguments_are_not_changed():
    arguments = copy.deepcopy(T) | {"sr_ratio": [8, 4, 2, 1], "ls_init_value": [None, None, 1, 1]}
    before = copy.deepcopy(arguments)
    Architecture.from_official(**arguments)
    assert arguments == before
    assert "dense_idx" not in arguments["dense_config"]


def test_every_setting_arrives():
    a = Architecture.from_official(
        **small(
            cross_stage=[False, True, 0, 1],
            ssm_d_state=4,
            ssm_dt_rank=3,
            ssm_conv=3,
            ssm_ratio=[1, 1.5, 1.25, 2],
            mlp_ratio=(2, 3, 1, 2.5),
            ls_init_value=[0, False, None, 1e-5],
            sr_ratio=[0, 1, 16, -3],
            stem_type="v2",
            norm_layer="LayerNorm2d",
            ssm_act_layer=type("GELU", (), {}),
            mlp_act_layer="ReLU",
        )
    )
    assert a.stage_inputs == ("first", "window", "first", "window")
    assert a.mixer == MambaSettings(state_dim=4, dt_rank=3, conv_kernel=3, act="gelu")
    assert a.expand == (1, 1.5, 1.25, 2)
    assert a.mlp_ratio == (2, 3, 1, 2.5)
    assert a.layer_scale == (0, 0, None, 1e-5)
    assert a.reductions == (1, 1, 16, 1)
    assert (a.stem, a.norm, a.mlp_act) == ("v2", "layer", "relu")


@pytest.mark.parametrize(
    ("changes", "ganglia"),
    [
        ({}, ((), (2, 3), (2, 4), (1, 2))),
        ({"dense_step": [1, 5, 3, -1]}, ((), (3,), (1, 4), ())),
        ({"dense_start": [2, 2, 3, 1]}, ((), (3,), (4,), (2,))),
        ({"depths": [2, 0, 4, 2]}, ((), (), (2, 4), (1, 2))),
        ({"max_dense_depth": [math.inf, 3.0, 1, 2]}, ((), (2, 3), (2, 4), (1, 2))),
        ({"dims": 8}, ((), (2, 3), (2, 4), (1, 2))),
        ({"dims": (8, 10, 15, 20)}, ((), (2, 3), (2, 4), (1, 2))),
        ({"sr_ratio": [16, 16, 16, 16]}, ((), (2, 3), (2, 4), (1, 2))),
    ],
)
def test_what_the_official_code_can_do_is_taken(changes, ganglia):
    a = Architecture.from_official(**small(**changes))
    assert tuple(stage.ganglia for stage in a.graph.stages) == ganglia


BROKEN = {
    "window None": (small(max_dense_depth=[100, None, 3, 100]), "max_dense_depth of stage 2"),
    "window 0, step 1": (small(max_dense_depth=[100, 0, 3, 100]), "max_dense_depth of stage 2"),
    "window 0, step 2": (small(max_dense_depth=[100, 9, 0, 100]), "max_dense_depth of stage 3"),
    "window 0, cross_stage": (
        small(max_dense_depth=[100, 9, 0, 100], cross_stage=[False, True, True, True]),
        "max_dense_depth of stage 3",
    ),
    "window -1": (small(max_dense_depth=[100, 9, 3, -1]), "max_dense_depth of stage 4"),
    "window nan": (small(max_dense_depth=[100, 9, 3, math.nan]), "max_dense_depth of stage 4"),
    "ganglion 1.1": (small(dense_start=[0, 1, 0, 0]), "dense_start of stage 1"),
    "ganglion 1.2": (small(dense_start=[1, 1, 0, 0]), "dense_start of stage 1"),
    "ganglion 1.2, cross_stage": (
        small(dense_start=[1, 1, 0, 0], cross_stage=[True] * 4),
        "dense_start of stage 1",
    ),
    "width 22": (small(dims=[8, 22, 24, 32]), "stage 2 has ganglia and width 22"),
    "width 18": (small(dims=[8, 16, 18, 32]), "stage 3 has ganglia and width 18"),
    "width 3": (small(dims=[8, 16, 24, 3]), "stage 4 has ganglia and width 3"),
    "start -1": (small(dense_start=[100, -1, 0, 0]), "dense_start of stage 2"),
    "step 0": (small(dense_step=[1, 0, 2, 1]), "dense_step of stage 2"),
    "no dense_config": ({k: v for k, v in SMALL.items() if k != "dense_config"}, "dense_config"),
    "dense_config None": (SMALL | {"dense_config": None}, "dense_config is missing"),
    "three stages": (small(depths=[2, 2, 2]), "depths has 3 entries"),
    "five stages": (small(depths=[2] * 5), "depths has 5 entries"),
    "depth -1": (small(depths=[2, 2, -1, 2]), "depths is"),
    "three widths": (small(dims=[8, 16, 24]), "dims has 3 entries"),
    "width as text": (small(dims="tiny"), "dims is 'tiny'"),
    "rank 0": (small(ssm_dt_rank=0), "dt_rank is 0"),
    "rank as text": (small(ssm_dt_rank="full"), "ssm_dt_rank is 'full'"),
    "states a list": (small(ssm_d_state=[1, 1, 1, 1]), "ssm_d_state is [1, 1, 1, 1]"),
    "even kernel": (small(ssm_conv=4), "conv_kernel is 4"),
    "kernel 3.0": (small(ssm_conv=3.0), "ssm_conv is 3.0"),
    "no scan": (small(ssm_ratio=[2, 2, 0, 2]), "stage 3 has expand 0"),
    "two channels to scan": (small(ssm_ratio=[2, 0.125, 2, 2]), "stage 2 has ganglia and expand"),
    "mlp_ratio below 0": (small(mlp_ratio=[4, 4, -1, 4]), "stage 3 has mlp_ratio -1"),
    "mlp_ratio too short": (small(mlp_ratio=[4, 4]), "mlp_ratio is [4, 4]"),
    "one ls_init_value": (small(ls_init_value=1), "ls_init_value is 1"),
    "ls_init_value as text": (small(ls_init_value=[None, None, 1, "1"]), "ls_init_value is"),
    "sr_ratio nan": (small(sr_ratio=[8, math.nan, 2, 1]), "sr_ratio is [8, nan, 2, 1]"),
    "sr_ratio 1.5": (small(sr_ratio=[8, 1.5, 2, 1]), "sr_ratio is [8, 1.5, 2, 1]"),
    "batch norm": (small(norm_layer="BatchNorm2d"), "norm_layer is 'BatchNorm2d'"),
    "no activation": (small(ssm_act_layer=None), "ssm_act_layer is 'None'"),
    "ssm_init": (small(ssm_init="v3"), "ssm_init is 'v3'"),
    "cross_stage misplaced": (SMALL | {"cross_stage": [False] * 4}, "'cross_stage' is no argument"),
    "dense_step misplaced": (SMALL | {"dense_step": [1] * 4}, "'dense_step' is no argument"),
} | {
    f"no {name}": (SMALL | {"dense_config": without(name)}, f"dense_config lacks {name!r}")
    for name in DENSE
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_the_official_code_cannot_do_is_one_clear_error(case):
    arguments, said = BROKEN[case]
    with pytest.raises(ArchitectureError) as error:
        Architecture.from_official(**arguments)
    assert said in str(error.value)


def test_all_mistakes_are_named_at_once():
    wrong = small(
        dense_step=[1, 0, 2, 1], max_dense_depth=[9, 9, 0, None], norm_layer="BatchNorm2d"
    )
    with pytest.raises(ArchitectureError) as error:
        Architecture.from_official(**wrong)
    for said in (
        "4 mistakes",
        "dense_step of stage 2",
        "max_dense_depth of stage 3",
        "max_dense_depth of stage 4",
        "norm_layer",
    ):
        assert said in str(error.value)


def test_what_belongs_to_the_head_or_to_training_is_left_out_in_silence():
    elsewhere = {
        "num_classes": 10,
        "in_chans": 1,
        "drop_path_rate": 0.2,
        "use_checkpoint": [0] * 4,
        "ssm_drop_rate": 0.0,
        "ssm_init": "v2",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a = Architecture.from_official(**SMALL, **elsewhere)
    assert a == Architecture.from_official(**SMALL)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("patch_norm", "ignores 'patch_norm'"),
        ("mlp_ration", "Did you mean 'mlp_ratio'"),
        ("dense_start", "ignores 'dense_start'"),
        ("mlp_drop_rate", "no dropout"),
    ],
)
def test_what_is_swallowed_warns(name, said):
    with pytest.warns(UserWarning, match=said):
        a = Architecture.from_official(**SMALL, **{name: 1})
    assert a == Architecture.from_official(**SMALL)


def test_an_unknown_stem_is_v1_with_a_warning():
    with pytest.warns(UserWarning, match="stem_type is 'v3'"):
        made = Architecture.from_official(**small(stem_type="v3"))
    assert made.stem == "v1"
