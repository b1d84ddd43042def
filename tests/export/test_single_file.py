"""The single file: the same network, in plain PyTorch, written from the package's sources."""

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform

from sparx_nas.architecture.families import FAMILIES
from sparx_nas.architecture.network import Preprocessing
from sparx_nas.data.decode import central_square, decode, to_rgb
from sparx_nas.export.bundler.closure import resolve
from sparx_nas.export.bundler.modules import read_module
from sparx_nas.export.single_file import run_file, single_file
from sparx_nas.ground.errors import ExportError
from support import export_networks as nets

ROOT = Path(__file__).resolve().parents[2]
SIZES = ((16, 16), (9, 13), (17, 17), (5, 1))
RGB = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def pair(request):
    """A network of each family, its file's text, and the model of that with the same weights."""
    network = nets.network(request.param)
    ours, text = nets.built(network), single_file(network)
    theirs = run_file(text).Model()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return network, text, ours, theirs


def test_names_and_logits_at_any_size(pair):
    _, _, ours, theirs = pair
    assert list(theirs.state_dict()) == list(ours.state_dict())
    assert [n for n, _ in theirs.named_parameters()] == [n for n, _ in ours.named_parameters()]
    for mode in (False, True):
        for size in SIZES:
            x = torch.randn(3, 1, *size) * 3
            assert nets.far(ours.train(mode)(x), theirs.train(mode)(x)) < 1e-5, (mode, size)


def test_gradients_in_double_precision(pair):
    _, _, ours, theirs = pair
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 1, 9, 13, dtype=torch.float64)
    grads = []
    for model in (ours, theirs):
        out = model.double().train(False)(x)
        grads.append(torch.autograd.grad((out * out.detach().cos()).sum(), model.parameters()))
        model.float()
    for (name, _), one, other in zip(ours.named_parameters(), *grads, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-8, atol=1e-10, msg=name)


def test_it_learns(pair):
    network, text, _, _ = pair
    torch.manual_seed(0)
    model = run_file(text).Model(drop_path=0.1)
    x = torch.randn(16, network.in_chans, 8, 8)
    labels = torch.arange(16) % 10
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_it_imports_torch_alone_and_reads_well(pair, tmp_path):
    network, text, _, _ = pair
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            package = node.module.split(".")[0]
            assert package in ("torch", "PIL") or package in sys.stdlib_module_names
        if isinstance(node, ast.Import):
            assert all(a.name == "torch" or a.name in sys.stdlib_module_names for a in node.names)
    assert "backend" not in text.replace("backbone", "")
    assert "ConvMixer" not in text or network.architecture.backbone == "conv"
    file = tmp_path / "model.py"
    file.write_text(text)
    rules = ["--config", str(ROOT / "pyproject.toml"), "--select", "E,F,I,B,UP,RET,SIM,W"]
    for words in (["check", *rules], ["format", "--check", *rules[:2]]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, str(file)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_the_wiring_is_a_table():
    network = nets.network()
    text = single_file(network)
    stage = run_file(text).PLAN.stages[1]
    assert stage.contexts == network.architecture.plan().stages[1].contexts
    assert "                (),  # 2.1\n" in text
    assert "(0, 1),  # 2.2 reads 2.0, 2.1\n" in text
    assert single_file(network) == text


def test_half_precision_keeps_the_scan_wide(pair):
    _, _, ours, theirs = pair
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = theirs.eval()(x).float()
    assert found.isfinite().all()
    with torch.no_grad():
        assert nets.far(ours.eval()(x), found) < 0.1


def test_a_map_of_224_px_is_scanned_in_linear_time():
    # The recurrence of stage 1 has 56 x 56 positions; quadratic work would take minutes.
    module = run_file(single_file(nets.network()))
    x = torch.randn(1, 56, 56, 8, requires_grad=True)
    weights = [torch.randn(s) for s in ((20, 8, 1), (4, 8, 1), (4, 8), (32, 2), (32,))]
    y = module.ss2d(x, *(w * 0.1 for w in weights))
    y.sum().backward()
    assert x.grad.isfinite().all()


def smooth(size):
    """Return a picture without sharp edges, whose pixels tell where they are."""
    rows, columns = np.mgrid[: size[1], : size[0]] / max(size)
    parts = (np.sin(5 * rows + 2 * columns), np.cos(6 * columns), rows * columns)
    return Image.fromarray((np.stack(parts, 2) * 100 + 120).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (64, 64), (9, 50)])
def test_an_image_is_prepared_as_in_a_search(size):
    prepared = Preprocessing(image_size=(16, 16), **RGB)
    module = run_file(single_file(nets.network(in_chans=3, preprocessing=prepared)))
    image = smooth(size)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in RGB.values())
    expected = (central_square(image, 16).float() / 255 - mean) / std
    assert (module.prepare(image)[0] - expected).abs().mean() < 0.1


