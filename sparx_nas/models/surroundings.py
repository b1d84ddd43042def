"""What stands before, between and after the stages: stems, downsampling, the classifier.

Letters: B batch, C width, H x W map. A stem of stride s maps a side n to ceil(n / s), whatever n
is, and a downsampling to ceil(n / 2).
"""

from collections.abc import Callable, Mapping

import torch
from timm.layers import SelectAdaptivePool2d
from torch import Tensor, nn
from torch.nn.functional import pad

from sparx_nas.architecture.plan import BackbonePlan
from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.kernels.convolution import PointwiseConv2d
from sparx_nas.models.norms import PositionNorm, make_norm


class PatchConv2d(nn.Conv2d):
    """Map patches that do not overlap; a map is padded with zeros to a multiple of the patch."""

    def __init__(self, inputs: int, outputs: int, patch: int) -> None:
        super().__init__(inputs, outputs, patch, stride=patch)
        self.patch = patch

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, ceil(H / patch), ceil(W / patch))."""
        height, width = input.shape[2:]
        return super().forward(pad(input, (0, -width % self.patch, 0, -height % self.patch)))


class Merge(nn.Module):
    """Lay 2 x 2 positions over one another, columns first; odd sides are padded with zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 4 C, ceil(H / 2), ceil(W / 2))."""
        height, width = x.shape[2:]
        x = pad(x, (0, width % 2, 0, height % 2))
        parts = [x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return torch.cat(parts, dim=1)


def make_stem(plan: BackbonePlan) -> nn.Sequential:
    """Return what turns an image (B, in_chans, H, W) into the input of stage 1."""
    first = plan.stages[0].width
    if plan.stem == "patch":
        conv: nn.Module = PatchConv2d(plan.in_chans, first, plan.stem_strides[0])
        return nn.Sequential(conv, PositionNorm(first))
    if plan.stem == "overlap":
        conv = nn.Conv2d(plan.in_chans, first, 7, stride=plan.stem_strides[0], padding=3)
        return nn.Sequential(conv, PositionNorm(first))
    widths = [first // 2] * (len(plan.stem_strides) - 1) + [first]
    layered = plan.stem == "layer"
    modules: list[nn.Module] = []
    inputs = plan.in_chans
    for outputs, stride in zip(widths, plan.stem_strides, strict=True):
        conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=layered)
        norm = PositionNorm(outputs) if layered else nn.BatchNorm2d(outputs)
        modules += [conv, norm, nn.GELU()]
        inputs = outputs
    return nn.Sequential(*modules[:-1])


def make_downsample(plan: BackbonePlan, inputs: int, outputs: int) -> nn.Sequential:
    """Return what turns a stage's output into the input of the next, half as large."""
    kind = plan.family.downsample
    if kind == "merge":
        linear = PointwiseConv2d(4 * inputs, outputs, bias=False)
        return nn.Sequential(Merge(), PositionNorm(4 * inputs), linear)
    layered = kind == "layer"
    conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=layered)
    return nn.Sequential(conv, PositionNorm(outputs) if layered else nn.BatchNorm2d(outputs))


POOLS: Mapping[str, Callable[[], nn.Module]] = {
    "avg": lambda: nn.AdaptiveAvgPool2d(1),
    "max": lambda: nn.AdaptiveMaxPool2d(1),
    "avgmax": lambda: SelectAdaptivePool2d(pool_type="avgmax"),
    "catavgmax": lambda: SelectAdaptivePool2d(pool_type="catavgmax"),
    "": nn.Identity,
}
"""By the names that timm gives them; catavgmax doubles the channels."""


def make_pool(name: str) -> nn.Module:
    """Return what pools the last map.

    Raises: ArchitectureError for a name that is none.
    """
    if name not in POOLS:
        raise ArchitectureError(
            f"global_pool is {name!r}; it is one of {', '.join(map(repr, POOLS))}"
        )
    return POOLS[name]()


def make_classifier(plan: BackbonePlan) -> nn.Sequential:
    """Return what turns the last stage's output into logits: norm, average, linear map."""
    last = plan.stages[-1].width
    eps = plan.family.norm_eps
    normed = nn.Identity() if plan.family.stage_norm else make_norm(plan.norm, last, eps)
    return nn.Sequential(
        normed, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, plan.num_classes)
    )
