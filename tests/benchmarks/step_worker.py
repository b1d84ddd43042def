"""One variant of a trial's training: told over its input when to go on, it says what a step took.

`step.py` starts it, with some checkout of the package first on PYTHONPATH. It runs the package's
own epochs and looks at its clock where data, loss, backward pass and optimizer begin and end, so
that it times an older state of the package just as well. It reads a line a command (`step`;
`count`, a step with its operators counted; `score`, the end of an epoch) and answers with a line of
JSON.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

import sparx_nas
from sparx_nas.architecture import Architecture
from sparx_nas.data import open_data
from sparx_nas.trial.training import Recipe, Training
from sparx_nas.trial.values import Fidelity

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
CPU = torch.device("cpu")


class Watch:
    """What the phases of the step under way took."""

    def __init__(self, clock: str) -> None:
        self.now = CLOCKS[clock]
        self.begin()

    def begin(self) -> None:
        """Begin a step."""
        self.took: dict[str, float] = {}
        self.last = self.now()

    def end(self, phase: str) -> None:
        """End a phase, or a part of it; the next one has begun."""
        now = self.now()
        self.took[phase] = self.took.get(phase, 0.0) + 1e3 * (now - self.last)
        self.last = now

    def phases_ms(self) -> dict[str, float]:
        """Return what each phase took, and all together."""
        return self.took | {"step": sum(self.took.values())}


class Watched:
    """The data of a training, which hand out a batch when they are told to."""

    def __init__(self, data: Any, watch: Watch) -> None:
        self.data, self.watch, self.losses = data, watch, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    def batches(self, split: str, *args: Any, train: bool, **more: Any) -> Iterator[Any]:
        """Yield batches; of the training split until the command is to score."""
        if not train:
            yield from self.data.batches(split, *args, train=train, **more)
            return
        while True:
            for_an_epoch = self.data.batches(split, *args, train=train, **more)
            while (command := sys.stdin.readline().strip()) in ("step", "count"):
                with Counting(command == "count") as counting:
                    self.watch.begin()
                    batch = next(for_an_epoch, None)
                    if batch is None:
                        for_an_epoch = self.data.batches(split, *args, train=train, **more)
                        batch = next(for_an_epoch)
                    self.watch.end("data")
                    yield batch
                    self.watch.end("zeroing")
                answer(self.watch.phases_ms() | {"loss": self.losses[-1]} | counting.found)
            if command != "score":
                raise SystemExit
            self.watch.begin()
            return


class Counting:
    """Counts operators within a block, by name, if it is to."""

    def __init__(self, wanted: bool) -> None:
        self.profile = profile(activities=[ProfilerActivity.CPU]) if wanted else None
        self.found: dict[str, Any] = {}

    def __enter__(self) -> "Counting":
        if self.profile:
            self.profile.__enter__()
        return self

    def __exit__(self, *reason: Any) -> None:
        if self.profile:
            self.profile.__exit__(*reason)
            counts = Counter({e.key: e.count for e in self.profile.key_averages()})
            self.found = {"operators": sum(counts.values()), "most": dict(counts.most_common(25))}


def answer(said: dict[str, Any]) -> None:
    """Answer a command."""
    print(json.dumps(said), flush=True)


def watched(training: Training, watch: Watch) -> None:
    """Have a training look at the watch."""
    data = training.data = Watched(training.data, watch)
    loss, backward = training.loss, torch.Tensor.backward

    def timed_loss(*args: Any) -> torch.Tensor:
        value = loss(*args)
        data.losses.append(float(value.detach()))
        watch.end("forward")
        return value

    def timed_backward(self: torch.Tensor, *args: Any, **more: Any) -> None:
        watch.end("zeroing")
        backward(self, *args, **more)
        watch.end("backward")

    training.loss = timed_loss
    torch.Tensor.backward = timed_backward
    training.optimizer.register_step_pre_hook(lambda *_: watch.end("clip"))
    training.optimizer.register_step_post_hook(lambda *_: watch.end("optimiser"))


def main() -> None:
    """Train until the input ends."""
    told = json.loads(sys.stdin.readline())
    torch.set_num_threads(told["threads"])
    watch = Watch(told["clock"])
    fidelity = Fidelity(**told["fidelity"])
    data = open_data(
        fidelity.data,
        data_dir=None,
        image_size=fidelity.image_size,
        seed=told["split_seed"],
        limit=fidelity.images or None,
    )
    watch.begin()
    training = Training(
        Architecture.from_dict(told["design"]),
        data,
        fidelity=fidelity,
        recipe=Recipe(**told["recipe"]),
        device=CPU,
    )
    watch.end("building")
    answer({"package": sparx_nas.__file__} | watch.phases_ms())
    watched(training, watch)
    while True:
        scored = training.run_epoch()
        watch.end("evaluation")
        answer(watch.phases_ms() | {"val_loss": scored.val_loss, "top1": scored.top1})


if __name__ == "__main__":
    main()
