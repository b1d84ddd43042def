"""State dicts of other code under our names: SparX, VMamba, and timm's Swin and PVT v2.

`renamed` recognises a state dict by its names and returns it as our network of the same family has
it; weights of linear maps become those of 1x1 convolutions. Nothing is guessed by shape.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from typing import Any

from torch import Tensor

from sparx_nas.ground.errors import ArchitectureError

LOG = logging.getLogger(__name__)
Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]

WRAPPERS = ("model", "state_dict", "module", "state_dict_ema", "model_ema")
"""Keys under which training code keeps the state dict in a checkpoint."""
PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""
COUNTERS = ("n_averaged",)
"""What averages of weights count beside them (torch.optim.swa_utils)."""
OTHER_PARTS = ("stages", "layers", "patch_embed", "classifier", "norm", "head")
"""Beginnings of names that are parts of a network in other code as well."""
DERIVED = ("relative_position_index", "attn_mask")
"""Buffers of other code that follow from the shape."""


def _earlier(match: re.Match[str]) -> str:
    """Name the downsampling at the start of a stage after the stage before."""
    return f"layers.{int(match[1]) - 1}.downsample."


VMAMBA: Rules = (
    (r"^patch_embed\.2\.", "patch_embed.1."),
    (r"^patch_embed\.5\.", "patch_embed.3."),
    (r"^patch_embed\.7\.", "patch_embed.4."),
    (r"\.downsample\.1\.", ".downsample.0."),
    (r"\.downsample\.3\.", ".downsample.1."),
    (r"^classifier\.norm\.", "classifier.0."),
    (r"^classifier\.head\.", "classifier.3."),
    (r"\.op\.x_proj\.weight$", ".op.x_proj_weight"),
    (r"\.op\.dt_projs\.weight$", ".op.dt_projs_weight"),
)
SWIN: Rules = (
    (r"^patch_embed\.proj\.", "patch_embed.0."),
    (r"^patch_embed\.norm\.", "patch_embed.1."),
    (r"\.downsample\.norm\.", ".downsample.1."),
    (r"\.downsample\.reduction\.", ".downsample.2."),
    (r"\.norm1\.", ".norm."),
    (r"\.attn\.", ".op."),
    (r"^norm\.", "classifier.0."),
    (r"^head\.(?:fc\.)?", "classifier.3."),
)
SWIN_OF_TIMM: Rules = ((r"^layers\.(\d+)\.downsample\.", _earlier), *SWIN)
PVT: Rules = (
    (r"^stages\.(\d+)\.downsample\.", _earlier),
    (r"^patch_embed\.proj\.", "patch_embed.0."),
    (r"^patch_embed\.norm\.", "patch_embed.1."),
    (r"^stages\.", "layers."),
    (r"\.downsample\.proj\.", ".downsample.0."),
    (r"\.downsample\.norm\.", ".downsample.1."),
    (r"\.norm1\.", ".norm."),
    (r"\.attn\.q\.", ".op.query."),
    (r"\.attn\.kv\.", ".op.key_value."),
    (r"\.attn\.sr\.", ".op.reduce."),
    (r"\.attn\.norm\.", ".op.reduce_norm."),
    (r"\.attn\.proj\.", ".op.proj."),
    (r"^head\.", "classifier.3."),
)


def renamed(checkpoint: Mapping[str, Any], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict in a checkpoint under our names, for a network with state `like`.

    Names that the network has not got are kept, so that a strict load can tell them.

    Raises: ArchitectureError if the checkpoint holds no state dict, or all of the network's names
    behind a prefix and others beside them.
    """
    state = without_prefix(unwrapped(checkpoint), like)
    _refuse_hidden(state, like.keys())
    rules = _rules(state)
    out: dict[str, Tensor] = {}
    for name, value in state.items():
        if not name.endswith(DERIVED):
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name)
            out[name] = _shaped(value, like.get(name))
    return out


def without_prefix(
    state: Mapping[str, Tensor], like: Iterable[str], *, known: Collection[str] = ()
) -> Mapping[str, Tensor]:
    """Return a state dict without the names of what the network was a part of, and say so.

    That is what stands before every name and is none of the network's own parts, nor of the
    `known` ones beside it.
    """
    parts = {name.split(".")[0] for name in like} | {*known, *OTHER_PARTS}
    prefix = ""
    while len(first := {name.removeprefix(prefix).split(".")[0] for name in state}) == 1:
        part = first.pop()
        if part in parts or f"{prefix}{part}" in state:
            break
        prefix += f"{part}."
    if prefix:
        LOG.warning("every name of the checkpoint begins with %r, which was left out", prefix)
        return {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _refuse_hidden(state: Mapping[str, Tensor], wanted: Set[str]) -> None:
    """Raise an ArchitectureError if every wanted name stands behind one prefix, beside others."""
    if not wanted or not wanted.isdisjoint(state):
        return
    one = max(wanted, key=len)
    for name in state:
        prefix = name.removesuffix(one)
        if name.endswith(f".{one}") and all(prefix + other in state for other in wanted):
            others = len(state) - len(wanted)
            raise ArchitectureError(
                f"the network's {len(wanted)} names all begin with {prefix!r} in the checkpoint, "
                f"beside {others} others",
                hint=f"load {{n.removeprefix({prefix!r}): t for n, t in state.items() "
                f"if n.startswith({prefix!r})}}",
            )


def unwrapped(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the state dict in what a checkpoint file holds, without the prefixes of wrappers.

    Raises: ArchitectureError if there is none.
    """
    found: Any = checkpoint
    for _ in WRAPPERS:
        inner = [found[k] for k in WRAPPERS if isinstance(found.get(k), Mapping)]
        if not inner:
            break
        found = inner[0]
    found = {name: value for name, value in found.items() if name not in COUNTERS}
    tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)}
    if not tensors or len(tensors) != len(found):
        raise ArchitectureError(
            "the checkpoint holds no state dict",
            hint=f"a table of tensors by name, at the top or under one of {', '.join(WRAPPERS)}",
        )
    while wrapped := [p for p in PREFIXES if all(name.startswith(p) for name in tensors)]:
        tensors = {name.removeprefix(wrapped[0]): value for name, value in tensors.items()}
    return tensors


def _rules(state: Mapping[str, Tensor]) -> Rules:
    """Return the rules for a state dict; none where the names are ours."""
    if any(name.startswith("stages.") and ".attn." in name for name in state):
        return PVT
    if any(name.startswith("layers.") and ".attn." in name for name in state):
        # The original Swin shrinks at the end of a stage, as this network; timm's at the start.
        return SWIN if "layers.0.downsample.reduction.weight" in state else SWIN_OF_TIMM
    official = ("classifier.head.weight", "patch_embed.7.weight")
    vmamba = official[0] in state or (
        official[1] in state
        and state[official[1]].ndim == 1
        and "patch_embed.3.weight" not in state
    )
    return VMAMBA if vmamba else ()


def _shaped(value: Tensor, like: Tensor | None) -> Tensor:
    """Return a weight in the shape that it has here, if only ones and grouping differ."""
    if like is None or value.shape == like.shape or value.numel() != like.numel():
        return value
    squeezed = [[n for n in t.shape if n != 1] for t in (value, like)]
    grouped = like.ndim == 3 and like.shape[-1] == 1 and value.ndim == 3
    flat = value.ndim == 2 and like.ndim == 3
    return value.reshape(like.shape) if squeezed[0] == squeezed[1] or grouped or flat else value
