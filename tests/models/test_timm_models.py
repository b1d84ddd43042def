"""timm's conventions, asked of the named models as its own suite does; checked downloads."""

import copy
import hashlib
import http.server
import math
import threading
from functools import partial

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay

import sparx_nas.models
from sparx_nas import load_space, patterns
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.families import FAMILIES, PvtSettings, SwinSettings
from sparx_nas.architecture.named import NAMED
from sparx_nas.ground.errors import ArchitectureError, DataError
from sparx_nas.models.registry import default_cfgs
from sparx_nas.models.weights import downloaded, read_state

SMALL = ["sparx_mamba_t", "sparx_swin_t", "sparx_pvt_v2_b0", "sparx_conv_t", "vmamba_tiny"]
"""One of each family."""


def made(name, **settings):
    return timm.create_model(name, **settings)


def test_every_name_is_registered():
    assert set(NAMED) | {"sparx_nas"} == set(timm.list_models(module="registry"))
    assert timm.is_model("sparx_nas")


@pytest.mark.parametrize("name", NAMED)
def test_configuration_names_real_parameters(name):
    with torch.device("meta"):
        model = made(name)
    cfg, state = model.pretrained_cfg, model.state_dict()
    for key in ("first_conv", "classifier"):
        assert f"{cfg[key]}.weight" in state
        assert isinstance(model.get_submodule(cfg[key]), torch.nn.Conv2d | torch.nn.Linear)
    assert cfg["architecture"] == name
    assert cfg["num_classes"] == 1000 == state["classifier.3.weight"].shape[0]
    assert cfg["input_size"] == (3, 224, 224)
    assert 0.5 < cfg["crop_pct"] <= 1
    assert [cfg["mean"], cfg["std"]] == [(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)]
    assert timm.get_pretrained_cfg(name).crop_pct == cfg["crop_pct"]
    if name.startswith("sparx_mamba"):
        assert cfg["url"].endswith("_in1k.pth")
        assert cfg["crop_pct"] == (0.9 if name.endswith("_t") else 0.95)


@pytest.mark.parametrize("name", SMALL)
def test_forward_backward_and_head(name):
    model = made(name, num_classes=6, in_chans=2, drop_path_rate=0.3).train()
    x = torch.randn(2, 2, 64, 64)
    y = model(x)
    assert y.shape == (2, 6)
    y.mean().backward()
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    rates = {m.drop_prob for m in model.modules() if type(m).__name__ == "DropPath"}
    assert math.isclose(max(rates), 0.3, rel_tol=1e-6)
    model.eval()
    with torch.no_grad():
        features = model.forward_features(x)
        assert features.shape == (2, model.num_features, 2, 2)
        assert torch.equal(model.forward_head(features), model(x))
        before = model.forward_head(features, pre_logits=True)
        assert before.shape == (2, model.head_hidden_size)
        torch.testing.assert_close(model.get_classifier()(before), model(x))
        model.reset_classifier(0)
        assert torch.equal(model(x), before)
        model.reset_classifier(0, "")
        assert model(x).shape == (2, model.num_features, 2, 2)
        model.reset_classifier(9, "avg")
        assert model(x).shape == (2, 9)
    bare = made(name, num_classes=0, global_pool="").eval()
    assert bare(torch.randn(1, 3, 32, 32)).shape == (1, model.num_features, 1, 1)


@pytest.mark.parametrize("sides", [(64, 64), (57, 83), (32, 130)])
@pytest.mark.parametrize("name", SMALL)
def test_features_only(name, sides):
    whole = made(name, num_classes=0).eval()
    picked = made(name, features_only=True, out_indices=(1, 3)).eval()
    state = whole.state_dict()
    picked.model.load_state_dict({k: v for k, v in state.items() if not k.startswith("classifier")})
    x = torch.randn(1, 3, *sides)
    with torch.no_grad():
        got, everything = picked(x), list(whole.maps(x))
    assert len(everything) == 4
    for i, feature in zip((1, 3), got, strict=True):
        assert torch.equal(feature, everything[i])
        assert feature.shape[2:] == tuple(math.ceil(side / (4 * 2**i)) for side in sides)
    assert picked.feature_info.channels() == [whole.feature_info[i]["num_chs"] for i in (1, 3)]
    assert picked.feature_info.reduction() == [8, 32]


