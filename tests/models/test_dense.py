"""Backbones of dense prediction: their maps, the learnable scale, and that they learn."""

from collections import OrderedDict
from dataclasses import replace

import pytest
import timm
import torch
from torch import distributed, nn

from sparx_nas import Architecture, build
from sparx_nas.architecture.families import FAMILIES
from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.kernels import fusing
from sparx_nas.kernels.channel_attention import channel_attention
from sparx_nas.models import DenseBackbone
from sparx_nas.models.norms import PositionNorm
from support import digit_scenes as scenes
from support.architectures import FOUR_WIDTHS as WIDTHS
from support.architectures import all_dense, random_architecture
from support.digit_scenes import FeaturePyramidNetwork

SIZES = ((32, 32), (50, 70), (37, 33), (1, 9))


def classifier_of(architecture: Architecture, dense: DenseBackbone) -> nn.Module:
    """Return a classifier with the same weights where there are the same names."""
    net = build(architecture, 5, drop_path=0.5)
    shared = {n: t for n, t in dense.state_dict().items() if not n.startswith("norm.")}
    missing, unexpected = net.load_state_dict(shared, strict=False)
    assert not unexpected
    assert all(name.startswith("classifier.") for name in missing)
    return net


@pytest.mark.parametrize("backbone", FAMILIES)
@pytest.mark.parametrize("training", [False, True])
def test_maps_are_the_stages_results_normed(backbone, training):
    """At odd and rectangular sizes as well, and with the same layers dropped in training."""
    architecture = all_dense(backbone)
    dense = DenseBackbone(architecture, drop_path=0.5).train(training)
    twin = classifier_of(architecture, dense).train(training)
    norms = [
        nn.Identity() if FAMILIES[backbone].stage_norm else PositionNorm(w, 1e-6) for w in WIDTHS
    ]
    assert [type(norm) for norm in dense.norm] == [type(norm) for norm in norms]
    for height, width in SIZES[:2] if training else SIZES:
        images = torch.randn(3, 3, height, width)
        torch.manual_seed(1)
        maps = dense(images)
        torch.manual_seed(1)
        expected = twin.forward_intermediates(images, intermediates_only=True)
        for stride, channels, found, norm, raw in zip(
            (4, 8, 16, 32), WIDTHS, maps, norms, expected, strict=True
        ):
            assert found.shape == (3, channels, -(-height // stride), -(-width // stride))
            assert torch.equal(found, norm(raw))


@pytest.mark.parametrize("seed", range(6))
def test_any_wiring_has_maps_and_gradients(seed):
    architecture = random_architecture(seed, max_depth=3)
    for variant in ("segmentation", "detection"):
        dense = DenseBackbone(architecture, variant=variant, in_chans=2).train()
        maps = dense(torch.randn(2, 2, 45, 70))
        assert [m.shape[1] for m in maps] == list(architecture.widths)
        sum(m.square().sum() for m in maps).backward()
        assert [n for n, p in dense.named_parameters() if p.grad is None] == []
        scales = [n for n in dense.state_dict() if n.endswith(".op.scale")]
        ganglia = len(architecture.graph.ganglia)
        assert len(scales) == (ganglia if variant == "detection" else 0)


@pytest.mark.parametrize("backbone", FAMILIES)
def test_the_scale_replaces_that_of_the_map(backbone):
    """With 1 / sqrt(L') of every ganglion's reduced map, detection is segmentation."""
    architecture = all_dense(backbone)
    plain = DenseBackbone(architecture).eval()
    dense = DenseBackbone(architecture, variant="detection").eval()
    missing, unexpected = dense.load_state_dict(plain.state_dict(), strict=False)
    assert missing
    assert not unexpected
    ops = [
        block.op for stage in dense.layers for block in stage.blocks if block.op.scale is not None
    ]
    assert [f.endswith("op.scale") for f in missing] == [True] * len(ops)
    images, places = torch.randn(2, 3, 61, 90), {}
    for op in ops:
        assert next(iter(op.state_dict())) == "scale"
        assert op.scale.shape == (1,)
        assert op.scale.item() == pytest.approx(0.0309877, rel=1e-5)
        op.q.register_forward_hook(lambda _, __, q, op=op: places.update({op: q.shape[2:].numel()}))
    other, expected = dense(images), plain(images)
    assert not all(torch.equal(a, b) for a, b in zip(other, expected, strict=True))
    for op, count in places.items():
        nn.init.constant_(op.scale, count**-0.5)
    for found, reference in zip(dense(images), expected, strict=True):
        torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-4)


def test_attention_with_a_scale_is_the_softmax_of_scaled_scores():
    q, k = torch.randn(2, 2, 8, 3, 5, dtype=torch.float64)
    v = torch.randn(2, 8, 7, 4, dtype=torch.float64)
    scale = torch.tensor([0.7], dtype=torch.float64)
    scores = q.view(2, 2, 4, 15) @ k.view(2, 2, 4, 15).mT
    expected = torch.softmax(0.7 * scores, 3) @ v.view(2, 2, 4, 28)
    torch.testing.assert_close(channel_attention(q, k, v, 4, scale=scale), expected.view_as(v))
    with pytest.raises(ValueError, match=r"scale is \(4,\)"):
        channel_attention(q, k, v, 4, scale=torch.ones(4))


def test_checkpointing_changes_no_gradient():
    dense = DenseBackbone(all_dense(), variant="detection", drop_path=0.3).double().train()
    images, found = torch.randn(2, 3, 40, 56, dtype=torch.float64), []
    for enable in (False, True):
        dense.set_grad_checkpointing(enable)
        dense.zero_grad()
        torch.manual_seed(3)
        sum(m.square().mean() for m in dense(images)).backward()
        found.append([p.grad.clone() for p in dense.parameters()])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(again, plain)


@pytest.mark.parametrize("indices", [(1, 2), (2, 0), (-1,), 3])
def test_what_no_map_needs_is_kept_but_never_trained(indices):
    everything = DenseBackbone(all_dense()).eval()
    dense = DenseBackbone(all_dense(), out_indices=indices).eval()
    dense.load_state_dict(everything.state_dict())
    images = torch.randn(1, 3, 64, 64)
    maps, whole = dense(images), everything(images)
    assert len(maps) == len(dense.out_indices)
    for i, found in zip(dense.out_indices, maps, strict=True):
        assert torch.equal(found, whole[i])
    assert dense.channels == tuple(m.shape[1] for m in maps)
    assert dense.strides == tuple(64 // m.shape[2] for m in maps)
    dense.train()
    sum(m.square().sum() for m in dense(torch.randn(2, 3, 64, 64))).backward()
    for name, parameter in dense.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name


def test_wrong_settings_are_told():
    for wrong, message in (
        ({"variant": "panoptic"}, "variant is 'panoptic'"),
        ({"out_indices": (0, 4)}, "there are stages 0 to 3"),
        ({"out_indices": ()}, "there are stages 0 to 3"),
        ({"drop_path": 1.0}, r"a rate in \[0, 1\)"),
    ):
        with pytest.raises(ArchitectureError, match=message):
            DenseBackbone(all_dense(), **wrong)


def test_batch_norms_are_synchronised_where_there_are_processes(tmp_path):
    alone = DenseBackbone(all_dense()).eval()
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in alone.modules())
    store = f"file://{tmp_path}/store"
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        dense = DenseBackbone(all_dense()).eval()
    finally:
        distributed.destroy_process_group()
    kinds = {type(m) for m in dense.modules()}
    assert nn.SyncBatchNorm in kinds
    assert nn.BatchNorm2d not in kinds
    assert list(dense.state_dict()) == list(alone.state_dict())
    dense.load_state_dict(alone.state_dict())
    images = torch.randn(1, 3, 33, 47)
    with fusing.only():
        # A fused aggregator has no synchronised norms, and other rounding.
        assert all(torch.equal(a, b) for a, b in zip(dense(images), alone(images), strict=True))
    torch.testing.assert_close(list(dense(images)), list(alone(images)), rtol=1e-4, atol=1e-5)


def test_maps_feed_a_feature_pyramid_and_frozen_stages_stay():
    backbone = DenseBackbone(all_dense(), variant="detection")
    timm.utils.freeze(backbone, ["patch_embed", "layers.0"])
    before = {n: t.clone() for n, t in backbone.state_dict().items()}
    neck = FeaturePyramidNetwork(list(backbone.channels), 16)
    named = OrderedDict(
        (str(i), m) for i, m in enumerate(backbone.train()(torch.rand(2, 3, 50, 66)))
    )
    maps = neck(named)
    assert [tuple(m.shape[1:]) for m in maps.values()] == [
        (16, 13, 17),
        (16, 7, 9),
        (16, 4, 5),
        (16, 2, 3),
    ]
    sum(m.square().mean() for m in maps.values()).backward()
    for name, parameter in backbone.named_parameters():
        frozen = name.startswith(("patch_embed.", "layers.0."))
        assert (parameter.grad is None) == frozen, name
    for name, value in backbone.state_dict().items():
        if name.startswith(("patch_embed.", "layers.0.")):
            assert torch.equal(value, before[name]), name


def test_a_small_backbone_learns_to_segment_digits():
    """After 100 steps it is far above the best constant answer, on digits that it never saw."""
    architecture = replace(all_dense(depths=(1, 1, 1, 1)), widths=(16, 24, 32, 48))
    net = scenes.Segmenter(DenseBackbone(architecture, in_chans=1), 32)
    scenes.fit(net, steps=100, batch=16, side=48, seed=0, lr=1e-2)
    images, target = scenes.scenes("test", 100, side=48, seed=1)
    found, constant = (
        scenes.mean(scenes.intersections_over_unions(answer, target))
        for answer in (scenes.predicted(net, images), torch.zeros_like(target))
    )
    assert constant == pytest.approx(0.08, abs=0.01)
    assert found > 1.6 * constant
