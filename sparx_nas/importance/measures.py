"""Three measures of how much an aggregated edge matters, on the same images.

Letters: B batch, C width, E = C * sources, H x W map, g = C // GROUPS channels of an attention's
group. Everything is in evaluation mode and in float32.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparx_nas.importance.ganglia import Ganglion, scaled, watched
from sparx_nas.kernels import fusing
from sparx_nas.models.aggregator import GROUPS

Batches = Sequence[tuple[Tensor, Tensor]]
"""Images (B, in_chans, H, W) and labels (B)."""
DEPTHWISE, NORM, ACTIVATION, POINTWISE = range(4)
"""Where the parts of a ganglion's d_proj stand; a second activation comes last."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What one aggregated edge came to; layers are named `stage.layer`.

    `mass` and `gradient` are shares of the target's sources, which sum to 1 (to 0 where nothing is
    read from any). `gradient_raw` is in nats an image. `ablation_top1` in [-1, 1] is the top-1 that
    is lost without the edge, `ablation_nll` the nats an image; below 0 the network gains.
    `ablation_nll_error` is the standard error of that mean over the images.
    """

    source: str
    target: str
    mass: float
    gradient: float
    gradient_raw: float
    ablation_top1: float
    ablation_nll: float
    ablation_nll_error: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How many images were right, and the negative log-likelihood of each in nats."""

    correct: int
    nlls: tuple[float, ...]

    @property
    def images(self) -> int:
        """How many images were scored."""
        return len(self.nlls)

    @property
    def nll(self) -> float:
        """The mean in nats an image."""
        return fmean(self.nlls)

    @property
    def top1(self) -> float:
        """Share of images whose class came first, in [0, 1]."""
        return self.correct / self.images


def measure(
    model: nn.Module,
    found: Sequence[Ganglion],
    batches: Batches,
    *,
    step: Callable[[], None] = lambda: None,
) -> tuple[Outcome, list[Edge]]:
    """Return the network's outcome with all edges, and what each edge came to.

    `step` is called after every edge. Costs one pass over the images an edge, and two more. All
    passes let aggregators and norms be modules, for those of a ganglion without an edge have
    to, and what an edge comes to is no difference in rounding.
    """
    with fusing.only(*(fusing.parts_on() - {"aggregator", "norm"})):
        return _measured(model.eval(), found, batches, step)


def _measured(
    model: nn.Module, found: Sequence[Ganglion], batches: Batches, step: Callable[[], None]
) -> tuple[Outcome, list[Edge]]:
    """Measure as `measure` does, with the parts that are on."""
    whole = outcome(model, batches)
    masses = mass(model, found, batches)
    gradients = gradient(model, found, batches)
    edges = []
    for ganglion, of_mass, of_gradient in zip(found, masses, gradients, strict=True):
        shares = zip(_shares(of_mass), _shares(of_gradient), of_gradient.tolist(), strict=True)
        for i, (mass_share, gradient_share, raw) in enumerate(shares):
            with scaled(ganglion, i, 0):
                without = outcome(model, batches)
            edges.append(
                Edge(
                    source=ganglion.sources[i],
                    target=ganglion.name,
                    mass=mass_share,
                    gradient=gradient_share,
                    gradient_raw=raw,
                    ablation_top1=(whole.correct - without.correct) / whole.images,
                    ablation_nll=without.nll - whole.nll,
                    ablation_nll_error=_error(without.nlls, whole.nlls),
                )
            )
            step()
    return whole, edges


@torch.no_grad()
def outcome(model: nn.Module, batches: Batches) -> Outcome:
    """Score a network as it is, hooks and all."""
    correct: int = 0
    nlls: list[float] = []
    for x, labels in batches:
        logits = model(x)
        nlls += cross_entropy(logits.double(), labels, reduction="none").tolist()
        correct += int((logits.argmax(1) == labels).sum())
    return Outcome(correct=correct, nlls=tuple(nlls))


