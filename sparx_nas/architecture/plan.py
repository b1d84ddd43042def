"""The resolved shapes of one backbone: what the cost model counts and the network builder builds.

Made by `Architecture.plan`. Nothing is left to decide here: widths are scaled, ranks are numbers,
and the context of every ganglion is listed in channel order.
"""

import math
from dataclasses import dataclass

from sparx_nas.architecture.families import (
    ConvSettings,
    Family,
    MambaSettings,
    MixerSettings,
    Norm,
    Stem,
    SwinSettings,
)


@dataclass(frozen=True, slots=True)
class MixerPlan:
    """Settings of the token mixer that are the same in every layer; 0 or "" where it has none.

    `state_dim` N, `conv_kernel` k of the depthwise convolution (0: there is none), `act` after it,
    `window` the side of an attention window.
    """

    state_dim: int = 0
    conv_kernel: int = 0
    act: str = ""
    window: int = 0


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Shapes of one stage.

    `width` C, `inner` D of the mixer, `rank` R of a scan's step sizes, `hidden` of the FFN,
    `reduction` r of the aggregator's queries and keys, `layer_scale` its initial value or None,
    `heads` and `spatial_reduction` of attention (0 and 1 where there is none). `contexts[j]` lists
    the layers that layer j + 1 aggregates, in channel order; empty for a normal layer.
    """

    width: int
    inner: int
    rank: int
    hidden: int
    reduction: int
    layer_scale: float | None
    contexts: tuple[tuple[int, ...], ...]
    heads: int = 0
    spatial_reduction: int = 1


@dataclass(frozen=True, slots=True)
class BackbonePlan:
    """A whole network, ready to be counted or built.

    `stem_strides` holds the stride of every convolution of the stem. `attention_scale` is where a
    learnable factor of the aggregator's scores starts; None for the fixed one of their map.
    """

    family: Family
    in_chans: int
    num_classes: int
    stem: Stem
    stem_strides: tuple[int, ...]
    norm: Norm
    mlp_act: str
    mixer: MixerPlan
    stages: tuple[StagePlan, ...]
    attention_scale: float | None = None


def mixer_plan(settings: MixerSettings) -> MixerPlan:
    """Resolve the settings that all layers share."""
    if isinstance(settings, MambaSettings):
        kernel = settings.conv_kernel if settings.conv_kernel > 1 else 0
        return MixerPlan(state_dim=settings.state_dim, conv_kernel=kernel, act=settings.act)
    if isinstance(settings, ConvSettings):
        return MixerPlan(conv_kernel=settings.kernel, act=settings.act)
    return MixerPlan(window=settings.window if isinstance(settings, SwinSettings) else 0)


def stem_strides(stem: Stem, total: int) -> tuple[int, ...]:
    """Return the strides of the stem's convolutions for a total of 4 (as published), 2 or 1.

    A smaller total keeps the first stride, which is the cheaper place.
    """
    if stem in ("patch", "overlap"):
        return (total,)
    first, last = {4: (2, 2), 2: (2, 1), 1: (1, 1)}[total]
    return (first, 1, last) if stem == "v2" else (first, last)


def halved(side: int) -> int:
    """Return the side of a map after a downsampling: rounded up."""
    return (side + 1) // 2


def reduced(side: int, ratio: int) -> int:
    """Return the side after the aggregator's reduction: kernel r+1, stride r, padding (r+1)//2."""
    if ratio <= 1:
        return side
    return (side + 2 * ((ratio + 1) // 2) - ratio - 1) // ratio + 1


def strided(side: int, stride: int) -> int:
    """Return the side of a map after a convolution of the stem: rounded up, whatever its kernel."""
    return -(-side // stride)


def spatially_reduced(side: int, ratio: int) -> int:
    """Return the side that keys and values have: rounded down, as a PVT drops what is left over."""
    return max(1, side // ratio)


def scaled_width(width: int, multiplier: float, heads: int = 0) -> int:
    """Scale a width to the nearest multiple of 8 that its attention's heads divide, one at least.

    A multiplier of 1 changes nothing.
    """
    if multiplier == 1:
        return width
    step = math.lcm(8, heads or 1)
    return max(step, step * math.floor(width * multiplier / step + 0.5))


def map_sizes(plan: BackbonePlan, height: int, width: int) -> list[tuple[int, int]]:
    """Return (H, W) of every stage for an image of height x width pixels."""
    for stride in plan.stem_strides:
        height, width = strided(height, stride), strided(width, stride)
    sizes = [(height, width)]
    for _ in plan.stages[1:]:
        height, width = halved(height), halved(width)
        sizes.append((height, width))
    return sizes
