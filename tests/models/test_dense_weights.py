"""Weights of dense backbones by name: of classifiers, of whole models, through a registry."""

import re
import sys
import types
from pathlib import Path

import pytest
import timm
import torch

from sparx_nas import Architecture, build, patterns
from sparx_nas.architecture.families import FAMILIES, SwinSettings
from sparx_nas.ground.errors import ArchitectureError, DataError
from sparx_nas.models import DenseBackbone, load_classification, load_dense
from support.architectures import HEADS, all_dense

PAGE = Path(__file__).parents[2] / "docs" / "dense_prediction.md"


@pytest.mark.parametrize("backbone", FAMILIES)
@pytest.mark.parametrize("variant", ["segmentation", "detection"])
def test_a_classifier_s_weights_load_and_only_they(backbone, variant, tmp_path):
    architecture = all_dense(backbone)
    torch.manual_seed(7)
    state = build(architecture, 5).state_dict()
    torch.save({"state_dict_ema": state}, tmp_path / "in1k.pth")
    dense = DenseBackbone(architecture, variant=variant)
    kept = {n: t.clone() for n, t in dense.state_dict().items() if n not in state}
    load_classification(dense, tmp_path / "in1k.pth")
    for name, value in dense.state_dict().items():
        assert torch.equal(value, state.get(name, kept.get(name))), name
    short = {n: t for n, t in state.items() if n != "patch_embed.0.weight"}
    wide = state | {"layers.1.blocks.0.op.proj_out": torch.ones(1)}
    wide["layers.3.blocks.0.norm.weight"] = torch.ones(7)
    for wrong, told in (
        (short, "missing: patch_embed.0.weight"),
        (wide, r"2 mistakes(.|\n)*proj_out(.|\n)*norm.weight is \(7,\), here \(20,\)"),
        (state | {"norm.0.weight": torch.ones(8)}, "not of a classifier"),
    ):
        with pytest.raises(ArchitectureError, match=told):
            load_classification(dense, wrong)
    with pytest.raises(DataError, match="there is no file"):
        load_classification(dense, tmp_path / "none.pth")


def test_timm_s_swin_loads_under_our_names():
    theirs = timm.models.SwinTransformer(
        img_size=64, window_size=2, embed_dim=8, depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 4)
    ).eval()
    architecture = Architecture(
        graph=patterns.plain((1, 1, 2, 1)),
        widths=(8, 16, 32, 64),
        backbone="swin",
        mixer=SwinSettings(heads=HEADS, window=2),
    )
    dense = DenseBackbone(architecture).eval()
    load_classification(dense, theirs.state_dict())
    images = torch.randn(1, 3, 64, 64)
    expected = theirs.forward_intermediates(images, intermediates_only=True)
    for found, norm, raw in zip(dense(images), dense.norm, expected, strict=True):
        torch.testing.assert_close(found, norm(raw), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("variant", ["segmentation", "detection"])
def test_a_whole_model_s_checkpoint_loads_by_name(variant, tmp_path):
    source, dense = (DenseBackbone(all_dense(), variant=variant) for _ in range(2))
    state = {f"backbone.{name}": value for name, value in source.state_dict().items()}
    for other in ("decode_head.conv.weight", "neck.0.bias", "roi_head.bbox_head.fc.weight"):
        state[other] = torch.ones(3)
    torch.save({"meta": {"epoch": 12}, "state_dict": state}, tmp_path / "model.pth")
    load_dense(dense, tmp_path / "model.pth")
    for name, value in source.state_dict().items():
        assert torch.equal(dense.state_dict()[name], value), name
    load_dense(dense, source.state_dict())
    with pytest.raises(ArchitectureError, match=f"those of the {variant} variant"):
        load_dense(
            DenseBackbone(
                all_dense(), variant="segmentation" if variant == "detection" else "detection"
            ),
            tmp_path / "model.pth",
        )
    del state["backbone.norm.2.bias"]
    with pytest.raises(ArchitectureError, match=r"missing: norm\.2\.bias"):
        load_dense(dense, state)


def test_the_page_s_registration_builds_and_initialises(tmp_path, monkeypatch):
    """A stand-in for mmengine's registry: classes by name, called with what a config says."""
    registered: dict[str, type] = {}

    class Registry:
        def register_module(self):
            return lambda cls: registered.setdefault(cls.__name__, cls)

    module = types.ModuleType("mmengine.registry")
    module.MODELS = Registry()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mmengine.registry", module)
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(next(c for c in code if "register_module" in c), {})
    architecture = all_dense()
    architecture.save(tmp_path / "arch.json")
    state = build(architecture).state_dict()
    torch.save(state, tmp_path / "in1k.pth")
    init = {"type": "Pretrained", "checkpoint": str(tmp_path / "in1k.pth")}
    given = {"architecture": str(tmp_path / "arch.json"), "variant": "detection", "drop_path": 0.2}
    backbone = registered["SparX"](**given, init_cfg=init)
    backbone.init_weights()
    assert torch.equal(backbone.patch_embed[0].weight, state["patch_embed.0.weight"])
