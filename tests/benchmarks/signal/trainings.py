"""One training, scored after every epoch, and after the last one in every way that is compared."""

import copy
import time
from dataclasses import asdict
from itertools import islice

import torch
from setting import Setting

from sparx_nas.architecture import Architecture
from sparx_nas.data import DataSet, open_data
from sparx_nas.trial.batch_norm import BATCH, reestimate
from sparx_nas.trial.score import evaluate, half_precision
from sparx_nas.trial.training import Recipe, Training
from sparx_nas.trial.values import Fidelity

CPU = torch.device("cpu")
WAYS = {
    "128": (128, False),
    "512": (512, False),
    "all": (10**9, False),
    "512 augmented": (512, True),
}
"""BatchNorm statistics from so many training images, as stored or augmented."""
EMA = 0.6
"""Weight of the average before, each epoch."""
COPIES = (1, 2, 4)
"""Augmented copies of the validation split."""


def train(setting: Setting, wiring: str, design: dict, seed: int) -> dict:
    """Train one wiring with one seed, on one thread; seconds are those of the processor."""
    torch.set_num_threads(1)
    data = open_data(
        setting.data, data_dir=None, image_size=setting.pixels, seed=0, limit=setting.images or None
    )
    training = prepared(setting, Architecture.from_dict(design), data, seed)
    average, epochs = copy.deepcopy(training.model), []
    for number in range(setting.epochs):
        start = time.process_time()
        record = training.run_epoch()
        row = {"train_loss": record.train_loss, "seconds": time.process_time() - start}
        row["running"] = [record.top1, record.val_loss]
        averaged(average, training.model, number)
        last = number == setting.epochs - 1
        row |= scored(training.model, data, seed, number, tuple(WAYS) if last else ("512",))
        if last:
            row["ema"] = scored(average, data, seed, number, ("512",))["512"]
            row |= on_copies(training.model, data)
        epochs.append(row)
    return {"setting": asdict(setting), "wiring": wiring, "seed": seed, "epochs": epochs}


def prepared(setting: Setting, design: Architecture, data: DataSet, seed: int) -> Training:
    """Return a training as a trial's, scored with running statistics."""
    fidelity = Fidelity(
        data=setting.data,
        data_id=data.data_id,
        images=setting.images,
        epochs=setting.epochs,
        batch_size=setting.batch,
        image_size=setting.pixels,
        width=setting.width,
        stem_stride=setting.stem_stride,
        seed=seed,
    )
    names = ("lr", "warmup", "smoothing", "drop_path")
    recipe = Recipe(**{name: getattr(setting, name) for name in names})
    fed = data if setting.augment else Plain(data)
    return Training(design, fed, fidelity=fidelity, recipe=recipe, device=CPU)


def scored(model, data, seed, epoch, ways) -> dict:
    """Return top-1, loss, and seconds for statistics, by how these are taken."""
    found = {}
    for way in ways:
        (count, augmented), own = WAYS[way], copy.deepcopy(model)
        start = time.process_time()
        reestimate([own], images(data, count, augmented, seed, epoch), half_precision(CPU))
        took = time.process_time() - start
        score = evaluate(own, data, "val", batch_size=256, device=CPU)
        found[way] = [score.top1, score.loss, took]
    return found


def images(data, count, augmented, seed, epoch):
    """Yield batches of training images."""
    if not augmented:
        yield from (x for x, _ in data.drawn("train", count, BATCH, device=CPU))
        return
    batches = data.batches("train", BATCH, seed=seed, epoch=epoch, train=True, device=CPU)
    yield from (x for x, _ in islice(batches, -(-count // BATCH)))


def averaged(average, model, epoch) -> None:
    """Move the average of the weights on."""
    with torch.no_grad():
        for old, new in zip(average.parameters(), model.parameters(), strict=True):
            old.copy_(new if epoch == 0 else EMA * old + (1 - EMA) * new)


def on_copies(model, data) -> dict:
    """Return top-1 and loss on augmented copies of the validation split, as a search scores."""
    own, found = copy.deepcopy(model), {}
    reestimate([own], images(data, 128, False, 0, 0), half_precision(CPU))
    for count in COPIES:
        start = time.process_time()
        score = evaluate(own, data, "val", batch_size=256, device=CPU, copies=count)
        took = time.process_time() - start
        found[f"128, {count} augmented"] = [score.top1, score.loss, took]
    return found


class Plain:
    """A data set whose training batches are shuffled and not augmented."""

    def __init__(self, data: DataSet) -> None:
        self.data = data

    def __getattr__(self, name):
        return getattr(self.data, name)

    def batches(self, split, batch_size, *, seed, epoch, train, device):
        """Yield batches as `DataSet.batches` does, but for the augmentation."""
        if not train:
            yield from self.data.batches(
                split, batch_size, seed=seed, epoch=epoch, train=False, device=device
            )
            return
        whole = list(self.data.batches(split, 512, seed=0, epoch=0, train=False, device=device))
        x, y = (torch.cat(parts) for parts in zip(*whole, strict=True))
        generator = torch.Generator().manual_seed(1000 * seed + epoch)
        order = torch.randperm(len(y), generator=generator)
        for i in range(self.data.batch_count(split, batch_size, train=True)):
            pick = order[i * batch_size : (i + 1) * batch_size]
            yield x[pick], y[pick]