def deep(size):
    """Return a grey picture of 16 bits whose lower bits matter to nobody."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    return Image.fromarray(((rows * 901 + columns * 1307) % 65536).astype(np.uint16))


def clear(mode):
    """Return a picture that is transparent on one side."""
    image = smooth((40, 30)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    if mode != "P":
        return image.convert(mode)
    palette = smooth((40, 30)).quantize(16)
    palette.info["transparency"] = 3
    return palette


PICTURES = {
    "RGB": smooth((40, 30)),
    "L": smooth((40, 30)).convert("L"),
    "CMYK": smooth((40, 30)).convert("CMYK"),
    "16 bits": deep((40, 30)),
    "I": deep((40, 30)).convert("I"),
    "RGBA": clear("RGBA"),
    "LA": clear("LA"),
    "P": clear("P"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_an_image_of_any_mode_is_seen_as_in_training(kind):
    prepared = Preprocessing(image_size=(16, 16), **RGB)
    module = run_file(single_file(nets.network(in_chans=3, preprocessing=prepared)))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in RGB.values())
    expected = (central_square(to_rgb(PICTURES[kind]), 16).float() / 255 - mean) / std
    torch.testing.assert_close(module.prepare(PICTURES[kind])[0], expected)


def test_a_picture_is_turned_as_its_camera_says_and_a_file_is_read_as_in_training(tmp_path):
    prepared = Preprocessing(image_size=(16, 16), **RGB)
    module = run_file(single_file(nets.network(in_chans=3, preprocessing=prepared)))
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth((400, 300)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    smooth((400, 300)).save(tmp_path / "plain.jpg", quality=95)
    plain = module._read(tmp_path / "plain.jpg")
    assert plain.width < 400, "a large JPEG is reduced while it is read"
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in RGB.values())
    read = central_square(decode(tmp_path / "plain.jpg", 16), 16)
    torch.testing.assert_close(module.prepare(plain)[0], (read.float() / 255 - mean) / std)
    upright = module.prepare(plain.transpose(Image.Transpose.ROTATE_270))
    assert torch.equal(module.prepare(module._read(tmp_path / "turned.jpg")), upright)


def test_pixels_of_unknown_range_are_refused():
    module = run_file(single_file(nets.network()))
    for wrong in (Image.new("F", (4, 4), 0.5), Image.new("I", (4, 4), 70000)):
        with pytest.raises(ValueError, match="pixels"):
            module.prepare(wrong)


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_an_image_is_prepared_as_timm_does(mode):
    prepared = Preprocessing(image_size=(16, 16), crop_pct=0.8, crop_mode=mode, **RGB)
    module = run_file(single_file(nets.network(in_chans=3, preprocessing=prepared)))
    image = smooth((40, 30))
    transform = create_transform(
        (16, 16), is_training=False, interpolation="bicubic", crop_pct=0.8, crop_mode=mode, **RGB
    )
    found = module.prepare(image)[0]
    assert found.shape == (3, 16, 16)
    assert (found - transform(image)).abs().mean() < 0.02


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_prepared_upright_as_it_was_in_training(orientation, tmp_path):
    prepared = Preprocessing(image_size=(16, 16), crop_pct=0.8, **RGB)
    module = run_file(single_file(nets.network(in_chans=3, preprocessing=prepared)))
    said = Image.Exif()
    said[0x0112] = orientation
    smooth((40, 30)).save(tmp_path / "a.png", exif=said)
    with Image.open(tmp_path / "a.png") as image:
        found = module.prepare(image)
    assert torch.equal(found, module.prepare(decode(tmp_path / "a.png", 30)))


def test_gray_images_and_classes(tmp_path, capsys):
    network = nets.network()
    text = single_file(network)
    module = run_file(text)
    nets.saved(tmp_path, network)
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    words = [str(tmp_path / "a.png"), "--weights", str(tmp_path / "model.safetensors")]
    assert module.main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path / 'a.png'}: ")
    assert said.count(" % kind ") == 5
    assert module.main([str(tmp_path / "none.png"), *words[1:]]) == 2
    assert "none.png" in capsys.readouterr().err
    (tmp_path / "broken").write_bytes(b"\xff" * 40)
    assert module.main([words[0], "--weights", str(tmp_path / "broken")]) == 2
    assert "not a safetensors file" in capsys.readouterr().err


def test_unnamed_classes_have_numbers():
    module = run_file(single_file(replace(nets.network(), classes=())))
    assert module._called(torch.tensor(3)) == "class 3"


def test_what_plain_pytorch_has_not_got_is_named():
    with pytest.raises(ExportError, match="the module numpy"):
        resolve(read_module("sparx_nas.data.decode"), "np")
    with pytest.raises(ExportError, match=r"register_model of timm\.models"):
        resolve(read_module("sparx_nas.models.registry"), "register_model")
    with pytest.raises(ExportError, match="'nothing' comes from nowhere"):
        resolve(read_module("sparx_nas.models.block"), "nothing")
