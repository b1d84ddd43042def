"""A search that can begin: everything it needs, found out once and handed on."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparx_nas.architecture import Architecture
from sparx_nas.command.stopping import Stop
from sparx_nas.cost import estimate
from sparx_nas.search.asked.places import Slots
from sparx_nas.search.asked.settings import BASELINE_SEEDS, Settings
from sparx_nas.space import SearchSpace
from sparx_nas.trial.values import Fidelity

AS_ASKED = (
    *("data", "images", "epochs", "batch_size", "image_size", "width", "stem_stride"),
    *("seed", "seeds", "statistics_images", "val_copies"),
)
"""What of a fidelity the settings say."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What every part of a running search needs.

    `path` is the run's folder, `data` describes the images as a worker saw them, `storage` is that
    of the study, `dashboard_lines` say how to open Ray's dashboard; `clock` tells seconds.
    """

    settings: Settings
    space: SearchSpace
    path: Path
    slots: Slots
    data: Mapping[str, Any]
    storage: str
    dashboard_lines: list[str]
    stop: Stop
    clock: Callable[[], float] = time.monotonic

    @property
    def fidelity(self) -> Fidelity:
        """How every candidate of the run is trained."""
        asked = {name: getattr(self.settings, name) for name in AS_ASKED}
        return Fidelity(data_id=self.data["data_id"], **asked)

    def fidelity_of(self, baseline: str) -> Fidelity:
        """How a trial is trained: as all are, a baseline by enough seeds to say what seeds do."""
        fidelity = self.fidelity
        return (
            replace(fidelity, seeds=max(BASELINE_SEEDS, fidelity.seeds)) if baseline else fidelity
        )

    def target_cost(self, architecture: Architecture) -> dict[str, Any]:
        """Count a candidate in full."""
        return self.space.cost(architecture).to_dict()

    def proxy_cost(self, architecture: Architecture) -> dict[str, Any]:
        """Count a candidate as it is trained."""
        s, chans, classes = self.settings, self.data["in_chans"], self.data["num_classes"]
        size = (s.image_size, chans, classes, s.width, s.stem_stride)
        return estimate(architecture, *size).to_dict()


def data_request(settings: Settings) -> dict[str, Any]:
    """Return the arguments with which workers open the data."""
    return {
        "name": settings.data,
        "data_dir": settings.data_dir,
        "image_size": settings.image_size,
        "seed": settings.seed,
        "limit": settings.images or None,
    }
