"""Light augmentation, drawn from a generator so that seed and epoch decide it."""

import math

import numpy as np
import torch
from torch import Tensor

SHIFT = 1 / 8
"""Largest shift of a training image, as a share of its side."""

CROP_AREA = (0.35, 1.0)
CROP_RATIO = (3 / 4, 4 / 3)
"""Range of a random crop's area, as a share of the image's, and of its width over its height."""


def random_grid(
    rng: np.random.Generator, count: int, side: int, *, flip: bool
) -> tuple[Tensor, Tensor]:
    """Draw for every image which row and which column each output pixel is read from.

    An image is shifted by up to `SHIFT` of its side in each direction, its edge repeated, and with
    `flip` mirrored left to right half of the time. Returns rows (B, H) and columns (B, W).
    """
    reach = int(side * SHIFT)
    shift = rng.integers(-reach, reach + 1, size=(2, count, 1))
    rows, columns = np.clip(np.arange(side) + shift, 0, side - 1)
    if flip:
        mirrored = rng.random((count, 1)) < 0.5
        columns = np.where(mirrored, side - 1 - columns, columns)
    return torch.from_numpy(rows), torch.from_numpy(columns)


def read_grid(images: Tensor, picks: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Read images `picks` of (n, C, H, W) through a grid; returns (B, C, H, W), contiguous."""
    moved = images[picks[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2).contiguous()


def mirror_some(rng: np.random.Generator, images: Tensor) -> Tensor:
    """Mirror half of the images (B, C, H, W) left to right."""
    mirrored = torch.from_numpy(rng.random((len(images), 1, 1, 1)) < 0.5)
    return torch.where(mirrored, images.flip(-1), images)


def random_box(
    rng: np.random.Generator, width: int, height: int
) -> tuple[float, float, float, float]:
    """Draw a crop of random area and shape that lies within the image: left, top, right, bottom."""
    area = width * height * rng.uniform(*CROP_AREA)
    ratio = math.exp(rng.uniform(*np.log(CROP_RATIO)))
    wide = min(float(width), math.sqrt(area * ratio))
    high = min(float(height), math.sqrt(area / ratio))
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    return left, top, left + wide, top + high
