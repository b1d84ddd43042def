"""The families of backbones: structural facts of each, and the settings of its token mixer.

A family decides what surrounds the mixers (stem, downsampling, norms, feed-forward network); the
wiring decides who reads whom, and ganglion layers work alike in all of them. Sources: SparX-Mamba
arXiv 2409.09649, VMamba 2401.10166, Swin 2103.14030, PVT v2 2106.13797, ConvNeXt 2201.03545.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Stem = Literal["v1", "v2", "layer", "patch", "overlap"]
"""v1, v2: two or three 3x3 convolutions with BatchNorm; layer: two 3x3 convolutions with LayerNorm;
patch: one of the stride's size with LayerNorm; overlap: one 7x7 with LayerNorm."""
Downsample = Literal["batch", "layer", "merge"]
"""A 3x3 convolution of stride 2 with BatchNorm or LayerNorm; or 2x2 positions merged, normed and
mapped."""
Norm = Literal["group", "layer"]
Mixer = Literal["scan", "window", "reduction", "convolution"]
FeedForwardConv = Literal["residual", "plain", "none"]
"""Whether a depthwise 3x3 convolution follows the widening, with or without its own input added."""

ConvInit = Literal["normal", "fan_out", "default"]
"""Normal with spread 0.02; normal by what leaves a unit; or torch's own."""


@dataclass(frozen=True, kw_only=True)
class MambaSettings:
    """Settings of the SS2D token mixer, the same in every layer.

    `state_dim` N; `dt_rank` R or "auto" for ceil(C / 16); `conv_kernel` of the depthwise
    convolution before the scan (odd; 0 or 1: there is none), `act` after it.
    """

    state_dim: int = 1
    dt_rank: int | str = "auto"
    conv_kernel: int = 5
    act: str = "silu"


@dataclass(frozen=True, kw_only=True)
class SwinSettings:
    """Settings of shifted-window attention: `heads` of each stage, `window` side in positions.

    Every second layer of a stage shifts its windows by half of one.
    """

    heads: tuple[int, ...] = (3, 6, 12, 24)
    window: int = 7

    def __post_init__(self) -> None:
        """Turn a list, as JSON has it, into a tuple."""
        object.__setattr__(self, "heads", tuple(self.heads))


@dataclass(frozen=True, kw_only=True)
class PvtSettings:
    """Settings of spatial-reduction attention: `heads` and `spatial_reductions` of each stage.

    Keys and values are read from a map whose sides are divided by the spatial reduction.
    """

    heads: tuple[int, ...] = (1, 2, 5, 8)
    spatial_reductions: tuple[int, ...] = (8, 4, 2, 1)

    def __post_init__(self) -> None:
        """Turn lists, as JSON has them, into tuples."""
        object.__setattr__(self, "heads", tuple(self.heads))
        object.__setattr__(self, "spatial_reductions", tuple(self.spatial_reductions))


@dataclass(frozen=True, kw_only=True)
class ConvSettings:
    """Settings of the mixer of convolutions: `kernel` of the depthwise one, `act` after it."""

    kernel: int = 7
    act: str = "gelu"


MixerSettings = MambaSettings | SwinSettings | PvtSettings | ConvSettings


@dataclass(frozen=True, kw_only=True)
class Family:
    """What all backbones of a family share.

    `settings` are those of the mixer where none are given; `stems` those that it may have, its own
    first; `norm_eps` that of the norms of layers and stages (others have 1e-5). `bias` says whether
    the mixer's own maps have one, `position` whether a layer starts with a depthwise convolution
    that tells it positions, `stage_norm` whether every stage ends with a norm, and then the head
    has none. `expand` is D / C where none is given, and the only one in attention; `mlp_ratio` is
    hidden / C of each of four stages where none is given.
    `scaled_late` says whether the last two stages have LayerScale where nothing is said,
    `conv_init` how weights of convolutions that are no 1x1 maps are drawn (those have a normal
    distribution of spread 0.02).
    """

    mixer: Mixer
    settings: MixerSettings
    stems: tuple[Stem, ...]
    downsample: Downsample
    norm: Norm
    norm_eps: float = 1e-5
    position: bool = False
    feed_forward_conv: FeedForwardConv = "none"
    stage_norm: bool = False
    bias: bool = True
    expand: float = 1.0
    mlp_ratio: tuple[float, float, float, float] = (4.0, 4.0, 4.0, 4.0)
    scaled_late: bool = False
    conv_init: ConvInit = "default"


MAMBA = Family(
    mixer="scan",
    settings=MambaSettings(),
    stems=("v1", "v2"),
    downsample="batch",
    norm="group",
    position=True,
    feed_forward_conv="residual",
    expand=2.0,
    scaled_late=True,
    conv_init="normal",
)
FAMILIES: Mapping[str, Family] = {
    "mamba": MAMBA,
    "vmamba": Family(
        mixer="scan",
        settings=MambaSettings(conv_kernel=3),
        stems=("layer",),
        downsample="layer",
        norm="layer",
        bias=False,
    ),
    "swin": Family(
        mixer="window",
        settings=SwinSettings(),
        stems=("patch",),
        downsample="merge",
        norm="layer",
    ),
    "pvt": Family(
        mixer="reduction",
        settings=PvtSettings(),
        stems=("overlap",),
        downsample="layer",
        norm="layer",
        norm_eps=1e-6,
        feed_forward_conv="plain",
        stage_norm=True,
        conv_init="fan_out",
        mlp_ratio=(8.0, 8.0, 4.0, 4.0),
    ),
    "conv": replace(MAMBA, mixer="convolution", settings=ConvSettings()),
}
"""Families by the name of their backbone. `conv` is SparX-Mamba with the scan taken out and a
larger depthwise convolution: what a wiring gains there, it owes to no recurrence."""


def defaults(family: Family, stages: int) -> tuple[dict[str, Any], dict[str, tuple[Any, ...]]]:
    """Return what a family has where nothing is said: for all stages, and stage by stage."""
    late = max(stages - 2, 0) if family.scaled_late else 0
    shared = {"stem": family.stems[0], "mixer": family.settings, "norm": family.norm}
    return shared, {
        "expand": (family.expand,) * stages,
        "mlp_ratio": tuple(family.mlp_ratio[min(i, 3)] for i in range(stages)),
        "layer_scale": (None,) * (stages - late) + (1.0,) * late,
        "reductions": tuple(max(1, 8 >> i) for i in range(stages)),
        "stage_inputs": ("first",) * stages,
    }


def mixer_settings(backbone: str, given: Mapping[str, Any]) -> Any:
    """Read the settings of a family's mixer; None where nothing is given, or no family.

    Raises: TypeError for a setting that the mixer has not got.
    """
    family = FAMILIES.get(backbone)
    return type(family.settings)(**given) if family and given else None
