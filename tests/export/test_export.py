"""The command: all forms of one network, read back in processes that have torch alone."""

import hashlib
import json
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import onnx
import pytest
import timm
import torch
from safetensors.torch import load_file

from sparx_nas.__main__ import main as sparx_nas_command
from sparx_nas.architecture.network import Network
from sparx_nas.export import onnx_file
from sparx_nas.export.__main__ import main
from sparx_nas.models import load_network
from support import export_networks as nets

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "README.md",
    "arch.json",
    "config.json",
    "export.json",
    "model.onnx",
    "model.pt2",
    "model.py",
    "model.safetensors",
    "wiring.svg",
}
ALONE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("sparx_nas", "timm", "safetensors", "torchvision"):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Refuse())
"""
COMPARED = """
import json, warnings
import torch
warnings.simplefilter("ignore")
sys.path.insert(0, ".")
import model
x = torch.load("x.pt")
expected = torch.load("y.pt")
program = torch.export.load("model.pt2").module()
net = model.load()
with torch.no_grad():
    found = {"python": net(x), "torch_export": program(x)}
far = {k: float((y - expected).abs().max() / expected.abs().max()) for k, y in found.items()}
ours = [name for name in sys.modules if name.split(".")[0] in ("sparx_nas", "timm", "safetensors")]
print(json.dumps({"far": far, "ours": ours, "names": sorted(net.state_dict())}))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A trained network, exported in all forms and checked on digits, and what was printed."""
    folder = tmp_path_factory.mktemp("net")
    facts = {
        "made_by": "search",
        "run": "digits-1",
        "trial": 3,
        "data": {"name": "digits", "data_id": "0" * 16, "splits": {"val": 359, "test": 360}},
        "accuracy": {"val": {"top1": 0.9, "images": 359, "interval": [0.86, 0.93]}},
        "training": {
            "epochs": 3,
            "epochs_done": 2,
            "finished": False,
            "weights": "plain",
            "lr": 0.1,
        },
        "seed": 5,
        "place": str(folder),
    }
    network = nets.network(depths=(1, 1), ganglia={"2.1": ["2.0"]}, facts=facts)
    model = nets.saved(folder, network)
    said = StringIO()
    with redirect_stdout(said):
        assert sparx_nas_command(["export", str(folder), "--check-data", "digits"]) == 0
    return folder, model, said.getvalue()


def record(folder):
    return json.loads((folder / "export" / "export.json").read_text())


def test_every_form_is_there_and_in_the_record(exported):
    folder, _, said = exported
    assert {file.name for file in (folder / "export").iterdir()} == FILES
    formats = record(folder)["formats"]
    listed = {file: told for entry in formats.values() for file, told in entry["files"].items()}
    assert set(listed) == FILES - {"export.json"}
    for file, told in listed.items():
        assert hashlib.sha256((folder / "export" / file).read_bytes()).hexdigest() == told
    for form in ("onnx", "torch_export", "python"):
        assert formats[form]["largest_difference"] <= formats[form]["tolerance"] == 1e-4
        assert formats[form]["batches"] == [1, 2, 3] + ([17] if form != "python" else [])
        assert form in said


def test_weights_come_back_as_they_are(exported):
    folder, model, _ = exported
    again, network = load_network(folder / "export")
    state = load_file(folder / "export" / "model.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    x = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
    assert network.architecture == Network.load(folder).architecture
    place = folder / "export"
    through_timm = timm.create_model(
        "sparx_nas",
        architecture=str(place / "arch.json"),
        checkpoint_path=str(place / "model.safetensors"),
        num_classes=10,
        in_chans=1,
        stem_stride=2,
    )
    with torch.no_grad():
        assert torch.equal(through_timm.eval()(x), model(x))


def test_all_forms_get_the_same_images_of_digits_right(exported):
    folder, _, _ = exported
    check = record(folder)["check"]
    assert check["split"] == "test"
    assert check["images"] == 359 or check["images"] == 360
    forms = {"torch", "safetensors", "onnx", "torch_export", "python"}
    assert check["correct"].keys() == forms
    assert len(set(check["correct"].values())) == 1


def test_single_file_and_program_run_where_torch_is_alone(exported):
    folder, model, _ = exported
    place = folder / "export"
    x = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        torch.save(model(x), place / "y.pt")
    torch.save(x, place / "x.pt")
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", ALONE + COMPARED],
        capture_output=True,
        text=True,
        cwd=place,
    )
    (place / "x.pt").unlink()
    (place / "y.pt").unlink()
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ours"] == []
    assert told["names"] == sorted(model.state_dict())
    assert max(told["far"].values()) < 1e-5


def test_the_single_file_says_that_pillow_is_missing(exported):
    folder, _, _ = exported
    refusing = ALONE.replace('("sparx_nas",', '("PIL", "sparx_nas",')
    script = "sys.argv = ['', 'a.png']; import runpy; runpy.run_path('model.py', None, '__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", f"{refusing}\n{script}"],
        capture_output=True,
        text=True,
        cwd=folder / "export",
    )
    assert done.returncode == 2
    assert "pip install pillow" in done.stderr


def test_no_file_tells_of_this_machine(exported):
    folder, _, _ = exported
    for file in (folder / "export").iterdir():
        content = file.read_bytes()
        for place in (str(ROOT), str(folder), sys.prefix):
            assert place.encode() not in content, (file.name, place)
    model = onnx.load(folder / "export" / "model.onnx")
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    told = {prop.key: prop.value for prop in model.metadata_props}
    assert json.loads(told["sparx_nas.preprocessing"])["mean"] == [0.3]


def test_the_card_tells_what_is_known_and_no_more(exported):
    folder, _, _ = exported
    card = (folder / "export" / "README.md").read_text()
    words = " ".join(card.split())
    assert "| validation | 90.0 % | 359 | 86.0 to 93.0 % |" in card
    assert "| test |" not in card
    assert "epochs: 2 of 3" in card
    assert "The training was not finished" in card
    assert "data id: 0000000000000000" in card
    assert "device: not recorded" in card
    assert "weights are those of a short training inside a search" in words
    assert "images of the test split of digits" in words
    parameters = sum(p.numel() for p in exported[1].parameters())
    assert f"| parameters | {parameters:,} |" in card
    for way in ("load_network(", "timm.create_model(", "from model import load", "onnxruntime."):
        assert way in card
    assert "■" in card
    assert "<svg" in (folder / "export" / "wiring.svg").read_text()


def test_a_card_without_facts_invents_nothing(tmp_path, capsys):
    nets.saved(tmp_path, nets.network())
    assert main([str(tmp_path), "--formats", "card"]) == 0
    card = (tmp_path / "export" / "README.md").read_text()
    assert "## Accuracy\n\nNot measured." in card
    assert "%" not in card
    assert "No other form was exported" in card
    assert "Its accuracy is not known" in card


def test_an_export_is_replaced_and_nothing_else(exported, tmp_path, capsys):
    folder, other = tmp_path / "a", tmp_path / "b"
    nets.saved(folder, nets.network())
    nets.saved(other, nets.network(), seed=1)
    place = ["--to", str(tmp_path / "out")]
    assert main([str(folder), *place, "--formats", "safetensors,python"]) == 0
    first = {f.name: f.read_bytes() for f in (tmp_path / "out").iterdir()}
    assert main([str(folder), *place, "--formats", "safetensors,python"]) == 0
    assert {f.name: f.read_bytes() for f in (tmp_path / "out").iterdir()} == first
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert main([str(other), *place, "--formats", "safetensors"]) == 0
    left = {file.name for file in (tmp_path / "out").iterdir()}
    assert left == {"arch.json", "config.json", "export.json", "model.safetensors", "notes.txt"}
    capsys.readouterr()
    assert main([str(other), "--to", str(folder)]) == 7
    assert "holds files and no export" in capsys.readouterr().err
    assert {file.name for file in folder.iterdir()} == {"config.json", "model.safetensors"}


def test_one_form_may_fail_and_the_others_are_kept(tmp_path, monkeypatch, capsys):
    nets.saved(tmp_path, nets.network())
    monkeypatch.setattr(onnx_file, "NEEDED", ("onnx", "no_such_package"))
    assert main([str(tmp_path), "--formats", "safetensors,onnx,python"]) == 7
    said = capsys.readouterr().err
    assert "onnx: no_such_package not installed" in said
    assert "pip install no_such_package" in said
    left = {file.name for file in (tmp_path / "export").iterdir()}
    assert left == {"arch.json", "config.json", "export.json", "model.py", "model.safetensors"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--formats", "onxx"], "known are safetensors, onnx, torch_export, python, card and all"),
        (["--formats", ","], "--formats names nothing"),
        (["--image-size", "0"], "--image-size is '0'"),
        (["--image-size", "3,4,5"], "--image-size is '3,4,5'"),
        (["--opset", "9"], "--opset is 9; it is a whole number from 18 to 23"),
        (["--check-data", "digits", "--image-size", "8,9"], "--image-size is not square"),
    ],
)
def test_wrong_options_are_named(tmp_path, capsys, words, said):
    assert main([str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_all_wrong_options_are_told_at_once(tmp_path, capsys):
    assert main([str(tmp_path), "--formats", "x", "--opset", "1", "--image-size", "a"]) == 2
    assert "3 mistakes" in capsys.readouterr().err


def test_help_is_there_without_torch():
    heavy = "[m for m in ('torch', 'timm', 'onnx', 'optuna') if m in sys.modules]"
    code = f"import sparx_nas.export.__main__, sys; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
