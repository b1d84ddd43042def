"""Semantic segmentation of digits that lie about on a canvas, and a small network that learns it.

The digits are scikit-learn's 1,797 scans. Letters: B batch, side of the canvas in pixels.
"""

import functools
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from sparx_nas.data.digits import read_digits
from sparx_nas.ground.timm_import import prepare_timm
from sparx_nas.models import DenseBackbone

prepare_timm()

from torchvision.ops import FeaturePyramidNetwork  # noqa: E402  (importable now)

CLASSES = 11
"""Background, then the digits 0 to 9."""
SIDES = (16, 28)
"""Smallest and largest side of a digit, in pixels; the scans have 8."""
MOST, TRIES = 5, 20
INK = 0.25
"""Pixels at least so dark belong to a digit."""
NOISE = 0.1
BACKGROUND_WEIGHT = 0.2
"""Of the background's pixels in the loss: they are many, and soon learnt."""
TEST_SCANS = 400


@functools.cache
def scans(split: str) -> tuple[Tensor, Tensor]:
    """Return the digits (n, 1, 8, 8) in [0, 1] and labels of "train" or "test", disjoint."""
    pool = read_digits(None).train
    order = np.random.default_rng(0).permutation(len(pool.labels))
    chosen = order[:TEST_SCANS] if split == "test" else order[TEST_SCANS:]
    pixels = torch.from_numpy(pool.pixels[chosen]).float() / 255
    return pixels.permute(0, 3, 1, 2), torch.from_numpy(pool.labels[chosen])


def scenes(split: str, count: int, *, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw canvases (count, 1, side, side) and the class of every pixel (count, side, side).

    One to five digits, of any place and scale, whose boxes do not overlap, and noise everywhere.
    """
    digits, labels = scans(split)
    draw = np.random.default_rng(seed)
    images = torch.zeros(count, 1, side, side)
    targets = torch.zeros(count, side, side, dtype=torch.long)
    for image, target in zip(images, targets, strict=True):
        taken = np.zeros((side, side), dtype=bool)
        left = draw.integers(1, MOST + 1)
        for _ in range(TRIES):
            size = int(draw.integers(SIDES[0], SIDES[1] + 1))
            row, column = draw.integers(0, side - size + 1, 2)
            box = (slice(row, row + size), slice(column, column + size))
            if not left or taken[box].any():
                continue
            taken[box], left = True, left - 1
            i = int(draw.integers(len(labels)))
            ink = interpolate(digits[i, None], (size, size), mode="bilinear")[0, 0]
            image[0][box] = ink
            target[box][ink >= INK] = labels[i] + 1
    noise = torch.from_numpy(draw.standard_normal(images.shape).astype(np.float32))
    return images + NOISE * noise, targets


class Segmenter(nn.Module):
    """A backbone, torchvision's feature pyramid on its maps, and one map of logits of them all."""

    def __init__(self, backbone: DenseBackbone, width: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = FeaturePyramidNetwork(list(backbone.channels), width)
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.GELU(),
            nn.Conv2d(width, CLASSES, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 1, side, side) to logits (B, CLASSES, side, side)."""
        maps = self.neck(OrderedDict((str(i), m) for i, m in enumerate(self.backbone(x))))
        first, *others = maps.values()
        size = first.shape[2:]
        total = first + sum(interpolate(m, size, mode="bilinear") for m in others)
        return interpolate(self.head(total), x.shape[2:], mode="bilinear")


def fit(net: nn.Module, *, steps: int, batch: int, side: int, seed: int, lr: float) -> None:
    """Train on scenes of training digits that are drawn anew at every step."""
    net.train()
    weight = torch.tensor([BACKGROUND_WEIGHT] + [1.0] * (CLASSES - 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps, pct_start=0.2)
    for step in range(steps):
        x, target = scenes("train", batch, side=side, seed=1_000_000 * (seed + 1) + step)
        optimizer.zero_grad()
        cross_entropy(net(x), target, weight).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        schedule.step()


@torch.no_grad()
def predicted(net: nn.Module, x: Tensor) -> Tensor:
    """Return the class of every pixel, in evaluation mode."""
    net.eval()
    return torch.cat([net(part).argmax(1) for part in x.split(50)])


def intersections_over_unions(found: Tensor, target: Tensor) -> list[float]:
    """Return the IoU of every class over all pixels; one that is nowhere has 1."""
    table = torch.bincount(CLASSES * target.flatten() + found.flatten(), minlength=CLASSES**2)
    table = table.view(CLASSES, CLASSES).double()
    both = table.diagonal()
    either = table.sum(0) + table.sum(1) - both
    return torch.where(either > 0, both / either.clamp_min(1), 1.0).tolist()


def mean(values: Sequence[float]) -> float:
    """Return the average."""
    return sum(values) / len(values)
