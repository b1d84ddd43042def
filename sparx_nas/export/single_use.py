"""The end of a single file: build and load the network, prepare images, name what is on them."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparx_nas.export.single_tables import (
    CLASSES,
    CROP_MODE,
    CROP_PCT,
    IMAGE_SIZE,
    INTERPOLATION,
    MEAN,
    PLAN,
    STD,
)
from sparx_nas.models.backbone import SparxBackbone

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
SHOWN = 5
"""Classes that are printed for an image."""


class Model(SparxBackbone):
    """The network with new weights, images (B, C, H, W) to logits; `drop_path` is for training."""

    def __init__(self, *, drop_path: float = 0.0) -> None:
        super().__init__(PLAN, drop_path=drop_path, backend="torch")


def load(path: str | Path = "model.safetensors", *, drop_path: float = 0.0) -> Model:
    """Build the network with the weights of a file, on the CPU and in evaluation mode.

    The file is of safetensors, or a state dict of `torch.save`.

    Raises: OSError if there is no file, ValueError or RuntimeError if it holds other weights.
    """
    model = Model(drop_path=drop_path)
    with Path(path).open("rb") as file:
        zipped = file.read(2) == b"PK"
    if zipped:
        state = torch.load(path, map_location="cpu", weights_only=True)
    else:
        state = read_safetensors(path)
    model.load_state_dict(state, strict=True)
    return model.eval()


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file by name: a JSON table of places, then the values.

    Raises: OSError if there is no file, ValueError if it is no safetensors file.
    """
    content = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    if not 8 < start <= len(content):
        raise ValueError(f"{path} is not a safetensors file")
    tensors = {}
    for name, entry in json.loads(bytes(content[8:start])).items():
        if name != "__metadata__":
            first, last = (start + offset for offset in entry["data_offsets"])
            values = torch.frombuffer(content[first:last], dtype=DTYPES[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"])
    return tensors


def prepare(image: Any) -> Tensor:
    """Turn an image of Pillow into an input (1, C, H, W), as it was done in training."""
    from PIL import Image

    image = _converted(image)
    if CROP_MODE == "square":
        left, top = ((side - min(image.size)) / 2 for side in image.size)
        box = (left, top, left + min(image.size), top + min(image.size))
        scaled = image.resize(IMAGE_SIZE[::-1], Image.Resampling[INTERPOLATION.upper()], box=box)
    else:
        scaled = image.resize(_scaled_size(*image.size), Image.Resampling[INTERPOLATION.upper()])
    fill = tuple(round(255 * value) for value in MEAN)
    input = Image.new(image.mode, IMAGE_SIZE[::-1], fill if len(fill) > 1 else fill[0])
    left, top = ((n - m) / 2 for n, m in zip(input.size, scaled.size, strict=True))
    input.paste(scaled, (round(left), round(top)))
    pixels = torch.frombuffer(bytearray(input.tobytes()), dtype=torch.uint8)
    maps = pixels.view(*IMAGE_SIZE, len(MEAN)).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    return ((maps - mean) / std).unsqueeze(0)


def _converted(image: Any) -> Any:
    """Return an image of Pillow upright, in grey or RGB: transparency over white, 16 bits by 8.

    Raises: ValueError for pixels whose range nobody knows: floating-point, or beyond 16 bits.
    """
    from PIL import Image, ImageOps

    # Pillow raises anything on broken EXIF data; the image is then taken as it is stored.
    with suppress(Exception):
        image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels of unknown range")
    if image.mode.startswith("I"):
        deep = torch.frombuffer(bytearray(image.convert("I").tobytes()), dtype=torch.int32)
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError("integer pixels beyond 16 bits")
        upper = bytes((deep >> 8).to(torch.uint8).tolist())
        image = Image.frombytes("L", image.size, upper)
    elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    image = image.convert("RGB")
    return image.convert("L") if len(MEAN) == 1 else image


def _read(path: str) -> Any:
    """Read an image file; a JPEG far larger than `IMAGE_SIZE` is reduced while it is read."""
    from PIL import Image

    with Image.open(path) as image:
        if CROP_MODE == "square":
            scale = IMAGE_SIZE[0] / min(image.size)
            image.draft("RGB", (math.ceil(image.width * scale), math.ceil(image.height * scale)))
        image.load()
        return image


def _scaled_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height to which an image is scaled before `IMAGE_SIZE` is cut out."""
    high, wide = (math.floor(side / CROP_PCT) for side in IMAGE_SIZE)
    if CROP_MODE == "squash":
        return wide, high
    if CROP_MODE == "center" and high == wide:
        shorter = min(width, height)
        return width * wide // shorter, height * high // shorter
    by = (min if CROP_MODE == "border" else max)(high / height, wide / width)
    return round(width * by), round(height * by)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the most likely classes of image files; return the exit code."""
    parser = argparse.ArgumentParser(description="Say what is on images.")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    beside = Path(__file__).with_name("model.safetensors")
    parser.add_argument("--weights", default=beside, help="(default: model.safetensors beside it)")
    asked = parser.parse_args(argv)
    if not Path(asked.weights).is_file():
        sys.stderr.write(f"error: there are no weights {asked.weights}\n")
        sys.stderr.write("hint: --weights FILE names those of a training\n")
        return 2
    try:
        model = load(asked.weights)
        for name in asked.images:
            with torch.no_grad():
                shares = model(prepare(_read(name))).softmax(1)[0]
            best = shares.topk(min(SHOWN, len(shares)))
            said = [f"{100 * s:.1f} % {_called(i)}" for s, i in zip(*best, strict=True)]
            sys.stdout.write(f"{name}: {', '.join(said)}\n")
    except ImportError:
        sys.stderr.write("error: images are read with Pillow\nhint: pip install pillow\n")
        return 2
    except (OSError, ValueError, RuntimeError) as wrong:
        sys.stderr.write(f"error: {wrong}\n")
        return 2
    return 0


def _called(number: Tensor) -> str:
    """Name a class."""
    return CLASSES[int(number)] if CLASSES else f"class {int(number)}"


if __name__ == "__main__":
    sys.exit(main())
