"""A design exported untrained: full size, for the images and classes that it was searched for."""

import json
import subprocess
import sys

import pytest
import torch

from sparx_nas.architecture.network import Preprocessing
from sparx_nas.cost import estimate
from sparx_nas.export.__main__ import main
from sparx_nas.export.card import card
from sparx_nas.export.design import default_folder, read_design
from sparx_nas.export.job import Job
from sparx_nas.export.request import Full, Request, read_request
from sparx_nas.export.source import read_source
from sparx_nas.export.target import Target
from sparx_nas.ground.errors import ExportError, OptionError
from sparx_nas.run_store import load_run, write_best
from support import export_networks as nets
from support import runs

TRAINING = """
import torch
import model

net = model.Model(drop_path=0.1)
assert net.training
before = [p.detach().clone() for p in net.parameters()]
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
images, labels = torch.randn(4, 3, 20, 20), torch.arange(4) % 3
torch.nn.functional.cross_entropy(net(images), labels).backward()
optimizer.step()
assert any(not torch.equal(p, q) for p, q in zip(before, net.parameters()))
torch.save(net.state_dict(), "weights.pt")
again = model.load("weights.pt")
with torch.no_grad():
    assert torch.equal(again(images), net.eval()(images))
print(sum(p.numel() for p in net.parameters()), *again(images).shape)
"""


@pytest.fixture
def run(tmp_path):
    """A run whose best design has no weights: they were not kept."""
    path = runs.new_run(tmp_path)
    study = runs.new_study(path)
    sparx = runs.SPACE.baselines["sparx"]
    runs.finished(path, study, sparx, 0.8, baseline="sparx")
    write_best(path, load_run(path))
    return path, sparx


def test_a_run_gives_target_data_and_full_width(run):
    path, sparx = run
    arch = path / "best" / "arch.json"
    for folder in (path, path / "best", arch):
        source = read_design(Request(folder=folder, full=Full()))
        network = source.network
        assert (network.architecture, network.width, network.stem_stride) == (sparx, 1.0, 4)
        assert network.preprocessing.image_size == (32, 32)
        assert (network.num_classes, network.in_chans) == (10, 1)
        assert network.preprocessing.mean == (0.3,)
        assert network.classes == tuple(map(str, range(10)))
        assert source.weights is None
        params = sum(p.numel() for p in source.model.parameters())
        assert params == estimate(sparx, num_classes=10, in_chans=1).params
    assert default_folder(source) == path / "best" / "arch-full"


def test_other_classes_and_channels_have_no_names_and_usual_statistics(run):
    path, _ = run
    asked = Request(folder=path, full=Full(classes=3, in_chans=3), image_size=(48, 64))
    network = read_design(asked).network
    assert (network.num_classes, network.classes) == (3, ())
    assert network.preprocessing.image_size == (48, 64)
    assert network.preprocessing.mean == (0.485, 0.456, 0.406)


def test_new_weights_leave_the_draws_of_others_alone(run):
    path, _ = run
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    one = read_design(Request(folder=path, full=Full())).model
    assert torch.equal(torch.rand(3), expected)
    two = read_design(Request(folder=path, full=Full())).model
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_bare_architecture_has_to_be_told_the_classes(tmp_path):
    file = tmp_path / "mine.json"
    design = nets.network().architecture
    design.save(file)
    with pytest.raises(ExportError, match="does not say how many classes") as caught:
        read_design(Request(folder=file, full=Full()))
    assert "--classes N" in caught.value.hint
    source = read_design(Request(folder=file, full=Full(classes=4)))
    assert source.network.preprocessing.image_size == (224, 224)
    assert default_folder(source) == tmp_path / "mine-full"


def test_the_file_is_trained_where_torch_is_alone(tmp_path, capsys):
    file = tmp_path / "mine.json"
    nets.network().architecture.save(file)
    assert main([str(file), "--full", "--classes", "3", "--image-size", "20"]) == 0
    said = capsys.readouterr().out
    assert "untrained" in said
    assert "20 x 20 px with 3 channels and tells 3 classes apart" in said
    folder = tmp_path / "mine-full"
    assert {p.name for p in folder.iterdir()} == {
        *("README.md", "export.json", "model.py", "wiring.svg")
    }
    refuse = "import sys\nsys.modules.update(dict.fromkeys(('sparx_nas', 'timm', 'safetensors')))"
    script = f"{refuse}\nsys.path.insert(0, '.')\n{TRAINING}"
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    params = estimate(nets.network().architecture, num_classes=3).params
    assert done.stdout.split() == [str(params), "4", "3"]
    done = subprocess.run(
        [sys.executable, "model.py", "a.png"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "there are no weights" in done.stderr
    words = (folder / "README.md").read_text() + (folder / "model.py").read_text()
    assert "**The weights are untrained.**" in words
    assert '"""An untrained network in one file' in words
    assert "trained on" not in words


def test_the_step_of_the_card_runs(tmp_path):
    nets.network().architecture.save(tmp_path / "mine.json")
    place = tmp_path / "x"
    words = [str(tmp_path / "mine.json"), "--full", "--classes", "2", "--image-size", "16"]
    assert main([*words, "--to", str(place)]) == 0
    program = (place / "README.md").read_text().split("```python\n")[1].split("```")[0]
    subprocess.run([sys.executable, "-c", program], cwd=place, check=True)
    assert (place / "weights.pt").is_file()
    # Other classes are another network: nothing of the first one stays.
    assert main([*words, "--to", str(place), "--classes", "5", "--formats", "python"]) == 0
    assert list(json.loads((place / "export.json").read_text())["formats"]) == ["python"]
    assert not (place / "README.md").exists()


def asked(folder, **more):
    """Return a request with nothing but these options."""
    given = {"to": None, "formats": (), "image_size": "", "dynamic_batch": True, "opset": 18}
    return read_request(folder, **{**given, "check": None, **more})


def test_forms_that_belong_together(tmp_path):
    assert asked(tmp_path, formats=("python",)).formats == ("safetensors", "python")
    assert asked(tmp_path, formats=("card,python",)).formats == ("safetensors", "python", "card")
    assert asked(tmp_path, formats=("onnx",)).formats == ("onnx",)
    assert len(asked(tmp_path).formats) == 5
    assert asked(tmp_path, full=Full()).formats == ("python", "card")
    assert asked(tmp_path, full=Full(), formats=("onnx",)).formats == ("onnx",)
    with pytest.raises(OptionError, match="--classes is 0"):
        asked(tmp_path, full=Full(classes=0))


def test_classes_are_of_an_untrained_design(tmp_path, capsys):
    assert main([str(tmp_path), "--classes", "3"]) == 2
    assert "--full" in capsys.readouterr().err


def test_a_card_says_full_size_at_the_target(tmp_path):
    target = {"image_size": 96, "num_classes": 1000, "in_chans": 3}
    network = nets.network(
        facts={"made_by": "search", "target": target},
        width=0.5,
        preprocessing=Preprocessing(image_size=(8, 8), mean=(0.3,), std=(0.4,)),
    )
    nets.saved(tmp_path, network)
    source = read_design(Request(folder=tmp_path, full=Full()))
    assert source.network.preprocessing.image_size == (96, 96)
    claimed = Target.claim(tmp_path / "x", {})
    job = Job(source=read_source(tmp_path), request=Request(folder=tmp_path), target=claimed)
    trained = card(job)
    assert "full size, 96 x 96 px, 1,000 classes" in trained
    assert f"{estimate(network.architecture, **target).params:,}" in trained
    assert "224" not in trained
