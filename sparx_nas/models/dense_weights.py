"""Weights of dense backbones: from classifiers, and from checkpoints of whole detectors."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.models.dense import DenseBackbone
from sparx_nas.models.fitting import check_widths
from sparx_nas.models.names import renamed, unwrapped, without_prefix
from sparx_nas.models.weights import downloaded, read_state

Source = str | Path | Mapping[str, Any]
"""A file (.safetensors, or what torch.save wrote), its address, or what such a file holds."""

ADDED = re.compile(r"norm\.\d+\.(weight|bias)|.*\.op\.scale")
"""What a dense backbone has and a classifier has not."""
SHOWN = 3


def load_classification(backbone: DenseBackbone, source: Source) -> None:
    """Load the weights of an ImageNet classifier; norms of maps and scales stay as they are.

    Wrappers and the names of VMamba, Swin and PVT v2 are understood, as by `names.renamed`. In the
    detection variant the result is not the classifier's function: its attention is scaled by
    `op.scale`, not by the size of the map.

    Raises: ArchitectureError listing what differs besides `classifier.*`, `norm.*` and `op.scale`;
    DataError for a file that cannot be read.
    """
    where, checkpoint = _read(source)
    own = backbone.state_dict()
    state = renamed(checkpoint, own)
    if any(ADDED.fullmatch(name) for name in state):
        raise ArchitectureError(
            f"{where}: the weights are those of a dense backbone, not of a classifier",
            hint="load_dense reads them",
        )
    state = {name: value for name, value in state.items() if not name.startswith("classifier.")}
    _check(where, state, {name: t for name, t in own.items() if not ADDED.fullmatch(name)})
    backbone.load_state_dict(state, strict=False)


def load_dense(backbone: DenseBackbone, source: Source) -> None:
    """Load a dense backbone's weights, all of them by name.

    In a checkpoint of a whole segmentor or detector they are what `backbone.` stands before; heads
    and necks beside them are left out.

    Raises: ArchitectureError listing what differs, or that the weights are of the other variant;
    DataError for a file that cannot be read.
    """
    where, checkpoint = _read(source)
    own = backbone.state_dict()
    state = without_prefix(unwrapped(checkpoint), own, known=("backbone",))
    inner = {n.removeprefix("backbone."): v for n, v in state.items() if n.startswith("backbone.")}
    state = renamed(inner or state, own)
    scaled = [any(name.endswith(".op.scale") for name in names) for names in (state, own)]
    if scaled[0] != scaled[1]:
        variant = "detection" if scaled[0] else "segmentation"
        raise ArchitectureError(
            f"{where}: the weights are those of the {variant} variant",
            hint=f"build the backbone with variant={variant!r}",
        )
    _check(where, state, own)
    backbone.load_state_dict(state)


def _read(source: Source) -> tuple[str, Mapping[str, Any]]:
    """Return what the weights are called in messages, and the weights in their wrappers."""
    if isinstance(source, Mapping):
        return "the state dict", source
    remote = str(source).startswith(("http://", "https://"))
    return str(source), read_state(downloaded(str(source)) if remote else source)


def _check(where: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise an ArchitectureError that tells every way in which the weights do not fit."""
    check_widths(where, state, own)
    differing = [
        f"{name} is {tuple(state[name].shape)}, here {tuple(t.shape)}"
        for name, t in own.items()
        if name in state and state[name].shape != t.shape
    ]
    told = {
        "missing": own.keys() - state.keys(),
        "not in this backbone": state.keys() - own.keys(),
        "of another shape": differing,
    }
    mistakes = [f"{what}: {_shown(names)}" for what, names in told.items() if names]
    if mistakes:
        raise ArchitectureError.of(where, mistakes)


def _shown(names: Collection[str]) -> str:
    """List the first of many names."""
    few = ", ".join(sorted(names)[:SHOWN])
    return few if len(names) <= SHOWN else f"{few} and {len(names) - SHOWN} more"
