"""What a trial costs besides its training: searches whose trials train nothing.

    python overhead.py REQUEST ANSWER

REQUEST is JSON: the space, how many trials the study has when the measured ones begin, and how many
are measured. The first ones are booked in this process, the measured ones go through Ray Tune to a
worker and back: ask, hand over, four epochs, weights, and everything that is written. ANSWER holds
seconds: `ask`, `run` and `store` of each trial, `whole` from ask to stored result, and `period`
from one stored result to the next.
"""

import contextlib
import hashlib
import itertools
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import sparx_nas
from sparx_nas.command.options import Given
from sparx_nas.search.asked.options import read_options
from sparx_nas.search.asked.settings import resolve
from sparx_nas.search.proposing.proposals import Proposal
from sparx_nas.search.running import driver, searcher
from sparx_nas.search.running.conductor import Conductor
from sparx_nas.search.simulating.in_process import Clock, run_in_process
from sparx_nas.trial.values import Epoch

SECONDS = 1.0
"""What an epoch says that it took; nobody waits for it."""


def epochs_of(design: Any, count: int) -> list[Epoch]:
    """Return made-up epochs that a design decides, so that there is a front."""
    drawn = int(hashlib.sha256(design.id.encode()).hexdigest()[:8], 16) / 16**8
    return [
        Epoch(
            epoch=i + 1,
            train_loss=2.0 + drawn - i / 10,
            val_loss=1.0 + drawn - i / 10,
            top1=0.8 - drawn / 2 + i / 100,
            seconds=SECONDS,
            images_per_s=100.0,
            top1s=(0.8 - drawn / 2 + i / 100,),
            val_losses=(1.0 + drawn - i / 10,),
        )
        for i in range(count)
    ]


class NoOp(searcher.SparxTrial):
    """A worker that trains nothing: it reports its epochs, and hands weights over."""

    def _epoch(self) -> dict[str, Any]:
        """Report the next epoch."""
        import ray

        from sparx_nas.architecture import Architecture

        told = getattr(self, "told", {})
        number = self.job["number"]
        epoch = told.get(number, 0)
        self.told = {number: epoch + 1}
        count = self.job["fidelity"]["epochs"]
        made = epochs_of(Architecture.from_dict(self.job["architecture"]), count)[epoch]
        result: dict[str, Any] = {"epoch": json.dumps(asdict(made)), "done": epoch + 1 == count}
        if result["done"]:
            result["device"] = "none"
            ray.get(self.mailbox.put.remote(number, [b"no weights"]))
        return result


class Stamps:
    """When the conductor was asked and told, by trial; it does its work in between."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def on(self) -> Any:
        """Note the times in the block."""
        ask, complete = Conductor.next, Conductor.complete

        def timed_next(conductor: Conductor, key: str) -> Proposal | None:
            start = time.perf_counter()
            proposal = ask(conductor, key)
            if proposal is not None:
                self.of[key] = {"asked": start, "got": time.perf_counter()}
            return proposal

        def timed_complete(conductor: Conductor, key: str, *rest: Any) -> None:
            self.of[key]["back"] = time.perf_counter()
            complete(conductor, key, *rest)
            self.of[key]["stored"] = time.perf_counter()

        Conductor.next, Conductor.complete = timed_next, timed_complete  # type: ignore
        try:
            yield self
        finally:
            Conductor.next, Conductor.complete = ask, complete  # type: ignore[method-assign]


def measured(space: str, before: int, count: int, folder: Path) -> dict[str, Any]:
    """Measure `count` trials in a study that has `before` of them."""
    place = ("--output", folder, "--experiment", "no-op")
    if before:
        with exchanged(driver, "run_trials", booked_here):
            search(space, before, place, None)
    stamps = Stamps()
    with exchanged(searcher, "SparxTrial", NoOp), stamps.on():
        search(space, before + count, place, folder / "no-op" if before else None)
    run = sparx_nas.load_run(folder / "no-op")
    own = [t for t in run.trials if t.state == "complete" and not t.baseline]
    assert len(own) == before + count, (len(own), before, count)
    for trial in own:
        assert trial.top1 == epochs_of(trial.architecture, len(trial.epochs))[-1].top1, trial.name
    # A first trial waits for its worker to start.
    each = [s for s in list(stamps.of.values())[1:] if "stored" in s]
    stored = sorted(s["stored"] for s in each)
    return {
        "trials_before": before,
        "study": len(run.trials),
        "ask_s": spread([s["got"] - s["asked"] for s in each]),
        "run_s": spread([s["back"] - s["got"] for s in each]),
        "store_s": spread([s["stored"] - s["back"] for s in each]),
        "whole_s": spread([s["stored"] - s["asked"] for s in each]),
        "period_s": spread([b - a for a, b in itertools.pairwise(stored)]),
    }


def search(space: str, trials: int, place: Sequence[object], resume: Path | None) -> None:
    """Search, one trial at a time."""
    loaded = sparx_nas.load_space(space)
    words = {"space": space, "trials": str(trials), "concurrency": "1"}
    words |= {"output": str(place[1]), "format": "plain"}
    given = {key: Given(key, raw) for key, raw in words.items()}
    settings = replace(resolve(read_options(given), loaded, name="no-op"), dashboard=False)
    with contextlib.redirect_stdout(sys.stderr):
        driver.run_search(settings, loaded, resume=resume)


def booked_here(asked: Any) -> None:
    """Book trials in this process, as Ray Tune would; only what a run keeps is written."""
    conductor = asked.conductor
    count = conductor.search.settings.epochs
    run_in_process(conductor, lambda p: epochs_of(p.architecture, count), Clock())


@contextlib.contextmanager
def exchanged(module: Any, name: str, other: Callable[..., Any]) -> Any:
    """Have another under a name of a module in the block."""
    own = getattr(module, name)
    setattr(module, name, other)
    try:
        yield
    finally:
        setattr(module, name, own)


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles of two or more."""
    first, median, third = statistics.quantiles(seconds, n=4)
    named = {"median": median, "quartile_1": first, "quartile_3": third}
    return {"n": len(seconds)} | {name: round(value, 5) for name, value in named.items()}


def main() -> None:
    """Measure what is asked for."""
    request = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(tempfile.mkdtemp(prefix="hour-no-op-"))
    try:
        found = measured(request["space"], request["before"], request["count"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
