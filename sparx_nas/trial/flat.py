"""The end of a training step: gradients clipped, an optimizer's step, gradients zeroed.

On a CPU parameters and gradients lie end to end in memory, so that each is one call and not one a
tensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from operator import is_, ne

import torch
from torch import Tensor, nn

from sparx_nas.kernels.fusing import parts_on

LINE = 16
"""Float32 numbers of a cache line; every parameter begins one, as if it lay alone."""


@dataclass(frozen=True, eq=False)
class _Run:
    """Parameters that lie one after another and have had gradients in the same steps.

    `first` and `end` count the parameters of a group; `begins` says where each of them begins in
    `values` and `gradient`, and at last where the run ends.
    """

    first: int
    end: int
    begins: tuple[int, ...]
    values: Tensor
    gradient: Tensor

    def part(self, first: int, end: int) -> "_Run":
        """Return a run of some of its parameters, in the same memory."""
        begins = self.begins[first - self.first : end - self.first + 1]
        start, stop = begins[0], begins[-1]
        moved = tuple(begin - start for begin in begins)
        return _Run(first, end, moved, self.values[start:stop], self.gradient[start:stop])


def update_of(
    model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
) -> "PlainUpdate | FlatUpdate":
    """Return how a fresh optimizer of a network steps: flat on a CPU, unless that is off."""
    if device.type == "cpu" and "optimiser" in parts_on():
        return FlatUpdate(optimizer)
    return PlainUpdate(model, optimizer)


class PlainUpdate:
    """Steps of an optimizer as torch takes them, tensor by tensor."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.optimizer = model, optimizer

    def step(self, clip: float) -> None:
        """Scale the gradients to a norm of at most `clip`, step, and forget them."""
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimizer.step()
        self.optimizer.zero_grad()


class FlatUpdate:
    """Steps of an optimizer whose parameters lie end to end, a buffer for each of its groups.

    Parameters stay what they were: objects, names, shapes, strides, and to whoever saves them each
    has a storage of its own. In the optimizer runs of them stand in their place, so schedules and
    hyperparameters of groups work on. Autograd adds to gradients that stay where they are, zero
    where None used to be. Which ones it added to, their version counters tell: a parameter without
    a gradient takes no part in a step, as ever. Runs are split around it, at worst into single
    parameters.

    The optimizer has not stepped yet, updates every number by itself, and has float32 parameters
    on a CPU.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        assert not optimizer.state, "the optimizer has stepped already"
        self.optimizer = optimizer
        self.groups: list[list[nn.Parameter]] = [g["params"] for g in optimizer.param_groups]
        self.parameters = [parameter for group in self.groups for parameter in group]
        self.runs = [[_laid(group)] if group else [] for group in self.groups]
        self.gradients = [
            _shaped(run.gradient, begin, parameter)
            for group, runs in zip(self.groups, self.runs, strict=True)
            for run in runs
            for parameter, begin in zip(group, run.begins[:-1], strict=True)
        ]
        for parameter, own in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = own
        self.versions = [own._version for own in self.gradients]
        self._hand_over()

    def step(self, clip: float) -> None:
        """Scale the gradients to a norm of at most `clip`, step, and zero them."""
        here = self._taken_in()
        if not all(here):
            self._split(here)
        torch.nn.utils.clip_grad_norm_(self._with_gradients(here), clip)
        self.optimizer.step()
        for runs in self.runs:
            for run in runs:
                run.gradient.zero_()

    def _taken_in(self) -> list[bool]:
        """Tell which parameters have a gradient, and have all of them in the buffers."""
        found = [parameter.grad for parameter in self.parameters]
        if not all(map(is_, found, self.gradients)):
            for place, (gradient, own) in enumerate(zip(found, self.gradients, strict=True)):
                if gradient is None:
                    self.versions[place] = own._version
                elif gradient is not own:
                    own.copy_(gradient.detach())
                self.parameters[place].grad = own
        before, self.versions = self.versions, [own._version for own in self.gradients]
        return list(map(ne, self.versions, before))

    def _with_gradients(self, here: Sequence[bool]) -> list[Tensor]:
        """Give the runs the gradients of a step, or none, and return those that have some."""
        moving, before = [], 0
        for group, runs in zip(self.groups, self.runs, strict=True):
            for run in runs:
                first = group[run.first]
                there = first.data_ptr() == run.values.data_ptr() or not first.numel()
                assert there, "the parameters have moved"
                run.values.grad = run.gradient if here[before + run.first] else None
                if run.values.grad is not None:
                    moving.append(run.values)
            before += len(group)
        return moving

    def _split(self, here: Sequence[bool]) -> None:
        """Split runs of which only some parameters have a gradient."""
        before = 0
        for number, group in enumerate(self.groups):
            self.runs[number] = [
                part
                for run in self.runs[number]
                for part in self._parts(run, here[before + run.first : before + run.end])
            ]
            before += len(group)
        self._hand_over()

    def _parts(self, run: _Run, here: Sequence[bool]) -> list[_Run]:
        """Return a run's parts that have a gradient as a whole or not at all, with their state."""
        ends = list(accumulate((len(list(same)) for _, same in groupby(here)), initial=run.first))
        if len(ends) == 2:
            return [run]
        parts = [run.part(first, end) for first, end in pairwise(ends)]
        state, start = self.optimizer.state.pop(run.values, {}), 0
        for part in parts:
            stop = start + part.begins[-1]
            if state:
                self.optimizer.state[part.values] = {
                    # Moments have a number for each of the parameters', the count of steps is one.
                    key: value[start:stop] if value.dim() else value.clone()
                    for key, value in state.items()
                }
            start = stop
        return parts

    def _hand_over(self) -> None:
        """Put the runs in the place of the parameters."""
        for group, runs in zip(self.optimizer.param_groups, self.runs, strict=True):
            group["params"] = [run.values for run in runs]


def _laid(group: Sequence[nn.Parameter]) -> _Run:
    """Move the parameters of a group into one buffer."""
    assert all(p.dtype == torch.float32 and p.device.type == "cpu" for p in group), "CPU, float32"
    begins = tuple(accumulate((-(-p.numel() // LINE) * LINE for p in group), initial=0))
    values, gradient = torch.zeros(begins[-1]), torch.zeros(begins[-1])
    for parameter, begin in zip(group, begins[:-1], strict=True):
        place = _shaped(values, begin, parameter)
        place.copy_(parameter.detach())
        parameter.data = place
    return _Run(0, len(group), begins, values, gradient)


def _shaped(buffer: Tensor, begin: int, like: Tensor) -> Tensor:
    """Return a part of a buffer in the shape and strides of a parameter."""
    # Not a view: safetensors saves no tensor that is a part of a larger storage.
    memory = torch.from_numpy(buffer.numpy()[begin : begin + like.numel()])
    return memory.as_strided(like.shape, torch.empty_like(like).stride())