def test_features_of_the_first_stages_leave_the_others_out():
    full = made("sparx_mamba_t", features_only=True)
    short = made("sparx_mamba_t", features_only=True, out_indices=(0, -3))
    counts = [sum(p.numel() for p in m.parameters()) for m in (full, short)]
    assert counts[1] < 0.1 * counts[0]
    assert [f.shape[1] for f in short.eval()(torch.randn(1, 3, 32, 32))] == [96, 192]
    with pytest.raises(ArchitectureError, match="there are stages 0 to 3"):
        made("sparx_mamba_t", features_only=True, out_indices=(4,))


def test_intermediates():
    model = made("plain_pvt_v2_b0").eval()
    x = torch.randn(1, 3, 64, 64)
    last, maps = model.forward_intermediates(x)
    assert torch.equal(last, model.forward_features(x))
    assert [m.shape[1] for m in maps] == [32, 64, 160, 256]
    only = model.forward_intermediates(x, indices=2, intermediates_only=True, stop_early=True)
    assert all(torch.equal(a, b) for a, b in zip(only, maps[2:], strict=True))
    with pytest.raises(ValueError, match="NCHW"):
        model.forward_intermediates(x, output_fmt="NLC")


@pytest.mark.parametrize("name", SMALL)
def test_gradient_checkpointing_changes_no_gradient_and_no_statistics(name):
    model = made(name, num_classes=3)
    other = copy.deepcopy(model)
    other.set_grad_checkpointing()
    x = torch.randn(2, 3, 32, 48)
    for net in (model, other):
        net.eval()(x).square().sum().backward()
    for (n, a), b in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=n)
    for net in (model, other):
        net.train()(x).sum().backward()
    for (n, a), b in zip(model.named_buffers(), other.buffers(), strict=True):
        assert torch.equal(a, b), n
    other.set_grad_checkpointing(False)
    assert not any(stage.grad_checkpointing for stage in other.layers)


@pytest.mark.parametrize("name", SMALL)
def test_parameters_are_grouped_and_decayed_as_timm_does(name):
    model = made(name)
    groups = param_groups_layer_decay(
        model, 0.05, no_weight_decay_list=model.no_weight_decay(), layer_decay=0.7
    )
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    scales = {id(p): g["lr_scale"] for g in groups for p in g["params"]}
    named = dict(model.named_parameters())
    ladder = ["patch_embed.0.weight", "layers.0.blocks.0.norm.weight", "classifier.3.weight"]
    assert scales[id(named[ladder[0]])] < scales[id(named[ladder[1]])]
    assert scales[id(named[ladder[1]])] < scales[id(named[ladder[2]])] == 1
    tables = [n for n in named if "bias_table" in n]
    undecayed = {id(p) for g in groups if not g["weight_decay"] for p in g["params"]}
    assert all(id(named[n]) in undecayed for n in tables)
    assert bool(tables) == ("swin" in name)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_exported_program_equals_the_model(family):
    graph = patterns.dense((1, 2, 2, 1))
    heads = {"swin": SwinSettings(heads=(1, 2, 2, 4)), "pvt": PvtSettings(heads=(1, 2, 2, 4))}
    a = Architecture(graph=graph, widths=(8, 16, 24, 32), backbone=family, mixer=heads.get(family))
    model = made("sparx_nas", architecture=a, num_classes=4).eval()
    x = torch.randn(2, 3, 70, 56)
    with torch.no_grad():
        expected = model(x)
        program = torch.export.export(model, (x,)).module()
        torch.testing.assert_close(program(x), expected)


def test_an_architecture_of_a_search(tmp_path):
    a = load_space("mamba_micro").sample(1)
    a.save(tmp_path / "arch.json")
    (tmp_path / "empty").mkdir()
    forms = [a, a.to_dict(), str(tmp_path / "arch.json"), tmp_path]
    counts = set()
    for form in forms:
        model = made("sparx_nas", architecture=form, num_classes=10, in_chans=1, stem_stride=2)
        assert model.eval()(torch.randn(1, 1, 16, 16)).shape == (1, 10)
        counts.add(sum(p.numel() for p in model.parameters()))
    assert len(counts) == 1
    features = made("sparx_nas", architecture=a, features_only=True, stem_stride=2)
    assert features.feature_info.reduction() == [2, 4, 8, 16]
    with pytest.raises(ArchitectureError, match="needs an architecture"):
        made("sparx_nas")
    with pytest.raises(ArchitectureError, match=r"cannot read .*nowhere.json"):
        made("sparx_nas", architecture=tmp_path / "nowhere.json")
    with pytest.raises(ArchitectureError, match=r"there is no arch.json and no config.json"):
        made("sparx_nas", architecture=tmp_path / "empty")


