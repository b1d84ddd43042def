"""From the bytes of an image file to an RGB picture of the wanted size."""

import math
import warnings
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from sparx_nas.data.augment import random_box

NAMES = "bmp gif jfif jpe jpeg jpg pbm pgm png pnm ppm tif tiff webp"
SUFFIXES = frozenset(f".{name}" for name in NAMES.split(" "))
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def decode(file: Path | IO[bytes], side: int) -> Image.Image:
    """Decode an image file to RGB, upright; a JPEG far larger than `side` is reduced while reading.

    Raises: whatever Pillow raises on a broken file, which is not only OSError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(file, formats=FORMATS) as image:
            scale = side / min(image.size)
            image.draft("RGB", (math.ceil(image.width * scale), math.ceil(image.height * scale)))
            image.load()
            return to_rgb(upright(image))


def upright(image: Image.Image) -> Image.Image:
    """Turn and mirror an image as its EXIF orientation says, which is how viewers show it."""
    try:
        return ImageOps.exif_transpose(image)
    # Pillow raises anything on broken EXIF data; viewers then show the image as it is stored.
    except Exception:
        return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB: transparency over white, 16 bits by their upper 8.

    Raises: ValueError for pixels whose range nobody knows: floating-point, or beyond 16 bits.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels of unknown range")
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError("integer pixels beyond 16 bits")
        return Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return image.convert("RGB")


def central_square(image: Image.Image, side: int) -> Tensor:
    """Resize the largest central square to side x side; returns uint8 (3, H, W)."""
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) / 2, (height - edge) / 2
    return _resized(image, side, (left, top, left + edge, top + edge))


def random_crop(image: Image.Image, side: int, rng: np.random.Generator) -> Tensor:
    """Resize a random crop to side x side; returns uint8 (3, H, W)."""
    return _resized(image, side, random_box(rng, *image.size))


def _resized(image: Image.Image, side: int, box: tuple[float, float, float, float]) -> Tensor:
    small = image.resize((side, side), Image.Resampling.BICUBIC, box=box)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()
