"""The ganglion layers of a built network, and hooks that watch or silence parts of them."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import layer_name
from sparx_nas.models import SparxBackbone


@dataclass(frozen=True)
class Ganglion:
    """A ganglion layer: its name, those of its sources in channel order, and its mixer `op`."""

    name: str
    sources: tuple[str, ...]
    op: Any

    @property
    def width(self) -> int:
        """C: source i is channels i*C to (i+1)*C of the context (B, E, H, W), E = C * sources."""
        value: nn.Conv2d = self.op.v[0]
        return value.out_channels


def ganglia(model: SparxBackbone, architecture: Architecture) -> list[Ganglion]:
    """Return the ganglion layers of a network in the order in which it runs them."""
    found = []
    stages: Any = model.layers
    for i, stage in enumerate(architecture.graph.stages):
        for layer in stage.ganglia:
            context = architecture.context(i, layer)
            assert context == model.contexts[i][layer - 1], "the network is of this architecture"
            sources = tuple(layer_name(i, source) for source in context)
            op = stages[i].blocks[layer - 1].op
            found.append(Ganglion(layer_name(i, layer), sources, op))
    return found


@contextmanager
def watched(modules: Mapping[Hashable, nn.Module]) -> Iterator[dict[Hashable, Tensor]]:
    """Yield a dict that holds, by the same keys, what each module returned last."""
    seen: dict[Hashable, Tensor] = {}

    def keeper(key: Hashable) -> Any:
        def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
            seen[key] = output

        return keep

    handles = [module.register_forward_hook(keeper(key)) for key, module in modules.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def scaled(ganglion: Ganglion, source: int, factor: float) -> Iterator[None]:
    """Multiply one source's slice of the context, as d_norm leaves it, while this lasts.

    0 cuts the edge: the slice is set to zero, whatever is in it.
    """
    C = ganglion.width

    def change(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        out = output.clone()
        slice_ = out[:, source * C : (source + 1) * C]
        if factor:
            slice_.mul_(factor)
        else:
            slice_.zero_()
        return out

    handle = ganglion.op.d_norm.register_forward_hook(change)
    try:
        yield
    finally:
        handle.remove()
