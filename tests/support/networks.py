"""What a network that was built does, seen by hooks."""

import torch
from torch import Tensor, nn

from sparx_nas.models import SparxBackbone


def reads(model: SparxBackbone) -> list[dict[int, list[int]]]:
    """Return, for every stage, which layers' outputs each layer was handed, seen by hooks."""
    seen: list[dict[int, list[int]]] = [{} for _ in model.layers]
    outputs: list[list[Tensor]] = [[] for _ in model.layers]
    hooks = []

    def hook(stage: int, layer: int):
        def note(_: nn.Module, inputs: tuple[Tensor, list[Tensor]], output: Tensor) -> None:
            stream, context = inputs
            if layer == 1:
                outputs[stage].append(stream)
            assert stream is outputs[stage][layer - 1]
            places = [[o is c for o in outputs[stage]].index(True) for c in context]
            seen[stage][layer] = places
            outputs[stage].append(output)

        return note

    for i, stage in enumerate(model.layers):
        for j, block in enumerate(stage.blocks, 1):
            hooks.append(block.register_forward_hook(hook(i, j)))
    with torch.no_grad():
        model(torch.randn(2, 3, 32, 32))
    for handle in hooks:
        handle.remove()
    return seen