@pytest.fixture
def release(tmp_path):
    """Serve a folder, as a release page does, and count what is asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            asked.append(words)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_a_release_is_downloaded_once_and_checked(release, tmp_path, monkeypatch):
    folder, address, asked = release
    monkeypatch.setenv("SPARX_NAS_CACHE", str(tmp_path / "cache"))
    source = made("sparx_mamba_t")
    torch.save(source.state_dict(), folder / "tiny.pth")
    overlay = {"url": f"{address}/tiny.pth"}
    get = partial(made, "sparx_mamba_t", pretrained=True, pretrained_cfg_overlay=overlay)
    for _ in range(2):
        model = get()
        for name, value in model.state_dict().items():
            assert torch.equal(value, source.state_dict()[name]), name
    assert len(asked) == 1
    (copy_,) = (tmp_path / "cache" / "checkpoints").glob("*.pth")
    said = copy_.with_name(copy_.name + ".sha256").read_text().split()[0]
    assert said == hashlib.sha256((folder / "tiny.pth").read_bytes()).hexdigest()
    other = get(num_classes=5, in_chans=1)
    assert other.classifier[3].out_features == 5
    assert torch.equal(
        other.layers[0].blocks[0].norm.weight, source.layers[0].blocks[0].norm.weight
    )
    copy_.write_bytes(copy_.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="has SHA-256"):
        get()
    with pytest.raises(DataError, match="cannot download"):
        downloaded(f"{address}/missing.pth")
    assert not list((tmp_path / "cache" / "checkpoints").glob("*.part"))


def test_what_goes_wrong_with_a_download_is_told(release, tmp_path, monkeypatch):
    folder, address, _ = release
    monkeypatch.setenv("SPARX_NAS_CACHE", str(tmp_path / "cache"))
    (folder / "login.pth").write_text("<html>Log in</html>")
    overlay = {"url": f"{address}/login.pth"}
    with pytest.raises(DataError, match=r"-login.pth holds no weights that can be read"):
        made("plain_pvt_v2_b0", pretrained=True, pretrained_cfg_overlay=overlay)
    (record,) = (tmp_path / "cache" / "checkpoints").glob("*.sha256")
    record.write_text("")
    with pytest.raises(DataError, match="says nothing"):
        downloaded(f"{address}/login.pth")
    with pytest.raises(DataError, match="cannot download"):
        downloaded(f"{address}/a b.pth")
    monkeypatch.setenv("SPARX_NAS_CACHE", str(folder / "login.pth"))
    with pytest.raises(DataError, match="cannot keep downloads in") as told:
        downloaded(f"{address}/login.pth")
    assert "SPARX_NAS_CACHE" in told.value.hint


def test_weights_of_a_file(tmp_path):
    source = made("plain_pvt_v2_b0", num_classes=7)
    path = tmp_path / "weights.pth"
    torch.save({"model": source.state_dict(), "epoch": 2}, path)
    overlay = {"file": str(path), "num_classes": 7}
    got = made("plain_pvt_v2_b0", pretrained=True, num_classes=7, pretrained_cfg_overlay=overlay)
    assert torch.equal(got.classifier[3].weight, source.classifier[3].weight)
    again = made("plain_pvt_v2_b0", num_classes=7, checkpoint_path=str(path))
    assert torch.equal(again.classifier[3].weight, source.classifier[3].weight)
    theirs = made("pvt_v2_b0", num_classes=7).eval()
    torch.save(theirs.state_dict(), path)
    ours = made("plain_pvt_v2_b0", num_classes=7, checkpoint_path=str(path)).eval()
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(ours(x), theirs(x))
    assert read_state(path).keys() == theirs.state_dict().keys()
    for damage in (b"", b"not a checkpoint", path.read_bytes()[:1000]):
        path.write_bytes(damage)
        with pytest.raises(DataError, match="no weights that can be read"):
            read_state(path)
    with pytest.raises(DataError, match="there is no file"):
        read_state(tmp_path / "none.safetensors")


def test_default_cfgs_tell_where_weights_are():
    assert default_cfgs["vmamba_tiny"].default.url.endswith("vssm1_tiny_0230s_ckpt_epoch_264.pth")
    assert default_cfgs["plain_swin_t"].default.hf_hub_id.startswith("timm/swin_tiny")
    assert not default_cfgs["sparx_swin_t"].default.has_weights
    with pytest.raises(RuntimeError, match="No pretrained weights"):
        made("sparx_swin_t", pretrained=True)
    assert sparx_nas.models.architecture_of(NAMED["sparx_swin_t"].make()).backbone == "swin"


@pytest.mark.parametrize(
    ("pool", "times"), [("avg", 1), ("max", 1), ("avgmax", 1), ("catavgmax", 2)]
)
def test_poolings_are_those_of_timm(pool, times):
    model = made("sparx_conv_t", global_pool=pool, num_classes=5, width=0.25).eval()
    assert model.global_pool == pool
    assert model.head_hidden_size == times * model.num_features
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert model(x).shape == (2, 5)
        normed = model.classifier[0](model.forward_features(x))
        mean, most = normed.mean((2, 3)), normed.amax((2, 3))
        pooled = {"avg": mean, "max": most, "avgmax": (mean + most) / 2}
        expected = pooled.get(pool, torch.cat([mean, most], 1))
        found = model.forward_head(model.forward_features(x), pre_logits=True)
        torch.testing.assert_close(found, expected)
    model.reset_classifier(7, "catavgmax")
    assert model(x).shape == (2, 7)
    model.reset_classifier(0, pool)
    assert model(x).shape == (2, times * model.num_features)
    model.reset_classifier(3)
    assert model.global_pool == pool
    assert model(x).shape == (2, 3)
    with pytest.raises(ArchitectureError, match="global_pool is 'fast'"):
        model.reset_classifier(3, "fast")


@pytest.mark.parametrize("name", ["sparx_swin_t", "sparx_pvt_v2_b0"])
def test_arguments_of_timm_s_models_are_taken(name):
    overlay = {"crop_pct": 0.5, "mean": (0.1, 0.2, 0.3)}
    model = made(
        name,
        width=0.25,
        img_size=112,
        drop_rate=0.3,
        attn_drop_rate=0.0,
        proj_drop_rate=0.0,
        dtype=torch.float64,
        pretrained_cfg_overlay=overlay,
    )
    assert model.drop_rate == 0.3
    assert model.pretrained_cfg["crop_pct"] == 0.5
    assert model.pretrained_cfg["mean"] == (0.1, 0.2, 0.3)
    assert next(model.parameters()).dtype == torch.float64
    assert made(name, width=0.25, device="meta").classifier[3].weight.is_meta
    picked = {"width": 0.25, "features_only": True, "out_indices": (1, 2)}
    torch.manual_seed(0)
    hooked = made(name, **picked, feature_cls="hook").eval()
    whole = made(name, width=0.25, num_classes=0).eval()
    whole.load_state_dict(hooked.body.state_dict(), strict=False)
    x = torch.randn(1, 3, 64, 64)
    maps = list(whole.maps(x))
    for found, stage in zip(hooked(x), (1, 2), strict=True):
        assert torch.equal(found, maps[stage])


def test_other_arguments_are_refused_by_name():
    with pytest.raises(ArchitectureError) as caught:
        made("sparx_swin_t", window_size=14, attn_drop_rate=0.1, drop_path=0.2)
    said = str(caught.value)
    assert "there is no argument window_size" in said
    assert "attn_drop_rate is 0.1, which these networks have not got" in said
    assert "Did you mean 'drop_path_rate'" in said
    with pytest.raises(ArchitectureError, match="image_size is 0"):
        made("sparx_swin_t", img_size=0)
    for kind in ("list", "dict"):
        with pytest.raises(ArchitectureError, match="feature_cls is"):
            made("sparx_swin_t", features_only=True, feature_cls=kind)
