"""What is to be trained: an architecture by its file, its folder or its name."""

from pathlib import Path

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.named import named
from sparx_nas.architecture.network import CONFIG, Network
from sparx_nas.ground.errors import ArchitectureError

ARCH = "arch.json"
RUN_CONFIG = "config.yaml"


def read_architecture(path: Path) -> Architecture:
    """Return an architecture: of a file, a folder with an arch.json, a trained network, a name.

    Raises: ArchitectureError if there is none.
    """
    if not path.exists() and path.parent == Path():
        return named(path.name)
    if path.is_dir():
        if (path / ARCH).exists():
            return Architecture.load(path / ARCH)
        if (path / CONFIG).exists():
            return Network.load(path).architecture
        hint = "a run has one in best/" if (path / RUN_CONFIG).exists() else "give its arch.json"
        raise ArchitectureError(f"{path} holds no {ARCH}", hint=hint)
    if not path.exists():
        raise ArchitectureError(
            f"there is no architecture {path}", hint="--arch takes an arch.json or its folder"
        )
    return Network.load(path).architecture if path.name == CONFIG else Architecture.load(path)
