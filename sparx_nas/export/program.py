"""`model.pt2`: a program of torch.export that needs torch alone, its scans unrolled."""

from io import BytesIO
from typing import Any

import torch
from torch.fx import GraphModule

from sparx_nas.export.comparison import compare
from sparx_nas.export.job import Job, quiet, tracing
from sparx_nas.export.paths import refuse_local_paths
from sparx_nas.ground.errors import ExportError
from sparx_nas.kernels import unrolled

FILE = "model.pt2"
OWN = ("aten", "prims", "prim")
"""Namespaces of operators that every torch has."""
NOTES = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn")
"""What torch keeps of a node for debugging: traces with paths of this machine."""


def write_program(job: Job) -> dict[str, Any]:
    """Write the network as `torch.export.load` reads it; images (B, C, H, W) to logits.

    Raises: ExportError for an operator that torch alone has not, or other logits.
    """
    buffer = BytesIO()
    program = plain_program(job.program)
    with quiet():
        torch.export.save(program, buffer)
        content = buffer.getvalue()
        again = torch.export.load(BytesIO(content)).module()
    refuse_local_paths(FILE, content)
    said = compare(FILE, again, job.source.model, job.image, batches=job.batches)
    entry = {"dynamic_batch": job.request.dynamic_batch, "nodes": len(program.graph.nodes), **said}
    job.target.put("torch_export", {FILE: content}, entry)
    return entry


def plain_program(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Return a program with our operators taken apart and nothing in it of where it was traced.

    Raises: ExportError for an operator that torch alone has not.
    """
    with tracing():
        plain: torch.export.ExportedProgram = program.run_decompositions(
            {torch.ops.sparx_nas.ss2d.default: lambda *inputs: unrolled.ss2d(*inputs[:-1])}
        )
    foreign: set[str] = set()
    for module in plain.graph_module.modules():
        if isinstance(module, GraphModule):
            for node in module.graph.nodes:
                for note in NOTES:
                    node.meta.pop(note, None)
                if isinstance(node.target, torch._ops.OperatorBase):
                    foreign |= {str(node.target)} - _own(node.target)
    if foreign:
        raise ExportError(f"{FILE}: torch alone has no {', '.join(sorted(foreign))}")
    return plain


def _own(operator: Any) -> set[str]:
    """Return the name of an operator that is torch's own, or nothing."""
    namespace = getattr(operator, "namespace", "higher_order")
    return {str(operator)} if namespace in OWN else set()
