"""`model.safetensors` beside `config.json`: what `load_network` reads; `arch.json` for timm."""

from typing import Any

import torch
from safetensors.torch import load, save

from sparx_nas.architecture.network import CONFIG, WEIGHTS
from sparx_nas.export.job import Job
from sparx_nas.ground.errors import ExportError
from sparx_nas.ground.record import json_text

ARCH = "arch.json"


def write_weights(job: Job) -> dict[str, Any]:
    """Write weights, configuration and architecture; the weights are compared bit by bit.

    Raises: ExportError if they do not come back as they are.
    """
    state = {name: t.detach().contiguous() for name, t in job.source.model.state_dict().items()}
    content = bytes(save(state))
    again = load(content)
    if again.keys() != state.keys() or not all(torch.equal(state[k], again[k]) for k in state):
        raise ExportError(f"{WEIGHTS}: the weights do not come back as they are")
    files = {
        WEIGHTS: content,
        CONFIG: json_text(job.network.to_dict()).encode(),
        ARCH: json_text(job.network.architecture.to_dict()).encode(),
    }
    entry = {"tensors": len(state), "parameters": _parameters(job), "largest_difference": 0.0}
    job.target.put("safetensors", files, entry)
    return entry


def _parameters(job: Job) -> int:
    """Count the values that training changes."""
    return sum(p.numel() for p in job.source.model.parameters())
