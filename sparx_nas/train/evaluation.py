"""Accuracy on a split, over all processes, every image counted once."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparx_nas.architecture.network import Preprocessing
from sparx_nas.data import Part
from sparx_nas.train.pipeline import Reader, Reading
from sparx_nas.train.processes import World
from sparx_nas.train.transforms import judging_transform
from sparx_nas.trial.score import Score

EVALUATION_BATCH = 128
"""Images that are judged together. Batches are cut the same way for any number of processes, so a
logit is the same to the last bit."""


@dataclass
class Judge:
    """A split to be judged on, again and again; `broken` images are left out and listed."""

    part: Part
    facts: Preprocessing
    world: World
    workers: int
    broken: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin no reading yet; workers start with the first score."""
        reading = Reading(self.part, judging_transform(self.facts), seed=None)
        pinned = self.world.device.type == "cuda"
        self.reader = Reader(reading, workers=self.workers, pinned=pinned)

    @torch.no_grad()
    def score(self, models: list[nn.Module], autocast: torch.autocast) -> list[Score]:
        """Score networks of the same inputs in evaluation mode, reading the images once.

        Their former modes are not restored.
        """
        batches = -(-len(self.part.picks) // EVALUATION_BATCH)
        found = torch.zeros(len(models), batches, 3, dtype=torch.float64)
        for model in models:
            model.eval()
        for number, x, labels in self._batches(batches):
            for row, model in zip(found, models, strict=True):
                with autocast:
                    logits = model(x)
                row[number] = _counted(logits.float(), labels)
        rows = torch.tensor(self.world.totals(found.flatten().tolist()), dtype=torch.float64)
        totals = rows.view(found.shape).sum(1)
        return [
            Score(correct=int(c), images=int(n), loss=float(loss / n))
            for c, n, loss in totals.unbind()
        ]

    def _batches(self, batches: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield the batches of this process, each with its number among all."""
        mine = range(self.world.rank, batches, self.world.size)
        positions = np.arange(len(self.part.picks))
        cut = [positions[n * EVALUATION_BATCH : (n + 1) * EVALUATION_BATCH] for n in mine]
        read = self.reader.read([(0, group) for group in cut])
        for number, batch in zip(mine, read, strict=True):
            self.broken.update(batch.broken)
            if len(batch.labels):
                x = batch.images.to(self.world.device, non_blocking=True)
                yield number, x, batch.labels.to(self.world.device, non_blocking=True)


def _counted(logits: Tensor, labels: Tensor) -> Tensor:
    """Return how many are right, how many there are, and the sum of the cross entropy."""
    right = (logits.argmax(1) == labels).sum()
    loss = cross_entropy(logits, labels, reduction="sum")
    return torch.tensor([float(right), len(labels), float(loss)], dtype=torch.float64)
