"""A design that is exported untrained: built at full size, for a training script of one's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from sparx_nas.architecture.network import CONFIG, Network, Preprocessing
from sparx_nas.export.paths import without_folders
from sparx_nas.export.request import Request
from sparx_nas.export.source import RUN_FILE, Source, place_of
from sparx_nas.ground.errors import ExportError
from sparx_nas.models import build
from sparx_nas.run_store import DATA_FACTS, read_config, read_env, read_target
from sparx_nas.run_store.folder import ENV
from sparx_nas.space.fields import USUAL_TARGET
from sparx_nas.train.design import read_architecture
from sparx_nas.train.recipe import IMAGENET_MEAN, IMAGENET_STD

FULL = "full"
DESIGN = "design"
"""What the facts of a network say it was made by whose weights are untrained."""
SEED = 0
"""Of the new weights, which only a form that holds weights keeps."""


USUAL = Preprocessing(
    image_size=(USUAL_TARGET["image_size"],) * 2, mean=IMAGENET_MEAN, std=IMAGENET_STD
)
"""How images are fed where nothing is known of them."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of the images that a design is for; of a bare architecture, what is usual."""

    preprocessing: Preprocessing = USUAL
    classes: tuple[str, ...] = ()
    num_classes: int | None = None
    in_chans: int = USUAL_TARGET["in_chans"]
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_design(request: Request) -> Source:
    """Build a design at full size with new weights.

    It is that of a run or its best/, of a network's folder, of an arch.json, or one with a name.
    Images and classes are those of the run's target and data, or of the network.

    Raises: ExportError if nothing says how many classes there are, or the folder holds no design;
    ArchitectureError for a file that is none; RunError for a run that cannot be read.
    """
    assert request.full is not None, "a design is asked for"
    path = place_of(request.folder) if request.folder.is_dir() else request.folder
    architecture, known = read_architecture(path), _known(path)
    classes = request.full.classes or known.num_classes
    channels = request.full.in_chans or known.in_chans
    if classes is None:
        raise ExportError(
            f"{request.folder} does not say how many classes to tell apart",
            hint="--classes N, as many as your data have",
        )
    fed = _fed(known.preprocessing, channels)
    network = Network(
        architecture=architecture,
        num_classes=classes,
        in_chans=channels,
        classes=known.classes if len(known.classes) == classes else (),
        preprocessing=replace(fed, image_size=request.image_size or fed.image_size),
        facts=without_folders({**known.facts, "made_by": DESIGN, "seed": SEED}),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = build(architecture, **network.build_arguments).eval()
    return Source(folder=path, network=network, model=model, weights=None)


def default_folder(source: Source) -> Path:
    """Return where a design goes if nobody says: below its folder, or beside its file."""
    if source.folder.is_dir():
        return source.folder / FULL
    return source.folder.with_name(f"{source.folder.stem}-{FULL}")


def _known(path: Path) -> Known:
    """Return what a run around a design says of its images, or else the network in its folder."""
    around = [*path.resolve().parents[:2]]
    run = next((folder for folder in around if (folder / RUN_FILE).is_file()), None)
    if run is not None:
        return _of_run(run)
    config = path / CONFIG if path.is_dir() else path
    if config.name != CONFIG or not config.is_file():
        return Known()
    network = Network.load(config)
    target = network.facts.get("target", {})
    side = target.get("image_size")
    fed = network.preprocessing
    return Known(
        preprocessing=replace(fed, image_size=(side, side)) if side else fed,
        classes=network.classes,
        num_classes=network.num_classes,
        in_chans=network.in_chans,
        facts={"target": target} if target else {},
    )


def _of_run(run: Path) -> Known:
    """Return the target's image size, and the classes and channels of a run's data."""
    data, target = read_env(run).get("data", {}), read_target(run)
    missing = [name for name in DATA_FACTS if name not in data]
    if missing:
        raise ExportError(f"{run / ENV}: data has no {', no '.join(map(repr, missing))}")
    side = target["image_size"]
    return Known(
        preprocessing=Preprocessing(image_size=(side, side), mean=data["mean"], std=data["std"]),
        classes=tuple(data["classes"]),
        num_classes=len(data["classes"]),
        in_chans=data["in_chans"],
        facts={"run": run.name, "space": read_config(run).get("space", ""), "target": target},
    )


def _fed(known: Preprocessing, channels: int) -> Preprocessing:
    """Return how images of so many channels are fed, with the usual numbers where none fit."""
    if len(known.mean) == channels:
        return known
    if channels == len(IMAGENET_MEAN):
        return replace(known, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return replace(known, mean=(0.5,) * channels, std=(0.5,) * channels)
