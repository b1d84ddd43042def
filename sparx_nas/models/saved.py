"""Networks in folders: `config.json` beside `model.safetensors`."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from sparx_nas.architecture.network import WEIGHTS, Network
from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.ground.record import write_bytes
from sparx_nas.models.backbone import SparxBackbone, build

MOST_TOLD = 300
"""Characters of torch's own account of what does not fit."""


def save_network(folder: str | Path, network: Network, model: nn.Module) -> None:
    """Write a network and its weights into a folder; each file in one step, the weights first."""
    state = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    write_bytes(Path(folder) / WEIGHTS, bytes(save(state)))
    network.save(folder)


def load_network(folder: str | Path, *, backend: str = "auto") -> tuple[SparxBackbone, Network]:
    """Build the network of a folder, on the CPU and in evaluation mode, and load its weights.

    Raises: ArchitectureError naming the file that is missing, damaged or of another network.
    """
    network = Network.load(folder)
    model = build(network.architecture, **network.build_arguments, backend=backend)
    path = Path(folder)
    path = (path if path.is_dir() else path.parent) / WEIGHTS
    try:
        model.load_state_dict(load_file(path), strict=True)
    except FileNotFoundError as cause:
        raise ArchitectureError(f"there is no file {path}") from cause
    except ArchitectureError as cause:
        raise ArchitectureError(f"{path}: {cause}", hint=cause.hint) from cause
    except (SafetensorError, RuntimeError, OSError) as cause:
        told = " ".join(str(cause).split())
        reason = told if len(told) <= MOST_TOLD else f"{told[:MOST_TOLD]} …"
        raise ArchitectureError(f"{path} does not fit {folder}'s network: {reason}") from cause
    return model.eval(), network
