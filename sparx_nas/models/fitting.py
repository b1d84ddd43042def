"""What is done with a state dict before a network loads it: renamed, and its widths looked at."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.models.names import renamed

WIDTH = "layers.{}.blocks.0.norm.weight"
"""A parameter of every family that is as long as its stage is wide."""
STEP = 16
"""How far a narrowed width may be off, for it is rounded to what its heads divide."""


def fit_in_place(model: nn.Module, state_dict: dict[str, Any], prefix: str, *told: object) -> None:
    """Bring a state dict of other code under our names before it is loaded.

    Raises: ArchitectureError for weights of other widths, or under names of something around.
    """
    names = [name for name in state_dict if name.startswith(prefix)]
    own = {name.removeprefix(prefix): state_dict.pop(name) for name in names}
    like = model.state_dict()
    new = renamed(own, like) if own else {}
    check_widths("the state dict", new, like)
    state_dict.update({prefix + name: value for name, value in new.items()})


def check_widths(where: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Refuse the weights of a narrowed training in a network that is wider in most stages.

    Raises: ArchitectureError saying both widths, and what to do.
    """
    found, here = _widths(state), _widths(own)
    pairs = [(found[stage], here[stage]) for stage in sorted(found.keys() & here.keys())]
    ratio = max((a for a, _ in pairs), default=1) / max((b for _, b in pairs), default=1)
    narrower = sum(a < b for a, b in pairs)
    if ratio >= 1 or 2 * narrower <= len(pairs) or any(abs(a - ratio * b) > STEP for a, b in pairs):
        return
    theirs, ours = (", ".join(map(str, widths)) for widths in zip(*pairs, strict=True))
    raise ArchitectureError(
        f"{where}: the weights were trained at {ratio:.3g} of this network's width, with stages of "
        f"{theirs} channels where it has {ours}",
        hint=f"build it with width={ratio:.3g} (or as config.json beside them says), or train the "
        "design at full width with sparx-nas train",
    )


def _widths(state: Mapping[str, Tensor]) -> dict[int, int]:
    """Return the widths of the stages that a state dict tells, by stage from 0."""
    found: dict[int, int] = {}
    while (weight := state.get(WIDTH.format(len(found)))) is not None:
        found[len(found)] = weight.shape[0]
    return found
