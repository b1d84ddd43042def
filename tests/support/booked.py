"""Searches whose trials nobody trains, booked in a folder as real ones are."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sparx_nas
from sparx_nas import run_store
from sparx_nas.architecture import Architecture
from sparx_nas.command.options import Given
from sparx_nas.command.stopping import Stop
from sparx_nas.search.asked.options import read_options
from sparx_nas.search.asked.places import Slots
from sparx_nas.search.asked.prepared import Search
from sparx_nas.search.asked.settings import resolve, to_config
from sparx_nas.search.booking.folder import Folder
from sparx_nas.search.booking.ledger import Ledger
from sparx_nas.search.proposing.proposals import Proposals
from sparx_nas.search.proposing.sampler import make_sampler
from sparx_nas.search.running.conductor import Conductor
from sparx_nas.search.simulating.in_process import Clock, run_in_process
from sparx_nas.search.telling.live import PlainView
from sparx_nas.trial.values import Epoch

DATA: Mapping[str, Any] = {
    "name": "made",
    "data_id": "0" * 16,
    "splits": {"train": 1079, "val": 359, "test": 359},
    "num_classes": 10,
    "in_chans": 1,
    "classes": list("0123456789"),
    "image_size": 16,
    "mean": [0.5],
    "std": [0.5],
    "commonest_class": 0.1,
    "mirrored": False,
    "source": "nowhere",
    "rule": "none",
    "notes": [],
    "streamed": False,
    "skipped": [],
    "skipped_count": 0,
}


class Booked:
    """A search of `space` in a new folder, one trial at a time; its study is in memory."""

    def __init__(self, path: Path, space: str) -> None:
        words = {"space": space, "trials": "1", "sampler": "random", "output": str(path.parent)}
        given = {key: Given(key, raw) for key, raw in words.items()}
        self.space = sparx_nas.load_space(space)
        self.settings = resolve(read_options(given), self.space, name=path.name)
        config = to_config(self.settings, self.space)
        env = run_store.environment(DATA, "cpu")
        run_store.create_folder(path, config=config, space_text=self.space.source_text, env=env)
        self.search = Search(
            settings=self.settings,
            space=self.space,
            path=path,
            slots=Slots(1, 1, 0.0, "cpu"),
            data=DATA,
            storage="",
            dashboard_lines=[],
            stop=Stop(),
            clock=Clock(),
        )
        s = self.settings
        sampler = make_sampler("random", self.space, seed=0, trials=s.trials)
        study = run_store.open_study(
            name=s.name, storage=None, objectives=s.objectives, sampler=sampler, create=True
        )
        self.proposals = Proposals(
            study, self.space, limits=s.constraints, fidelity_of=self.search.fidelity_of
        )
        self.proposals.enqueue_baselines()
        view = PlainView(s, path, [], io.StringIO())
        self.folder = Folder(self.search, self.proposals, view, lambda number: [b"weights"])
        self.ledger = Ledger(self.search, self.proposals, self.folder)

    def until(self, trials: int) -> None:
        """Go on until so many trials are trained."""
        object.__setattr__(self.settings, "trials", trials)
        conductor = Conductor(self.search, self.proposals, self.ledger)
        run_in_process(conductor, lambda p: epochs_of(p.architecture), Clock())


def epochs_of(design: Architecture) -> list[Epoch]:
    """Return one epoch, whose score the design decides."""
    drawn = int(hashlib.sha256(design.id.encode()).hexdigest()[:8], 16) / 16**8
    epoch = Epoch(
        epoch=1,
        train_loss=1.0 + drawn,
        val_loss=1.0 + drawn,
        top1=0.9 - drawn / 2,
        seconds=1.0,
        images_per_s=100.0,
    )
    return [epoch]
