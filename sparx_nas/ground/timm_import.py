"""Make timm importable where torchvision's compiled operators cannot be loaded.

The default torchvision wheel needs CUDA libraries; beside a CPU build of torch its operators stay
unregistered and its import fails, and timm's with it. Declaring the two operators that the import
mentions is enough; calling them still ends in torchvision's own error.
"""

import functools
import importlib.util
import sys
from pathlib import Path

import torch

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def prepare_timm() -> None:
    """Call before importing timm or torchvision, in every process; again changes nothing."""
    if "torchvision" not in sys.modules:
        _declared_operators()


@functools.cache
def _declared_operators() -> torch.library.Library | None:
    """Declare what could not be loaded; the cache keeps the declarations alive."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or _compiled_loads([Path(p) for p in spec.submodule_search_locations or ()]):
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name, schema in SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
    return library


def _compiled_loads(folders: list[Path]) -> bool:
    files = [file for folder in folders for file in sorted(folder.glob("_C*")) if file.is_file()]
    try:
        for file in files:
            torch.ops.load_library(file)
    except OSError:
        return False
    return bool(files)