def _error(after: Sequence[float], before: Sequence[float]) -> float:
    """Return the standard error of the mean change, image by image; 0 of a single image."""
    changes = [a - b for a, b in zip(after, before, strict=True)]
    return stdev(changes) / math.sqrt(len(changes)) if len(changes) > 1 else 0.0


@torch.no_grad()
def mass(model: nn.Module, found: Sequence[Ganglion], batches: Batches) -> list[Tensor]:
    """Return the learnt DMCA mass (sources,) of every ganglion, not normalised.

    The attention's column mass of a channel is how much of all that is read comes from it. It is
    carried back along |weights|: through `v`, with its BatchNorm, and the value half of d_proj's
    1x1 map to the context's channels, so the norm of a source's block of columns counts. What lies
    between keeps channels apart and is left out, as are biases and the half that makes keys.
    """
    modules: dict[Hashable, nn.Module] = {
        (i, name): getattr(ganglion.op, name)
        for i, ganglion in enumerate(found)
        for name in ("q", "k")
    }
    columns: list[Any] = [0.0] * len(found)
    with watched(modules) as seen:
        for x, _ in batches:
            model(x)
            for i in range(len(found)):
                columns[i] = columns[i] + column_mass(seen[i, "q"], seen[i, "k"]).sum(0)
    return [_carried_back(g, total) for g, total in zip(found, columns, strict=True)]


def column_mass(query: Tensor, key: Tensor) -> Tensor:
    """Return (B, C): how much of what its group reads comes from each channel; a group sums to 1.

    query, key (B, C, H', W'). Source: arXiv 2409.09649, sec. 3.3, as `kernels.channel_attention`.
    """
    group = query.shape[1] // GROUPS
    q, k = (t.flatten(2).unflatten(1, (-1, group)) for t in (query, key))
    weights = torch.softmax((q @ k.transpose(2, 3)) * q.shape[3] ** -0.5, dim=3)
    columns: Tensor = weights.mean(2).flatten(1)
    return columns


def gradient(model: nn.Module, found: Sequence[Ganglion], batches: Batches) -> list[Tensor]:
    """Return |sum of gradient x activation| (sources,) of every ganglion, in nats an image.

    Taken of each image's own cross entropy and where a source's slice enters d_proj, so it is how
    fast an image's loss moves as that slice is scaled; then averaged over the images.
    Source: arXiv 1611.06440, eq. 9, for a slice instead of a channel.
    """
    totals: list[Any] = [0.0] * len(found)
    images = 0
    with watched({i: ganglion.op.d_norm for i, ganglion in enumerate(found)}) as seen:
        for x, labels in batches:
            # The sum: an image's activations move its own loss only, so each gets its gradient.
            loss = cross_entropy(model(x), labels, reduction="sum")
            maps = [seen[i] for i in range(len(found))]
            for i, gradients in enumerate(torch.autograd.grad(loss, maps)):
                moved = (gradients * maps[i].detach()).unflatten(1, (-1, found[i].width))
                totals[i] = totals[i] + moved.sum((2, 3, 4)).abs().sum(0)
            images += len(labels)
    return [total / images for total in totals]


def _carried_back(ganglion: Ganglion, columns: Tensor) -> Tensor:
    """Share the mass of value channels (C,) out among the sources (sources,)."""
    C, op = ganglion.width, ganglion.op
    conv, norm = op.v
    scale = norm.weight.abs() * (norm.running_var + norm.eps).rsqrt()
    to_values = conv.weight[:, :, 0, 0].abs()
    to_context = op.d_proj[POINTWISE].weight[C:, :, 0, 0].abs()
    carried = (columns * scale) @ to_values @ to_context
    shared: Tensor = carried.unflatten(0, (-1, C)).sum(1)
    return shared


def _shares(values: Tensor) -> list[float]:
    """Divide values by their sum, if there is any."""
    total = values.double().sum()
    return [0.0] * len(values) if total == 0 else (values.double() / total).tolist()
