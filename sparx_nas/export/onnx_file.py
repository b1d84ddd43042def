"""`model.onnx`: written by torch's exporter, compared with the network in onnxruntime."""

import importlib
import importlib.util
import json
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from sparx_nas.architecture.network import Network
from sparx_nas.export.comparison import Forward, compare
from sparx_nas.export.job import Job, tracing
from sparx_nas.export.paths import refuse_local_paths
from sparx_nas.ground.errors import ExportError

FILE = "model.onnx"
NEEDED = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUT = "images", "logits"


def write_onnx(job: Job) -> dict[str, Any]:
    """Write the network for ONNX runtimes; input `images`, output `logits`, both float32.

    Raises: ExportError for missing packages, or logits that are not the network's.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"{', '.join(missing)} not installed",
            hint=f"pip install {' '.join(missing)}   (or: pip install 'sparx-nas[export]')",
        )
    content = _content(job)
    refuse_local_paths(FILE, content)
    said = compare(FILE, forward_of(content), job.source.model, job.image, batches=job.batches)
    entry = {"opset": job.request.opset, "dynamic_batch": job.request.dynamic_batch, **said}
    job.target.put("onnx", {FILE: content}, entry)
    return entry


def _content(job: Job) -> bytes:
    """Return the file: checked, and the same bytes for the same network and versions."""
    import onnx

    with tracing():
        program = torch.onnx.export(
            job.program,
            (),
            dynamo=True,
            verbose=False,
            opset_version=job.request.opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    assert program is not None, "the exporter returns what it does not write"
    model = program.model_proto
    _strip(model)
    for key, value in sorted(_facts(job.network).items()):
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _facts(network: Network) -> dict[str, str]:
    """Return what a reader of the file alone has to know."""
    return {
        "sparx_nas.architecture": network.architecture.id,
        "sparx_nas.classes": json.dumps(list(network.classes)),
        "sparx_nas.preprocessing": json.dumps(asdict(network.preprocessing)),
    }


def _strip(message: Any) -> None:
    """Delete what the exporter notes for its own debugging: traces with paths of this machine."""
    for field, value in list(message.ListFields()):
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in value if hasattr(value, "add") else (value,):
                _strip(part)


def forward_of(content: bytes) -> Forward:
    """Return what a file's content computes in onnxruntime, on the CPU."""
    onnxruntime: Any = importlib.import_module("onnxruntime")  # it has no types
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def forward(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run([OUTPUT], {INPUT: x.contiguous().numpy()})[0])

    return forward
