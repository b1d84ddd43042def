"""The whole network: stem, stages with their wiring, downsampling, head.

Parameter and buffer names, shapes and order are those of the official SparX-Mamba, so released
checkpoints load strictly. Letters: B batch, C width, H x W map. Source: arXiv 2409.09649.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sparx_nas.architecture import Architecture
from sparx_nas.errors import ArchitectureError
from sparx_nas.kernels import check_name
from sparx_nas.models.block import Block
from sparx_nas.models.norms import make_norm
from sparx_nas.plan import BackbonePlan


class SparxBackbone(nn.Module):
    """A hierarchical backbone with a classifier, built from a plan.

    `contexts[i][j]` lists the layers that layer j + 1 of stage i + 1 aggregates (0: the stage's
    input), as the plan says. `drop_path` grows linearly from 0 to this rate over the layers.
    """

    def __init__(self, plan: BackbonePlan, *, drop_path: float, backend: str) -> None:
        super().__init__()
        self.contexts = tuple(stage.contexts for stage in plan.stages)
        depth = sum(len(contexts) for contexts in self.contexts)
        rates = iter(torch.linspace(0, drop_path, depth, device="cpu").tolist())
        self.patch_embed = _stem(plan)
        self.layers = nn.ModuleList(_stages(plan, rates, backend))
        last = plan.stages[-1].width
        self.classifier = nn.Sequential(
            make_norm(plan.norm, last),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(last, plan.num_classes),
        )
        self.apply(_initialise)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (B, in_chans, H, W) to the last stage's output, before its norm."""
        x = self.patch_embed(x)
        if x.device.type == "cpu":
            # There a 1x1 convolution is a matrix product, and the scan reads maps as they lie.
            x = x.contiguous(memory_format=torch.channels_last)
        for stage, contexts in zip(self.layers, self.contexts, strict=True):
            blocks, downsample = stage.children()
            outputs = [x]
            for block, sources in zip(blocks.children(), contexts, strict=True):
                x = block(x, [outputs[source] for source in sources])
                outputs.append(x)
            x = downsample(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, in_chans, H, W) to logits (B, num_classes)."""
        logits: Tensor = self.classifier(self.forward_features(x))
        return logits


def build(
    architecture: Architecture,
    num_classes: int = 1000,
    *,
    in_chans: int = 3,
    width: float = 1.0,
    stem_stride: int = 4,
    drop_path: float = 0.0,
    backend: str = "auto",
) -> SparxBackbone:
    """Build the network of an architecture, freshly initialised.

    `width` multiplies the widths (to multiples of 8, at least 8), `stem_stride` is 4 as published,
    2 or 1 for small images, `drop_path` a rate in [0, 1), `backend` the kernels of the scan. Use
    `with torch.device("meta")` for a network without memory.

    Raises: ArchitectureError for a setting out of range, DeviceError for a missing backend.
    """
    if not 0 <= drop_path < 1:
        raise ArchitectureError(f"drop_path is {drop_path}; it is a rate in [0, 1)")
    plan = architecture.plan(
        in_chans=in_chans, num_classes=num_classes, width=width, stem_stride=stem_stride
    )
    check_name(backend)
    return SparxBackbone(plan, drop_path=drop_path, backend=backend)


def _stem(plan: BackbonePlan) -> nn.Sequential:
    """Return two (v1) or three (v2) 3x3 convolutions with BatchNorm, and GELU between them."""
    widths = [plan.stages[0].width // 2] * (len(plan.stem_strides) - 1) + [plan.stages[0].width]
    modules: list[nn.Module] = []
    inputs = plan.in_chans
    for outputs, stride in zip(widths, plan.stem_strides, strict=True):
        conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        modules += [conv, nn.BatchNorm2d(outputs), nn.GELU()]
        inputs = outputs
    return nn.Sequential(*modules[:-1])


def _stages(plan: BackbonePlan, rates: Iterator[float], backend: str) -> Iterator[nn.Module]:
    """Yield every stage: its blocks, and what shrinks their result for the next one."""
    following = [stage.width for stage in plan.stages[1:]] + [None]
    for stage, width in zip(plan.stages, following, strict=True):
        out = nn.Sequential()
        blocks = [Block(plan, stage, len(c), next(rates), backend) for c in stage.contexts]
        out.add_module("blocks", nn.Sequential(*blocks))
        out.add_module(
            "downsample", nn.Identity() if width is None else _shrink(stage.width, width)
        )
        yield out


def _shrink(inputs: int, outputs: int) -> nn.Module:
    """Return a 3x3 convolution of stride 2 with BatchNorm."""
    conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def _initialise(module: nn.Module) -> None:
    """Draw the weights of convolutions and linear maps; norms and scans draw their own."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
