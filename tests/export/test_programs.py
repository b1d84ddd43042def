"""ONNX and torch.export at odd and oblong sizes, for several families and batches."""

import pytest
import torch

from sparx_nas.export import check, comparison
from sparx_nas.export.job import Job
from sparx_nas.export.onnx_file import forward_of, write_onnx
from sparx_nas.export.program import plain_program, write_program
from sparx_nas.export.request import Check, Request
from sparx_nas.export.source import read_source
from sparx_nas.export.target import Target
from sparx_nas.export.weights import write_weights
from sparx_nas.ground.errors import ExportError
from support import export_networks as nets


def job(folder, **asked):
    """Return an export of the network in a folder."""
    target = Target.claim(folder / "export", {"architecture": "x"})
    return Job(source=read_source(folder), request=Request(folder=folder, **asked), target=target)


@pytest.mark.parametrize(
    ("family", "size", "opset"),
    [("mamba", (33, 47), 18), ("swin", (50, 70), 20), ("pvt", (17, 17), 18)],
)
def test_odd_sizes(tmp_path, family, size, opset):
    ganglia = {"2.1": ["2.0"]} if family == "mamba" else {}
    network = nets.network(family, depths=(1, 1), ganglia=ganglia, in_chans=3)
    model = nets.saved(tmp_path, network)
    made = job(tmp_path, image_size=size, opset=opset)
    entry = write_onnx(made)
    assert entry["image_size"] == list(size)
    assert entry["opset"] == opset
    content = (tmp_path / "export" / "model.onnx").read_bytes()
    forward = forward_of(content)
    x = torch.rand(40, 3, *size) * 255
    with torch.no_grad():
        assert nets.far(model(x), forward(x)) < 1e-4
        program = plain_program(made.program)
        assert nets.far(model(x), program.module()(x)) < 1e-4
    with pytest.raises(Exception, match=r"[Gg]ot: *\d+ [Ee]xpected|invalid dimensions"):
        forward(torch.zeros(1, 3, size[0] + 1, size[1]))
    ours = {
        str(node.target) for node in made.program.graph.nodes if "sparx_nas" in str(node.target)
    }
    assert ours == ({"sparx_nas.ss2d.default"} if family == "mamba" else set())
    for node in program.graph.nodes:
        assert "sparx_nas" not in str(node.target)
        assert "stack_trace" not in node.meta
    if family == "pvt":
        write_onnx(made)
        assert (tmp_path / "export" / "model.onnx").read_bytes() == content


def test_a_fixed_batch(tmp_path):
    nets.saved(tmp_path, nets.network("conv", depths=(1, 1), ganglia={}))
    entry = write_program(job(tmp_path, dynamic_batch=False))
    assert entry["batches"] == [1]
    program = torch.export.load(tmp_path / "export" / "model.pt2").module()
    assert program(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_wrong_logits_are_no_form():
    model = nets.built(nets.network("conv"))
    image = (1, 8, 8)
    said = comparison.compare("same", model, model, image)
    assert said["largest_difference"] == 0
    with pytest.raises(ExportError, match="other: logits are not the network's"):
        comparison.compare("other", lambda x: model(x) * 1.001, model, image)
    with pytest.raises(ExportError, match="off by nan"):
        comparison.compare("nan", lambda x: model(x) * float("nan"), model, image)
    with pytest.raises(ExportError, match="off by nan"):
        comparison.compare("shape", lambda x: model(x)[:, :3], model, image)


def test_unequal_counts_of_right_images_are_told(tmp_path, monkeypatch):
    nets.saved(tmp_path, nets.network("conv"))
    made = job(tmp_path, formats=("safetensors",))
    write_weights(made)
    asked = Check(data="digits", data_dir=None, split="val")
    assert len(set(check.check_forms(made, asked)["correct"].values())) == 1
    one_class = torch.eye(10)[3]
    readers = {"safetensors": lambda job: lambda x: one_class.expand(len(x), 10)}
    monkeypatch.setattr(check, "READERS", readers)
    with pytest.raises(ExportError, match="forms get unequally many: torch"):
        check.check_forms(made, asked)


def test_data_of_other_classes_are_refused(tmp_path):
    nets.saved(tmp_path, nets.network("conv", num_classes=3, classes=("a", "b", "c")))
    asked = Check(data="digits", data_dir=None, split="val")
    with pytest.raises(ExportError, match="digits has 10 classes and 1 channels, the network 3"):
        check.check_forms(job(tmp_path), asked)
