"""Networks of any wiring: what they read, that they train, that they are saved and loaded."""

from pathlib import Path

import pytest
import torch
from torch import nn

import sparx_nas
from sparx_nas import Architecture, patterns
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.ground.errors import ArchitectureError, DeviceError
from support.architectures import FOUR_WIDTHS as WIDTHS
from support.architectures import random_wiring, small
from support.networks import reads


@pytest.mark.parametrize("seed", range(20))
def test_layers_read_exactly_what_the_graph_says(seed: int) -> None:
    graph = random_wiring(seed)
    model = sparx_nas.build(small(graph), 5).eval()
    for i, stage in enumerate(graph.stages):
        found = reads(model)[i]
        for layer, sources in enumerate(stage.sources, 1):
            assert sorted(found[layer]) == list(sources)


@pytest.mark.parametrize("seed", range(5))
def test_only_sources_reach_the_aggregator(seed: int) -> None:
    """Cut from the stream, a ganglion's mixer has a gradient for its sources and no other layer."""
    graph = random_wiring(seed + 100)
    model = sparx_nas.build(small(graph), 5).double().eval()
    for i, stage in enumerate(graph.stages):
        for layer in stage.ganglia:
            maps = [
                torch.randn(1, WIDTHS[i], 4, 4, dtype=torch.float64, requires_grad=True)
                for _ in range(layer)
            ]
            context = [maps[s] for s in model.contexts[i][layer - 1]]
            stream = torch.randn(1, WIDTHS[i], 4, 4, dtype=torch.float64)
            model.layers[i].blocks[layer - 1](stream, context).sum().backward()
            reached = [s for s, m in enumerate(maps) if m.grad is not None and m.grad.any()]
            assert reached == list(stage.sources[layer - 1])


@pytest.mark.parametrize("stage_input", ["first", "window"])
def test_a_context_is_normals_by_age_then_ganglia_by_age(stage_input: str) -> None:
    graph = ConnectivityGraph.from_ganglia(
        [6], {"1.2": ["1.1"], "1.4": ["1.3"], "1.6": ["1.5", "1.4", "1.0", "1.3", "1.2"]}
    )
    made = Architecture(graph=graph, widths=(8,), stage_inputs=(stage_input,))  # type: ignore[arg-type]
    order = (0, 3, 5, 2, 4) if stage_input == "first" else (3, 5, 0, 2, 4)
    assert made.context(0, 6) == order


def test_fifty_random_wirings_train(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    for seed in range(50):
        model = sparx_nas.build(small(random_wiring(seed)), 5, stem_stride=2)
        nn.functional.cross_entropy(model(x), y).backward()
        wrong = [n for n, p in model.named_parameters() if p.grad is None]
        assert not wrong
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_saved_network_gives_the_same_logits(tmp_path: Path) -> None:
    made = small(random_wiring(7))
    made.save(tmp_path / "arch.json")
    model = sparx_nas.build(made, 5).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    again = sparx_nas.build(Architecture.load(tmp_path / "arch.json"), 5).eval()
    again.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True), strict=True)
    x = torch.randn(2, 3, 40, 56)
    torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)


def test_samples_of_a_batch_do_not_meet_in_evaluation() -> None:
    model = sparx_nas.build(small(patterns.dense([2, 2, 3, 2])), 5).double().eval()
    x = torch.randn(3, 3, 48, 33, dtype=torch.float64)
    alone = torch.cat([model(image[None]) for image in x])
    torch.testing.assert_close(model(x), alone)


@pytest.mark.parametrize(("stride", "side"), [(4, 8), (2, 16), (1, 32)])
def test_stem_strides(stride: int, side: int) -> None:
    model = sparx_nas.build(small(patterns.plain([1, 1, 1, 1])), 5, stem_stride=stride)
    assert model.patch_embed(torch.zeros(1, 3, 32, 32)).shape[2:] == (side, side)


def test_width_multipliers_round_to_eights() -> None:
    made = Architecture(graph=patterns.plain([1, 1, 1, 1]), widths=(96, 192, 320, 512))
    assert [s.width for s in made.plan(width=0.25).stages] == [24, 48, 80, 128]
    assert [s.width for s in made.plan(width=0.01).stages] == [8, 8, 8, 8]
    assert [s.width for s in made.plan(width=1.0).stages] == [96, 192, 320, 512]


def test_wrong_builds_name_the_setting() -> None:
    made = small(patterns.plain([1, 1, 1, 1]))
    with pytest.raises(ArchitectureError, match="stem_stride is 3"):
        sparx_nas.build(made, 5, stem_stride=3)
    with pytest.raises(ArchitectureError, match="drop_path is 1"):
        sparx_nas.build(made, 5, drop_path=1.0)
    with pytest.raises(ArchitectureError, match=r"in_chans is 0(.|\n)*num_classes is -1"):
        sparx_nas.build(made, -1, in_chans=0)
    with pytest.raises(DeviceError, match=r"no kernel backend 'torhc'.*Did you mean 'torch'"):
        sparx_nas.build(made, 5, backend="torhc")
