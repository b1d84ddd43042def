"""A trained trial of a run: the network with its weights, and validation images."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sparx_nas.data import DataSet, open_data
from sparx_nas.data.splits import take_stratified
from sparx_nas.data.store import MemoryStore
from sparx_nas.ground.errors import ArchitectureError, RunError
from sparx_nas.importance.measures import Batches
from sparx_nas.models import SparxBackbone, build
from sparx_nas.run_store import load_run, weights_path
from sparx_nas.trial.score import channels_last
from sparx_nas.trial.values import Fidelity, Run, TrialRecord

BATCH = 64
SPLIT = "val"
DRAW_STREAM = 4
"""Second seed of the draw of images; `data.splits` has those before."""


def trained_trial(path: Path, number: int) -> tuple[Run, TrialRecord]:
    """Return a trial of a run that is trained, has ganglia, and whose weights were kept.

    Raises: RunError if the run or the trial is not there or not so; ArchitectureError if the trial
    has no ganglion layer.
    """
    run = load_run(path)
    trial = next((t for t in run.trials if t.number == number), None)
    if trial is None:
        last = max((t.number for t in run.trials), default=None)
        has = "it has none yet" if last is None else f"its trials are 0 to {last}"
        raise RunError(f"{path} has no trial {number}; {has}", hint=_kept(path, run))
    if trial.state != "complete":
        of = trial.duplicate_of
        state = trial.state if of is None else f"a duplicate of trial {of}"
        reason = f"trial {number} of {path} is not trained: it is {state}"
        raise RunError(reason, hint=_kept(path, run))
    if not trial.architecture.graph.ganglia:
        raise ArchitectureError(
            f"trial {number} of {path} has no ganglion layer, so it aggregates no edges",
            hint=_kept(path, run),
        )
    if not weights_path(path, trial.architecture.id).exists():
        raise RunError(
            f"{path}: the weights of trial {number} were not kept",
            hint=f"search with --keep-weights all; {_kept(path, run)}",
        )
    return run, trial


def data_of(run: Run, trial: TrialRecord) -> DataSet:
    """Open the data that a trial was trained on, without the test split.

    Raises: RunError with both hashes if they changed since; DataError if they are missing.
    """
    fidelity = fidelity_of(trial)
    folder = run.config.get("data_dir")
    # The run knows where its images are now, the trial where they were.
    data = open_data(
        run.config.get("data") or fidelity.data,
        data_dir=Path(folder) if folder else None,
        image_size=fidelity.image_size,
        seed=fidelity.seed,
        limit=fidelity.images or None,
    )
    if data.data_id != fidelity.data_id:
        raise RunError(
            f"{run.path}: the data changed since the run began "
            f"(hash {fidelity.data_id}, now {data.data_id})",
            hint="bring the old data back, or start a new run",
        )
    return data


def network_of(run: Run, trial: TrialRecord, data: DataSet, device: torch.device) -> SparxBackbone:
    """Build the network of a trial as it was trained, with the weights it ended with.

    Raises: RunError naming the file if it does not hold the weights of this network.
    """
    fidelity = fidelity_of(trial)
    model = build(
        trial.architecture,
        data.num_classes,
        in_chans=data.in_chans,
        width=fidelity.width,
        stem_stride=fidelity.stem_stride,
    )
    file = weights_path(Path(run.path), trial.architecture.id)
    try:
        model.load_state_dict(load_file(file))
    except (SafetensorError, RuntimeError, OSError) as cause:
        reason = str(cause).splitlines()[0]
        raise RunError(f"{file}: not the weights of trial {trial.number}: {reason}") from cause
    return model.to(device).eval()


def validation_batches(data: DataSet, images: int, *, seed: int, device: torch.device) -> Batches:
    """Return at most so many validation images with their labels, on the device.

    Each class has its share, drawn by the seed; a split with fewer images is taken whole, and
    broken files are left out. All stay in memory, at 4 bytes a value.
    """
    store = data.stores[SPLIT]
    count = min(images, len(store.labels))
    picks, _ = take_stratified(store.labels.numpy(), count, seed=seed, stream=DRAW_STREAM)
    groups = [picks[start : start + BATCH] for start in range(0, count, BATCH)]
    read = list(store.read(groups, motion=None, device=torch.device("cpu"), workers=0))
    pixels, labels = (torch.cat(parts) for parts in zip(*read, strict=True))
    drawn = replace(data, stores={SPLIT: MemoryStore(pixels, labels)})
    return [
        (channels_last(x), y)
        for x, y in drawn.batches(SPLIT, BATCH, seed=0, epoch=0, train=False, device=device)
    ]


def fidelity_of(trial: TrialRecord) -> Fidelity:
    """Return how a complete trial was trained."""
    assert trial.fidelity is not None, "a complete trial has a fidelity"
    return trial.fidelity


def _kept(path: Path, run: Run) -> str:
    """List the trials whose edges can be measured."""
    able = ", ".join(str(number) for number in _able(path, run))
    return f"trials whose edges can be measured: {able or 'none'}"


def _able(path: Path, run: Run) -> Iterator[int]:
    """Yield the numbers of trained trials that have ganglia and weights."""
    for trial in run.trials:
        kept = weights_path(path, trial.architecture.id).exists()
        if kept and trial.state == "complete" and trial.architecture.graph.ganglia:
            yield trial.number
