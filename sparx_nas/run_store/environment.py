"""`env.json`: where, with what and by which command a run was made."""

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from sparx_nas.ground.installed import versions

PACKAGES = (
    "sparx-nas",
    "torch",
    "torchvision",
    "timm",
    "ray",
    "optuna",
    "networkx",
    "numpy",
    "scikit-learn",
    "safetensors",
    "triton",
    "mamba-ssm",
)
"""Whose versions can change what a run finds."""
CREDENTIALS = re.compile(r"(?<=://)[^/\s]+(?=@)")


def environment(data: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Return what env.json holds: `data` as given, `device`, machine, versions, commit, command.

    Names of the user and passwords are left out: the home folder is `~`, credentials are masked.
    Graphics cards are listed if torch is imported, for that is not done here.
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": _command(sys.argv),
        "device": device,
        "data": dict(data),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cpu": _processor(),
        "cpu_count": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": _graphics_cards(),
        "versions": versions(PACKAGES),
        "git": _commit(Path(__file__).resolve().parents[2]),
    }


def masked(words: str) -> str:
    """Hide the user and password of any address."""
    return CREDENTIALS.sub("***", words)


def _command(arguments: Sequence[str]) -> list[str]:
    """Return a command line without credentials or the home folder."""
    home = str(Path.home())
    hidden = [masked(argument) for argument in arguments]
    return [word.replace(home, "~") if len(home) > 1 else word for word in hidden]


def _processor() -> str:
    """Return the processor's name; where the system hides it, its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _graphics_cards() -> list[str]:
    """Return the names of the cards that torch sees, if it is imported."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _commit(root: Path) -> dict[str, Any] | None:
    """Return the commit of a source tree and whether it was changed since; None if it has none."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    ask = [git, "-C", str(root), "describe", "--always", "--abbrev=64", "--dirty", "--exclude=*"]
    try:
        said = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    commit, _, changed = said.strip().partition("-")
    return {"commit": commit, "dirty": bool(changed)}
