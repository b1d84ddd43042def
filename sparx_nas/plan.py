"""The resolved shapes of one backbone: what the cost model counts and the network builder builds.

Made by `Architecture.plan`. Nothing is left to decide here: widths are scaled, ranks are numbers,
and the context of every ganglion is listed in channel order.
"""

import math
from dataclasses import dataclass
from typing import Literal

Stem = Literal["v1", "v2"]
Norm = Literal["group", "layer"]


@dataclass(frozen=True, slots=True)
class MixerPlan:
    """Settings of the token mixer that are the same in every layer.

    `state_dim` N, `conv_kernel` k of the depthwise convolution (0: there is none), `act` after it.
    """

    state_dim: int
    conv_kernel: int
    act: str


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Shapes of one stage.

    `width` C, `inner` D of the scan, `rank` R of its step sizes, `hidden` of the FFN, `reduction`
    r of the aggregator's queries and keys, `layer_scale` its initial value or None. `contexts[j]`
    lists the layers that layer j + 1 aggregates, in channel order; empty for a normal layer.
    """

    width: int
    inner: int
    rank: int
    hidden: int
    reduction: int
    layer_scale: float | None
    contexts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class BackbonePlan:
    """A whole network, ready to be counted or built.

    `stem_strides` holds the stride of every convolution of the stem.
    """

    in_chans: int
    num_classes: int
    stem: Stem
    stem_strides: tuple[int, ...]
    norm: Norm
    mlp_act: str
    mixer: MixerPlan
    stages: tuple[StagePlan, ...]


def stem_strides(stem: Stem, total: int) -> tuple[int, ...]:
    """Return the strides of the stem's convolutions for a total of 4 (as published), 2 or 1.

    A smaller total keeps the first stride, which is the cheaper place.
    """
    first, last = {4: (2, 2), 2: (2, 1), 1: (1, 1)}[total]
    return (first, last) if stem == "v1" else (first, 1, last)


def halved(side: int) -> int:
    """Return the side of a map after a 3x3 convolution of stride 2 and padding 1."""
    return (side + 1) // 2


def reduced(side: int, ratio: int) -> int:
    """Return the side after the aggregator's reduction: kernel r+1, stride r, padding (r+1)//2."""
    if ratio <= 1:
        return side
    return (side + 2 * ((ratio + 1) // 2) - ratio - 1) // ratio + 1


def scaled_width(width: int, multiplier: float) -> int:
    """Scale a width to the nearest multiple of 8, at least 8; a multiplier of 1 changes nothing."""
    if multiplier == 1:
        return width
    return max(8, 8 * math.floor(width * multiplier / 8 + 0.5))


def map_sizes(plan: BackbonePlan, height: int, width: int) -> list[tuple[int, int]]:
    """Return (H, W) of every stage for an image of height x width pixels."""
    for stride in plan.stem_strides:
        if stride == 2:
            height, width = halved(height), halved(width)
    sizes = [(height, width)]
    for _ in plan.stages[1:]:
        height, width = halved(height), halved(width)
        sizes.append((height, width))
    return sizes
