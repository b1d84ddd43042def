"""Weights of other code: by their names, to the same logits."""

import pytest
import timm
import torch
from timm.models.swin_transformer import SwinTransformer

from sparx_nas import patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.families import PvtSettings, SwinSettings
from sparx_nas.architecture.named import named
from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.models import DenseBackbone, build, load_classification
from sparx_nas.models.names import renamed


def filled(model, seed=0):
    """Give every parameter and buffer a value that matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 0.2 if p.ndim == 1 else 0.05
            p.copy_(torch.randn(p.shape, generator=generator) * scale + 0.1 * (p.ndim == 1))
            if name.endswith("relative_position_bias_table"):
                p.mul_(20)
    return model.eval()


def assert_equal_logits(ours, theirs, *sides):
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, got = theirs(images), ours.eval()(images)
    assert (got - expected).abs().max() <= 1e-5 * expected.std()


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_swin(size):
    theirs = filled(timm.create_model(f"swin_{size}_patch4_window7_224", num_classes=7))
    assert_equal_logits(build(named(f"plain_swin_{size[0]}"), 7), theirs, 224, 224)


@pytest.mark.parametrize("sides", [(256, 196), (288, 420), (40, 24), (60, 132), (28, 28)])
def test_swin_where_windows_do_not_fit(sides):
    """Padded, shifted, and smaller than a window in one direction or both."""
    theirs = SwinTransformer(
        img_size=sides,
        embed_dim=24,
        depths=(2, 3, 2, 2),
        num_heads=(1, 2, 4, 8),
        num_classes=5,
        window_size=7,
    )
    ours = Architecture(
        graph=patterns.plain((2, 3, 2, 2)),
        widths=(24, 48, 96, 192),
        backbone="swin",
        mixer=SwinSettings(heads=(1, 2, 4, 8)),
    )
    theirs = filled(theirs)
    state, model = theirs.state_dict(), build(ours, 5)
    tables = [name for name in state if name.endswith("relative_position_bias_table")]
    own = dict(model.named_parameters())
    for name in tables:
        # timm makes a smaller table for a smaller window; it is the middle of ours.
        heads = state[name].shape[1]
        window = theirs.get_submodule(name.rpartition(".")[0]).window_size
        middle = state[name].reshape(2 * window[0] - 1, 2 * window[1] - 1, heads)
        whole = torch.zeros(13, 13, heads)
        top, left = 7 - window[0], 7 - window[1]
        whole[top : 13 - top, left : 13 - left] = middle
        state[name] = whole.reshape(169, heads)
    model.load_state_dict(state, strict=True)
    assert own.keys() == dict(model.named_parameters()).keys()
    images = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, got = theirs(images), model.eval()(images)
    assert (got - expected).abs().max() <= 1e-5 * expected.std()


@pytest.mark.parametrize("size", ["b0", "b1", "b2", "b3", "b4", "b5"])
def test_pvt(size):
    theirs = filled(timm.create_model(f"pvt_v2_{size}", num_classes=7))
    assert_equal_logits(build(named(f"plain_pvt_v2_{size}"), 7), theirs, 96, 70)


def test_pvt_at_full_size_and_below_its_reduction():
    theirs = filled(timm.create_model("pvt_v2_b0", num_classes=7))
    assert_equal_logits(build(named("plain_pvt_v2_b0"), 7), theirs, 224, 224)
    small = build(named("plain_pvt_v2_b0"), 7).eval()
    with torch.no_grad():
        assert small(torch.randn(1, 3, 9, 17)).isfinite().all()


def test_names_of_vmamba():
    """The official names in both spellings, with the shapes that the official code has."""
    ours = build(named("vmamba_tiny"))
    state = filled(ours).state_dict()
    for spelling in ("released", "newest"):
        theirs = {official(name, spelling): value for name, value in state.items()}
        theirs = {name: shaped(name, value, spelling) for name, value in theirs.items()}
        assert theirs.keys() != state.keys()
        fresh = build(named("vmamba_tiny"))
        fresh.load_state_dict({"model": theirs}["model"], strict=True)
        for name, value in fresh.state_dict().items():
            assert torch.equal(value, state[name]), name
        again = renamed({"model": theirs, "epoch": 3}, state)
        assert again.keys() == state.keys()


def official(name: str, spelling: str) -> str:
    """Return a name of ours as VMamba has it; written out, not derived from the map under test."""
    pairs = [
        ("patch_embed.1.", "patch_embed.2."),
        ("patch_embed.3.", "patch_embed.5."),
        ("patch_embed.4.", "patch_embed.7."),
        ("downsample.1.", "downsample.3."),
        ("downsample.0.", "downsample.1."),
        ("classifier.0.", "classifier.norm."),
        ("classifier.3.", "classifier.head."),
    ]
    if spelling == "newest":
        pairs += [("x_proj_weight", "x_proj.weight"), ("dt_projs_weight", "dt_projs.weight")]
    for ours, theirs in pairs:
        if ours in name:
            return name.replace(ours, theirs)
    return name


def shaped(name: str, value: torch.Tensor, spelling: str) -> torch.Tensor:
    """Give a weight the shape that VMamba has."""
    linear = ("in_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")
    if name.endswith(linear):
        return value.flatten(1)
    if name.endswith("x_proj_weight"):
        return value.reshape(4, -1, value.shape[1])
    if name.endswith("x_proj.weight"):
        return value.flatten(1)
    if name.endswith("dt_projs.weight"):
        return value.flatten(0, 1)
    return value


def test_what_is_no_state_dict_is_refused_and_a_stranger_is_told():
    model = build(named("plain_pvt_v2_b0"))
    with pytest.raises(ArchitectureError, match="holds no state dict"):
        renamed({"epoch": 3}, model.state_dict())
    state = timm.create_model("pvt_v2_b1").state_dict()
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(state)
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({"patch_embed.proj.weight": torch.zeros(32, 3, 7, 7)})


def test_our_own_state_dict_is_loaded_as_it_is():
    a = Architecture(
        graph=patterns.dense((1, 2, 2, 1)),
        widths=(8, 16, 24, 32),
        backbone="pvt",
        mixer=PvtSettings(heads=(1, 2, 2, 4)),
    )
    first, second = build(a, 3), build(a, 3)
    second.load_state_dict(first.state_dict(), strict=True)
    wrapped = {f"module._orig_mod.{name}": value for name, value in first.state_dict().items()}
    second.load_state_dict({"state_dict": wrapped}, strict=True)
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(first.eval()(images), second.eval()(images))


def narrow(**more):
    return build(named("sparx_conv_t"), 4, width=0.25, **more)


def test_averaged_weights_load_without_their_counter():
    model, other = narrow(), narrow()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    other.load_state_dict(averaged.state_dict())
    for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("prefix", ["model.", "net.", "backbone.", "model.encoder.", "module.net."])
def test_a_prefix_before_every_name_is_left_out_and_said(prefix, caplog):
    model, other = narrow(), narrow()
    state = {prefix + name: value for name, value in model.state_dict().items()}
    other.load_state_dict({"state_dict": state})
    assert torch.equal(other.classifier[3].weight, model.classifier[3].weight)
    assert f"begins with {prefix.removeprefix('module.')!r}" in caplog.text


def test_a_prefix_beside_others_is_named_in_one_line():
    model = narrow()
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    state["criterion.weight"] = torch.ones(3)
    with pytest.raises(ArchitectureError, match=r"all begin with 'model\.' in the") as got:
        model.load_state_dict(state)
    assert "beside 1 others" in str(got.value)
    assert "removeprefix('model.')" in got.value.hint


def test_weights_of_a_narrowed_training_say_their_width(tmp_path):
    state, full = narrow().state_dict(), build(named("sparx_conv_t"), 4)
    dense = DenseBackbone(named("sparx_conv_t"))
    through_timm = timm.create_model("sparx_conv_t", num_classes=4)
    body = {name: t for name, t in state.items() if not name.startswith("classifier.")}
    loads = [
        lambda: full.load_state_dict(state),
        lambda: full.load_state_dict(state, strict=False),
        lambda: through_timm.load_state_dict({"module." + n: t for n, t in state.items()}),
        lambda: load_classification(dense, state),
        lambda: dense.load_state_dict(body, strict=False),
    ]
    for load in loads:
        with pytest.raises(ArchitectureError) as caught:
            load()
        assert "trained at 0.25 of this network's width" in str(caught.value)
        assert "24, 48, 80, 128 channels" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "width=0.25" in caught.value.hint
    fitting = DenseBackbone(named("sparx_conv_t"), width=0.25)
    load_classification(fitting, state)
    assert fitting.channels == (24, 48, 80, 128)
    assert torch.equal(fitting.patch_embed[0].weight, state["patch_embed.0.weight"])
