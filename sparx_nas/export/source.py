"""The trained network that is exported: a folder of one, a run's best/, or a run."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparx_nas.architecture.network import CONFIG, WEIGHTS, Network
from sparx_nas.command.typed import typed
from sparx_nas.export.paths import without_folders
from sparx_nas.ground.errors import ArchitectureError, ExportError
from sparx_nas.ground.record import read_json
from sparx_nas.models import SparxBackbone, load_network
from sparx_nas.trial.pareto import best_trial

RUN_FILE, BEST, ARCH = "config.yaml", "best", "arch.json"
"""What only a run has; its chosen design; the architecture beside that."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A network, in evaluation mode on the CPU, and the file its weights are in.

    `weights` is None for a design with new weights.
    """

    folder: Path
    network: Network
    model: SparxBackbone
    weights: Path | None


def read_source(folder: Path) -> Source:
    """Read a trained network: its folder, or a run or its best/ for the design chosen there.

    Raises: ExportError saying what the folder lacks and where to get it; ArchitectureError naming
    a file that is damaged; RunError for a run that cannot be read.
    """
    place = place_of(folder)
    network = Network.load(place) if (place / CONFIG).is_file() else _of_a_run(place)
    weights = place / WEIGHTS
    if not weights.is_file():
        raise ExportError(
            f"{place} has no {WEIGHTS}: there is nothing trained to export",
            hint="--full exports the design untrained; search with --keep-weights front, or train "
            "the design in full by sparx-nas train",
        )
    with tempfile.TemporaryDirectory() as name:
        # The pair that `load_network` reads, also where config.json is not written yet.
        network.save(name)
        (Path(name) / WEIGHTS).symlink_to(weights.resolve())
        try:
            model, _ = load_network(name)
        except ArchitectureError as cause:
            raise ArchitectureError(str(cause).replace(name, str(place))) from cause
    told = replace(network, facts=without_folders(_targeted(network, place)))
    return Source(folder=place, network=told, model=model, weights=weights)


def _targeted(network: Network, best: Path) -> Mapping[str, Any]:
    """Return a network's facts with the target of its run, which older ones do not tell."""
    run = best.resolve().parent
    if network.facts.get("made_by") != "search" or "target" in network.facts:
        return network.facts
    if not (run / RUN_FILE).is_file():
        return network.facts
    from sparx_nas.run_store import read_target

    return {**network.facts, "target": read_target(run)}


def place_of(folder: Path) -> Path:
    """Return the folder that holds the network itself: of a run, its best/.

    Raises: ExportError if it is no folder, or a run without a best design.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        hint = f"an architecture alone is exported with --full; {_HINT}"
        raise ExportError(f"{folder} {what}", hint=hint if folder.exists() else _HINT)
    if not (folder / RUN_FILE).is_file():
        return folder
    if not (folder / BEST).is_dir():
        raise ExportError(
            f"{folder} is a run without {BEST}/: no trial of it is complete",
            hint=typed("search", "--resume", folder),
        )
    return folder / BEST


_HINT = (
    f"a trained network is a folder with {CONFIG} and {WEIGHTS}, as a full training, a run's best/ "
    "or an earlier export are; a run's folder stands for its best/"
)


def _of_a_run(best: Path) -> Network:
    """Return the network of a best/ of before config.json was written there, from its run."""
    run_folder = best.resolve().parent
    if not (best / ARCH).is_file() or not (run_folder / RUN_FILE).is_file():
        raise ExportError(f"{best} has no {CONFIG}", hint=_HINT)
    # Optuna takes a second to import, and only such a run needs it.
    from sparx_nas.run_store import best_network, load_run

    run = load_run(run_folder)
    trial = best_trial(run)
    said = read_json(best / ARCH, ArchitectureError).get("id")
    if trial is None or trial.architecture.id != said:
        raise ExportError(
            f"{best} is not of the design that its run chooses now",
            hint=f"{typed('search', '--resume', run_folder)} writes it again",
        )
    return best_network(run, trial)
