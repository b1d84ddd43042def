"""Identity, validation, written form and exports of architectures."""

import json
import random
from dataclasses import replace

import networkx
import pytest

from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.design import MambaSettings
from sparx_nas.architecture.graph import INPUT, ConnectivityGraph, StageGraph
from sparx_nas.cost import estimate, to_networkx
from sparx_nas.ground.errors import ArchitectureError
from support.architectures import random_architecture

GRAPH = patterns.sparx([1, 2, 4, 2], stride=[1, 1, 2, 1], start=[9, 1, 0, 0], window=[None] * 4)
BASE = Architecture(graph=GRAPH, widths=(8, 12, 16, 20))


def changed(**fields) -> Architecture:
    return replace(BASE, **fields)


CHANGES = [
    {"widths": (8, 12, 16, 24)},
    {"stem": "v2"},
    {"norm": "layer"},
    {"mlp_act": "relu"},
    {"expand": (2, 2, 2, 1.5)},
    {"mlp_ratio": (4, 4, 4, 3)},
    {"layer_scale": (None, None, None, 1.0)},
    {"layer_scale": (None, None, 1.0, 0.5)},
    {"reductions": (8, 4, 2, 2)},
    {"stage_inputs": ("first", "window", "first", "first")},
    {"mixer": MambaSettings(state_dim=2)},
    {"mixer": MambaSettings(dt_rank=3)},
    {"mixer": MambaSettings(conv_kernel=3)},
    {"mixer": MambaSettings(conv_kernel=0)},
    {"mixer": MambaSettings(act="relu")},
    {"graph": patterns.plain([1, 2, 4, 2])},
]


def test_everything_that_changes_the_function_changes_the_id():
    ids = [BASE.id, *(changed(**change).id for change in CHANGES)]
    assert len(set(ids)) == len(ids)


def test_what_changes_nothing_leaves_the_id():
    idle = [
        changed(reductions=(3, 4, 2, 1)),
        changed(stage_inputs=("window", "first", "first", "window")),
        changed(widths=[8, 12, 16, 20], expand=(2, 2, 2, 2)),
    ]
    assert {a.id for a in idle} == {BASE.id}
    without = [changed(mixer=MambaSettings(conv_kernel=k)).id for k in (0, 1)]
    assert without[0] == without[1] != BASE.id


def test_equal_ids_mean_equal_plans():
    """The plan is what is built and counted; drawn small, so that many settings meet."""
    plans: dict[str, set[object]] = {}
    for seed in range(300):
        rng = random.Random(seed)
        stage = patterns.random([2], rng.random(), seed).stages[0]
        a = Architecture(
            graph=ConnectivityGraph((stage,)),
            widths=(rng.choice((8, 16)),),
            reductions=(rng.choice((1, 2)),),
            stage_inputs=(rng.choice(("first", "window")),),
        )
        idle = not stage.ganglia
        key = tuple((s.width, None if idle else s.reduction, s.contexts) for s in a.plan().stages)
        plans.setdefault(a.id, set()).add(key)
    assert len(plans) > 10
    assert all(len(keys) == 1 for keys in plans.values())
    assert len({next(iter(keys)) for keys in plans.values()}) == len(plans)


def test_the_id_covers_widths_and_the_wiring_id_does_not():
    other = changed(widths=(16, 16, 16, 20))
    assert other.id != BASE.id
    assert other.graph.id == BASE.graph.id
    assert len(BASE.id) == 16
    assert int(BASE.id, 16) >= 0


@pytest.mark.parametrize("seed", range(40))
def test_the_written_form_comes_back(seed, tmp_path):
    a = random_architecture(seed)
    assert Architecture.from_dict(json.loads(json.dumps(a.to_dict()))) == a
    a.save(tmp_path / "arch.json")
    back = Architecture.load(str(tmp_path / "arch.json"))
    assert (back, back.id, hash(back)) == (a, a.id, hash(a))
    assert [f.name for f in tmp_path.iterdir()] == ["arch.json"]


