"""Export to ONNX: the scans become operators that onnxruntime has, with equal results."""

import warnings

import numpy as np
import pytest
import torch

import sparx_nas
from sparx_nas import kernels
from sparx_nas.kernels import export
from support.scans import map_inputs, sequence_inputs

pytest.importorskip("onnxscript", reason="onnxscript is not installed: nothing to export with")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


class Scan(torch.nn.Module):
    """A scan with its parameters as constants."""

    def __init__(self, function, constants):
        super().__init__()
        self.function = function
        self.count = len(constants)
        for i, constant in enumerate(constants):
            self.register_buffer(f"c{i}", constant)

    def forward(self, x):
        return self.function(x, *(getattr(self, f"c{i}") for i in range(self.count)))


def exported(module, x, tmp_path):
    """Export, run in onnxruntime, and return its result and the operators used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module.eval(), (x,), dynamo=True, verbose=False)
        program.save(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return y, {node.op_type for node in program.model.graph} | {
        node.domain for node in program.model.graph
    }


def test_map_scan(tmp_path):
    for i, sizes in enumerate(((1, 1, 1, 3, 1, 1), (2, 3, 5, 7, 2, 1), (1, 4, 2, 6, 3, 4))):
        inputs = [t.detach() for t in map_inputs(*sizes, torch.float32)]
        torch.testing.assert_close(export.ss2d(*inputs), kernels.ss2d(*inputs))
        y, used = exported(Scan(kernels.ss2d, inputs[1:]), inputs[0], tmp_path)
        np.testing.assert_allclose(y, kernels.ss2d(*inputs), rtol=1e-4, atol=1e-4)
        assert "sparx_nas" not in used, i


def test_sequence_scan(tmp_path):
    inputs = [t.detach() for t in sequence_inputs(2, 3, 4, 2, 9, torch.float32)]
    expected = kernels.selective_scan(*inputs)
    torch.testing.assert_close(export.selective_scan(*inputs), expected)
    y, _ = exported(Scan(kernels.selective_scan, inputs[1:]), inputs[0], tmp_path)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_a_whole_network(tmp_path):
    space = sparx_nas.load_space("mamba_micro")
    net = sparx_nas.build(space.baselines["sparx"], 10, in_chans=1, width=0.5, stem_stride=2)
    x = torch.randn(2, 1, 16, 16)
    y, used = exported(net, x, tmp_path)
    with torch.no_grad():
        np.testing.assert_allclose(y, net(x), rtol=1e-3, atol=1e-4)
    assert "sparx_nas" not in used
