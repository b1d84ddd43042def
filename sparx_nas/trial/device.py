"""Which device a name stands for, and what it is."""

import torch

from sparx_nas.ground.errors import DeviceError


def resolve_device(name: str) -> torch.device:
    """Return the torch device that `auto`, `cpu` or `cuda` stands for on this machine.

    Raises: DeviceError if a GPU is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("--device cuda: torch sees no GPU here", hint="use --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Say what a device is, in a few words."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({torch.get_num_threads()} threads)"
