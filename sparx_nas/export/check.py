"""Every form of an export scored on real images: each has to get as many right as the network."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparx_nas.architecture.network import WEIGHTS
from sparx_nas.data import open_data
from sparx_nas.export import onnx_file, program, single_file
from sparx_nas.export.comparison import Forward
from sparx_nas.export.job import Job, quiet
from sparx_nas.export.request import Check
from sparx_nas.ground.errors import ExportError
from sparx_nas.models import load_network
from sparx_nas.train.images import open_images
from sparx_nas.train.judging import recipe_of
from sparx_nas.train.options import Options
from sparx_nas.train.pipeline import Reader, Reading
from sparx_nas.train.transforms import judging_transform

BATCH = 64


class Images(NamedTuple):
    """Images of a split as the network wants them, in batches with their labels."""

    name: str
    data_id: str
    classes: int
    channels: int
    batches: Iterator[tuple[Tensor, Tensor]]


def check_forms(job: Job, check: Check) -> dict[str, Any]:
    """Score the network and all forms in the folder, read anew, and return the counts.

    Images are prepared as they were when the network was scored: after a full training as there,
    otherwise as in a search, the largest central square, scaled.

    Raises: ExportError with all counts if they are not equal; DataError if the data are missing or
    have other classes or channels.
    """
    _, side, wide = job.image
    if side != wide:
        raise ExportError(f"--check-data scores square images, not {side} x {wide}")
    trained = job.network.facts.get("made_by") == "train"
    images = _as_trained(job, check) if trained else _as_searched(job, check)
    _check_fit(job, images)
    forms: dict[str, Forward] = {"torch": job.source.model, **_forms(job)}
    right = dict.fromkeys(forms, 0)
    count = 0
    with torch.no_grad():
        for x, labels in images.batches:
            count += len(labels)
            for form, forward in forms.items():
                right[form] += int((forward(x).argmax(1) == labels).sum())
    if len(set(right.values())) > 1:
        counts = ", ".join(f"{form} {correct}" for form, correct in right.items())
        raise ExportError(f"of {count} images of {images.name} forms get unequally many: {counts}")
    said = {"data": images.name, "data_id": images.data_id, "split": check.split}
    return {**said, "images": count, "correct": right}


def _as_searched(job: Job, check: Check) -> Images:
    """Open the data as a search does, at the size of the forms."""
    network = job.network
    seed, training = network.facts.get("seed", 0), network.facts.get("training", {})
    data = open_data(
        check.data,
        data_dir=check.data_dir,
        image_size=job.image[1],
        seed=seed if isinstance(seed, int) else 0,
        with_test=check.split == "test",
        limit=training.get("images") or None,
    )
    data = replace(data, mean=network.preprocessing.mean, std=network.preprocessing.std)
    batches = data.batches(check.split, _size(job), seed=0, epoch=0, train=False, device="cpu")
    return Images(data.name, data.data_id, data.num_classes, data.in_chans, batches)


def _as_trained(job: Job, check: Check) -> Images:
    """Open the data as `sparx-nas train --evaluate` does, at the size of the forms.

    Raises: ExportError if the data have no such split.
    """
    asked = Options(evaluate=job.source.folder, data=check.data, data_dir=check.data_dir)
    divided = open_images(check.data, check.data_dir, recipe_of(job.network, asked))
    if check.split not in divided.parts:
        raise ExportError(f"{check.data} has no {check.split} split, but {list(divided.parts)}")
    part = divided.parts[check.split]
    facts = replace(job.network.preprocessing, image_size=job.image[1:])
    reader = Reader(Reading(part, judging_transform(facts), seed=None), workers=0, pinned=False)
    positions, size = np.arange(len(part.picks)), _size(job)
    keys = [(0, positions[start : start + size]) for start in range(0, len(positions), size)]
    batches = ((batch.images, batch.labels) for batch in reader.read(keys))
    source = divided.source
    return Images(source.name, divided.data_id, len(source.classes), source.in_chans, batches)


def _check_fit(job: Job, images: Images) -> None:
    """Refuse data of other classes or channels than the network's.

    Raises: ExportError saying which.
    """
    network = job.network
    if (images.classes, images.channels) != (network.num_classes, network.in_chans):
        raise ExportError(
            f"{images.name} has {images.classes} classes and {images.channels} channels, the "
            f"network {network.num_classes} and {network.in_chans}"
        )


def _size(job: Job) -> int:
    """Return how many images go in at once; one where the batch of a form is fixed."""
    return BATCH if job.request.dynamic_batch else 1


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