def test_a_file_may_leave_out_what_is_as_published(tmp_path):
    text = {"schema": 1, "kind": "architecture", "depths": [1, 2], "widths": [8, 8]}
    a = Architecture.from_dict(text | {"ganglia": {"2.1": ["2.0"]}})
    assert a == Architecture(
        graph=ConnectivityGraph.from_ganglia([1, 2], {"2.1": ["2.0"]}), widths=(8, 8)
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema 1"),
        ({"kind": "space"}, "schema 1"),
        ({"width": [8]}, "unknown field 'width'. Did you mean 'widths'?"),
        ({"widths": None}, "arch"),
        ({"widths": [8, 12, 16]}, "widths has 3 entries for 4 stages"),
        ({"mixer": {"d_state": 1}}, "d_state"),
        ({"ganglia": {"3.2": ["3.5"]}}, "layer 3.2 cannot read 3.5: stage 3 has 4 layers"),
        ({"ganglia": {}}, "the file was edited"),
        ({"depths": [1, 2, "x", 2]}, "arch"),
        ({"depths": 4}, "arch"),
        ({"mixer": [1]}, "arch"),
        ({"ganglia": ["2.1"]}, "table of layers"),
        ({"depths": [1, 2, -4, 2]}, "not -4"),
        ({"layer_scale": [None, None, "x", 1]}, "layer_scale 'x'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(change, said, tmp_path):
    path = tmp_path / "arch.json"
    path.write_text(json.dumps(BASE.to_dict() | change))
    with pytest.raises(ArchitectureError) as error:
        Architecture.load(path)
    assert said in str(error.value)
    assert "arch" in str(error.value)


def test_a_missing_or_torn_file_is_named(tmp_path):
    path = tmp_path / "arch.json"
    with pytest.raises(ArchitectureError, match=r"cannot read .*arch\.json"):
        Architecture.load(path)
    path.write_text('{\n"schema": 1,\n')
    with pytest.raises(ArchitectureError, match=r"arch\.json:3: not valid JSON"):
        Architecture.load(path)
    path.write_text("[1]")
    with pytest.raises(ArchitectureError, match="not an architecture"):
        Architecture.load(path)


def test_missing_fields_are_named_at_once():
    with pytest.raises(ArchitectureError) as error:
        Architecture.from_dict({"schema": 1, "kind": "architecture", "wdths": [1]})
    assert "'depths' is missing" in str(error.value)
    assert "'widths' is missing" in str(error.value)
    assert "'wdths'" in str(error.value)


def test_everything_out_of_range_is_listed_at_once():
    with pytest.raises(ArchitectureError) as error:
        Architecture(
            graph=GRAPH,
            widths=(1, 22, 16, 3),
            expand=(2, 2, 0, 2),
            mlp_ratio=(4, -1, 4, 4),
            reductions=(8, 0, 2, 1),
        )
    text = str(error.value)
    for part in (
        "stage 1 has width 1",
        "stage 2 has ganglia and width 22",
        "24 would do",
        "stage 2 has mlp_ratio -1",
        "stage 2 has reductions 0",
        "stage 3 has expand 0",
        "stage 4 has ganglia and width 3",
    ):
        assert part in text
    with pytest.raises(ArchitectureError) as error:
        replace(BASE, stem="v3", norm="batch", mixer=MambaSettings(act="tanh", conv_kernel=4))
    for part in ("stem is 'v3'", "norm is 'batch'", "mixer.act is 'tanh'", "conv_kernel is 4"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"in_chans": 0},
        {"num_classes": 0},
        {"width": 0},
        {"width": -1.0},
        {"width": float("nan")},
        {"stem_stride": 3},
    ],
)
def test_impossible_proxies_are_refused(settings):
    with pytest.raises(ArchitectureError, match=f"{next(iter(settings))} is"):
        estimate(BASE, 32, **settings)


def test_a_proxy_that_leaves_no_channels_to_scan_is_refused():
    a = changed(expand=(0.2, 0.3, 2, 2))
    assert a.plan(width=1).stages[1].inner == 3
    with pytest.raises(ArchitectureError, match="stage 2 has width 8 and 2 channels to mix; 3"):
        a.plan(width=0.5)


def test_ratios_are_numbers_whatever_they_are_written_as():
    for wrong in (float("nan"), float("inf"), True, "2", 1 + 0j):
        for name in ("expand", "mlp_ratio", "layer_scale"):
            with pytest.raises(ArchitectureError, match=name):
                changed(**{name: (2, 2, 2, wrong)})


def test_the_settings_of_a_stage_without_layers_are_idle():
    short = Architecture(graph=patterns.plain([1, 0]), widths=(8, 8))
    other = replace(
        short, expand=(2, 1), mlp_ratio=(4, 1), layer_scale=(None, 1), reductions=(8, 2)
    )
    assert other.id == short.id
    assert replace(other, expand=(1, 1)).id != short.id


@pytest.mark.parametrize("size", [0, -1, (3,), (3, 0), 2.5, True, "64"])
def test_impossible_image_sizes_are_refused(size):
    with pytest.raises(ArchitectureError, match="image_size"):
        estimate(BASE, size)


def test_context_order_is_normals_by_age_then_ganglia_by_age():
    stage = StageGraph(((), (0,), (), (0, 1, 2, 3)))
    a = Architecture(graph=ConnectivityGraph((stage,)), widths=(8,))
    assert a.context(0, 4) == (0, 1, 3, 2)
    b = replace(a, stage_inputs=("window",))
    assert b.context(0, 4) == (1, 3, 0, 2)
    assert b.context(0, 2) == (0,)
    assert a.id != b.id


@pytest.mark.parametrize("seed", range(20))
def test_the_exported_graph_carries_shapes_and_cost(seed):
    a, size = random_architecture(seed), (96, 70)
    out, plan, total = to_networkx(a, size), a.plan(), estimate(a, size)
    assert isinstance(out, networkx.MultiDiGraph)
    ids = {"id": a.graph.id, "architecture_id": a.id}
    assert out.graph == ids | {"image_height": 96, "image_width": 70}
    layers = [d for _, d in out.nodes(data=True) if d["layer"] != INPUT]
    assert sum(d["params"] for d in layers) < total.params
    outside = total.macs_by_operator["convolution"] + plan.stages[-1].width * plan.num_classes
    assert sum(d["macs"] for d in layers) == total.macs - outside
    for name, node in out.nodes(data=True):
        stage = int(name.split(".")[0])
        side = [-(-s // (2 ** (stage + 1))) for s in size]
        assert node["channels"] == a.widths[stage - 1]
        assert [node["height"], node["width"]] == side
    for source, _, edge in out.edges(data=True):
        assert edge["channels"] == out.nodes[source]["channels"]
    text = "".join(networkx.generate_graphml(out))
    assert networkx.parse_graphml(text).number_of_nodes() == out.number_of_nodes()


def test_params_of_a_layer_are_those_of_its_module():
    from sparx_nas import build

    a = random_architecture(3)
    out, net = to_networkx(a, 64), build(a)
    for i, stage in enumerate(net.layers):
        for j, block in enumerate(stage.blocks, 1):
            counted = sum(p.numel() for p in block.parameters())
            assert out.nodes[f"{i + 1}.{j}"]["params"] == counted
