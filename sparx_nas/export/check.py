"""Every form of an export scored on real images: each has to get as many right as the network."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sparx_nas.data import DataSet, open_data
from sparx_nas.errors import ExportError
from sparx_nas.export import onnx_file, program, single_file
from sparx_nas.export.comparison import Forward
from sparx_nas.export.job import Job, quiet
from sparx_nas.export.request import Check
from sparx_nas.models import load_network
from sparx_nas.network import WEIGHTS

BATCH = 64


def check_forms(job: Job, check: Check) -> dict[str, Any]:
    """Score the network and all forms in the folder, read anew, and return the counts.

    Images are prepared as in a search: the largest central square, scaled.

    Raises: ExportError with all counts if they are not equal; DataError if the data are missing or
    have other classes or channels.
    """
    data = _data(job, check)
    forms: dict[str, Forward] = {"torch": job.source.model, **_forms(job)}
    right = dict.fromkeys(forms, 0)
    images = 0
    with torch.no_grad():
        for x, labels in _batches(job, data, check):
            images += len(labels)
            for form, forward in forms.items():
                right[form] += int((forward(x).argmax(1) == labels).sum())
    if len(set(right.values())) > 1:
        counts = ", ".join(f"{form} {count}" for form, count in right.items())
        raise ExportError(f"of {images} images of {data.name} forms get unequally many: {counts}")
    said = {"data": data.name, "data_id": data.data_id, "split": check.split}
    return {**said, "images": images, "correct": right}


def _data(job: Job, check: Check) -> DataSet:
    """Open the data at the size of the forms, its values scaled as the network wants them.

    Raises: ExportError if they have other classes or channels than the network.
    """
    channels, side, wide = job.image
    if side != wide:
        raise ExportError(f"--check-data scores square images, not {side} x {wide}")
    network = job.network
    recipe = network.facts.get("recipe", {})
    seed = recipe.get("split_seed", network.facts.get("seed", 0))
    data = open_data(
        check.data,
        data_dir=check.data_dir,
        image_size=side,
        seed=seed if isinstance(seed, int) else 0,
        with_test=check.split == "test",
    )
    if (data.num_classes, data.in_chans) != (network.num_classes, channels):
        raise ExportError(
            f"{data.name} has {data.num_classes} classes and {data.in_chans} channels, the network "
            f"{network.num_classes} and {channels}"
        )
    return replace(data, mean=network.preprocessing.mean, std=network.preprocessing.std)


def _batches(job: Job, data: DataSet, check: Check) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images and labels, one by one where the batch of a form is fixed."""
    size = BATCH if job.request.dynamic_batch else 1
    return data.batches(check.split, size, seed=0, epoch=0, train=False, device="cpu")


def _forms(job: Job) -> dict[str, Forward]:
    """Return how each form that is there maps images to logits, loaded from its file."""
    return {form: READERS[form](job) for form in job.target.entries if form in READERS}


def _safetensors(job: Job) -> Forward:
    """Load the folder as this package does."""
    return load_network(job.target.folder)[0]


def _python(job: Job) -> Forward:
    """Run the single file on the weights beside it, or on those it was made of."""
    text = (job.target.folder / single_file.FILE).read_text()
    beside = job.target.folder / WEIGHTS
    forward: Forward = single_file.run_file(text).load(
        beside if beside.is_file() else job.source.weights
    )
    return forward


def _program(job: Job) -> Forward:
    """Load the program of torch.export."""
    with quiet():
        return torch.export.load(job.target.folder / program.FILE).module()


def _onnx(job: Job) -> Forward:
    """Load the file for ONNX runtimes."""
    return onnx_file.forward_of((job.target.folder / onnx_file.FILE).read_bytes())


READERS: Mapping[str, Callable[[Job], Forward]] = {
    "safetensors": _safetensors,
    "python": _python,
    "torch_export": _program,
    "onnx": _onnx,
}
