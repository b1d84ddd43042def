"""How the forms of an export are loaded: programs to copy, for the files that are there."""

from collections.abc import Callable, Mapping
from textwrap import fill

from sparx_nas.architecture.network import Network, Preprocessing
from sparx_nas.export.job import Job

WRAP = 96
"""Columns of the text of a card."""


TRAINING = """\
import torch

from model import Model, load

model = Model(drop_path=0.1)  # new weights, in training mode
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)

images, labels = {images}.repeat(2, 1, 1, 1), torch.tensor([0, 0])  # your data
loss = torch.nn.functional.cross_entropy(model(images), labels)
loss.backward()
optimizer.step()

torch.save(model.state_dict(), "weights.pt")
model = load("weights.pt")  # evaluation mode"""
"""A step of a training, which a reader puts into a loop over data."""


def usage(job: Job) -> str:
    """Return how to prepare images, and a program for every form that was made."""
    parts = [_preparing(job.network.preprocessing)]
    for form, (heading, write) in WAYS.items():
        if form in job.target.entries:
            parts.append(f"{heading}:\n\n```python\n{write(job)}\n```")
    if len(parts) == 1:
        parts.append("No other form was exported beside this card.")
    return "\n\n".join(parts)


def _preparing(given: Preprocessing) -> str:
    """Say how an image becomes an input."""
    high, wide = given.image_size
    sides = f"{high} x {wide}"
    if given.crop_mode == "squash":
        cut = f"scale both sides to {sides} ({given.interpolation})"
    elif given.crop_pct == 1 and high == wide:
        cut = f"scale the largest central square to {sides} ({given.interpolation})"
    else:
        cut = (
            f"resize so that a central crop of {given.crop_pct:g} is left ({given.interpolation}), "
            f"cut {sides}"
        )
    mean, std = (", ".join(f"{v:.6g}" for v in values) for values in (given.mean, given.std))
    return fill(
        f"Input is (B, C, H, W), float32. From an image: {cut}, divide by 255, subtract the mean "
        f"({mean}), divide by the standard deviation ({std}). Output is logits.",
        WRAP,
        break_on_hyphens=False,
    )


def _sparx_nas(job: Job) -> str:
    """Load with this package."""
    return "\n".join(
        [
            "import torch",
            "",
            "from sparx_nas.models import load_network",
            "",
            'model, network = load_network(".")  # this folder',
            f"logits = model({_example(job)})",
        ]
    )


def _timm(job: Job) -> str:
    """Load through timm's registry."""
    network = job.network
    return "\n".join(
        [
            "import sparx_nas.models  # registers its names, and comes before timm",
            "import timm",
            "",
            "model = timm.create_model(",
            '    "sparx_nas",',
            '    architecture="arch.json",',
            '    checkpoint_path="model.safetensors",',
            *(f"    {name}={value!r}," for name, value in _arguments(network).items()),
            ")",
        ]
    )


def _arguments(network: Network) -> dict[str, object]:
    """Return what timm has to be told; what is as published is left out."""
    published = {"in_chans": 3, "width": 1.0, "stem_stride": 4}
    given = network.build_arguments
    return {name: value for name, value in given.items() if published.get(name) != value}


def _both(job: Job) -> str:
    """Load safetensors in this package, and through timm."""
    return f"{_sparx_nas(job)}\n```\n\nThrough timm:\n\n```python\n{_timm(job)}"


def _single_file(job: Job) -> str:
    """Load with the one file, in a process that has torch alone; train it if it is new."""
    if job.source.weights is None:
        return TRAINING.format(images=_example(job))
    return "\n".join(
        [
            "import torch",
            "",
            "from model import load",
            "",
            'model = load("model.safetensors")',
            f"logits = model({_example(job)})",
        ]
    )


def _onnx(job: Job) -> str:
    """Load in onnxruntime."""
    batch, *image = 1, *job.image
    return "\n".join(
        [
            "import numpy as np",
            "import onnxruntime",
            "",
            'session = onnxruntime.InferenceSession("model.onnx")',
            f"images = np.zeros(({batch}, {', '.join(map(str, image))}), np.float32)",
            '(logits,) = session.run(["logits"], {"images": images})',
        ]
    )


def _program(job: Job) -> str:
    """Load with torch.export."""
    return "\n".join(
        [
            "import torch",
            "",
            'model = torch.export.load("model.pt2").module()',
            f"logits = model({_example(job)})",
        ]
    )


def _example(job: Job) -> str:
    """Write a batch of one image as an expression."""
    return f"torch.zeros(1, {', '.join(map(str, job.image))})"


WAYS: Mapping[str, tuple[str, Callable[[Job], str]]] = {
    "safetensors": ("With sparx_nas", _both),
    "python": ("As one file, with torch alone", _single_file),
    "onnx": ("In onnxruntime", _onnx),
    "torch_export": ("As a program of torch.export", _program),
}
"""By form: what the way is called, and the program."""
