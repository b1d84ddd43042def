"""What runs in Ray's workers: trainings of candidates, and questions about data and device."""

import json
import socket
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from safetensors.torch import load, save

from sparx_nas.architecture import Architecture
from sparx_nas.data import DataSet, open_data
from sparx_nas.ground.errors import DataError, MachineError
from sparx_nas.ground.machine import refusal
from sparx_nas.ground.record import write_text
from sparx_nas.kernels import in_use, warm
from sparx_nas.kernels.fusing import parts_told
from sparx_nas.models import build
from sparx_nas.trial.device import device_name, resolve_device
from sparx_nas.trial.latency import Latency
from sparx_nas.trial.room import Room
from sparx_nas.trial.score import evaluate
from sparx_nas.trial.timing import measure_latency
from sparx_nas.trial.training import Recipe, Trainings
from sparx_nas.trial.values import Fidelity, name_of

ROOM = "sparx-nas-room-"
"""How the folder of a search's locks is called, before the name of the search."""
Job = dict[str, Any]
"""A trial as JSON values: number, label, architecture, fidelity, recipe, data, device, threads,
target, wants_latency. It travels as text, for Ray Tune takes nested values apart."""


class SparxTrial(tune.Trainable):  # type: ignore[misc]
    """One candidate after another; a step is an epoch.

    A training that fails, or that the machine refuses something, ends with a result that says so,
    and the worker goes on to the next.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Ask for the place of a trial; a class that Tune makes for it would hide this name."""
        return tune.PlacementGroupFactory([{"CPU": config["cpus"], "GPU": config["gpus"]}])

    def setup(self, config: dict[str, Any]) -> None:
        """Start the first candidate."""
        self.name = config["mailbox"]
        self.mailbox = ray.get_actor(self.name)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start another candidate in the same process."""
        self.job: Job = json.loads(new_config["job"])
        self.training: Trainings | None = None
        self.seconds = 0.0
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch; the last one also measures, and hands over the weights."""
        start = time.perf_counter()
        try:
            with titled(title(self.job["number"], self.job["label"])):
                result = self._epoch()
        except (OSError, DataError, MachineError) as error:
            told = refusal(error) if isinstance(error, OSError) else error
            return {"done": True, "refused": f"on {socket.gethostname()}: {told}"}
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            return {"done": True, "error": reason, "traceback": traceback.format_exc()}
        self.seconds += time.perf_counter() - start
        return result | {"seconds": self.seconds, "error": ""}

    def _epoch(self) -> dict[str, Any]:
        """Run the next epoch of the job."""
        room = None
        if self.job["wants_latency"]:
            room = room_of(self.name, resolve_device(self.job["device"]))
        with room.shared() if room else nullcontext():
            if self.training is None:
                self.training = _start(self.job)
            epoch = self.training.run_epoch()
            done = epoch.epoch == self.training.fidelity.epochs
            result: dict[str, Any] = {"epoch": json.dumps(asdict(epoch)), "done": done}
            if done:
                result["device"] = device_name(self.training.device)
                weights = [_weights(training.model) for training in self.training.each]
                ray.get(self.mailbox.put.remote(self.job["number"], weights))
        if done and room:
            result["latency"] = json.dumps(_latency(self.job, room, self.training.device).to_dict())
        return result

    def cleanup(self) -> None:
        """Let go of the network."""
        self.training = None


def look_at_data(data: Job, device: str) -> dict[str, Any]:
    """Open the data where the trials will and describe them, with device and kernels."""
    found, where = opened(**data), resolve_device(device)
    if where.type == "cuda":
        # Kernels are compiled once, before workers ask for the same ones at the same time.
        warm(where)
    kernels = f"{in_use(where.type)}, fused parts: {parts_told()}"
    return {"data": found.describe(), "device": device_name(where), "kernels": kernels}


def score_elsewhere(job: Job, weights: list[bytes]) -> tuple[list[int], int]:
    """Do what `score_on_test` does, in a worker that says so."""
    with titled(title(job["number"], f"test {job['label']}")):
        return score_on_test(job, weights)


def score_on_test(job: Job, weights: list[bytes]) -> tuple[list[int], int]:
    """Return how many of the test images each training of a candidate has right, and how many."""
    device = resolve_device(job["device"])
    torch.set_num_threads(job["threads"])
    data = opened(**job["data"], with_test=True)
    trainings, scores = _start(job), []
    for training, state in zip(trainings.each, weights, strict=True):
        training.model.load_state_dict(load(state))
        scores.append(evaluate(training.model, data, "test", batch_size=256, device=device))
    return [score.correct for score in scores], scores[0].images


def title(number: int, label: str) -> str:
    """Say trial and wiring."""
    return f"{name_of(number)}: {label}"


@contextmanager
def titled(said: str) -> Iterator[None]:
    """Show what this process does in ps, top and the Ray dashboard while the block runs."""
    # Ray keeps the title itself, so only its own functions change what is seen.
    before = ray._raylet.getproctitle()
    ray._raylet.setproctitle(f"sparx_nas {said}")
    try:
        yield
    finally:
        ray._raylet.setproctitle(before)


@lru_cache(maxsize=2)
def _open_cached(key: tuple[tuple[str, Any], ...]) -> DataSet:
    """Open data once a process."""
    return open_data(**dict(key))


def opened(**data: Any) -> DataSet:
    """Open data by JSON values, once a process; `data_dir` is a path or None.

    Raises: DataError if they cannot be had.
    """
    folder = data.pop("data_dir")
    key = {**data, "data_dir": Path(folder) if folder else None}
    return _open_cached(tuple(sorted(key.items())))


def _start(job: Job) -> Trainings:
    """Build the trainings of a job."""
    torch.set_num_threads(job["threads"])
    return Trainings(
        Architecture.from_dict(job["architecture"]),
        opened(**job["data"]),
        fidelity=Fidelity(**job["fidelity"]),
        recipe=Recipe(**job["recipe"]),
        device=resolve_device(job["device"]),
    )


def room_of(search: str, device: torch.device) -> Room:
    """Return the room in which the trials of a search share a device of this machine."""
    which = device.type
    if which == "cuda":
        which = str(torch.cuda.get_device_properties(device).uuid)
    return Room(Path(tempfile.gettempdir()) / f"{ROOM}{search}" / which)


def _latency(job: Job, room: Room, device: torch.device) -> Latency:
    """Measure the target network of a job while the other trials wait; once a design."""
    target, architecture = job["target"], Architecture.from_dict(job["architecture"])
    side, chans = target["image_size"], target["in_chans"]
    kept = room.folder / f"{architecture.id}.json"
    with room.alone():
        if kept.is_file():
            return Latency.from_dict(json.loads(kept.read_text(encoding="utf-8")))
        model = build(architecture, target["num_classes"], in_chans=chans)
        found = measure_latency(model, (chans, side, side), device)
        write_text(kept, json.dumps(found.to_dict()))
    return found


def _weights(model: torch.nn.Module) -> bytes:
    """Return a network's state as safetensors bytes."""
    state = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    return bytes(save(state))
