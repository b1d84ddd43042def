"""The named models, and any architecture, for `timm.create_model`.

Importing this module registers them. `sparx_nas` takes an architecture of its own:
`timm.create_model("sparx_nas", architecture="runs/…/best/arch.json")`.
"""

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import (
    build_model_with_cfg,
    generate_default_cfgs,
    get_pretrained_cfg,
    register_model,
)
from torch import nn

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.buildable import image_sides
from sparx_nas.architecture.named import NAMED, Named
from sparx_nas.architecture.network import CONFIG, Network
from sparx_nas.ground.errors import ArchitectureError, did_you_mean
from sparx_nas.models.backbone import SparxBackbone, build
from sparx_nas.models.names import renamed
from sparx_nas.models.weights import downloaded, read_state

FREE = "sparx_nas"
"""The model whose architecture is an argument."""
IN1K = "in1k"
ARCHITECTURE_FILE = "arch.json"
SHARED_CFG: Mapping[str, Any] = {
    "input_size": (3, 224, 224),
    "pool_size": (7, 7),
    "num_classes": 1000,
    "interpolation": "bicubic",
    "mean": IMAGENET_DEFAULT_MEAN,
    "std": IMAGENET_DEFAULT_STD,
    "first_conv": "patch_embed.0",
    "classifier": "classifier.3",
    "license": "apache-2.0",
}
"""What the configurations of all models have in common."""


def _cfg(entry: Named) -> dict[str, Any]:
    """Return the configuration of a named model: where weights are, how images are fed to it."""
    cfg = {**SHARED_CFG, "crop_pct": entry.crop_pct, "url": entry.url}
    if entry.timm:
        source = get_pretrained_cfg(entry.timm)
        shared = ("mean", "std", "crop_pct", "interpolation", "hf_hub_id", "license")
        cfg |= {name: getattr(source, name) for name in shared}
    return cfg


default_cfgs = generate_default_cfgs(
    {f"{name}.{IN1K}" if e.url or e.timm else name: _cfg(e) for name, e in NAMED.items()}
    | {FREE: dict(SHARED_CFG)}
)
"""What timm's registry reads of this module when a model is registered."""


TAKEN = (
    *("num_classes", "in_chans", "img_size", "global_pool", "drop_rate", "drop_path_rate"),
    *("width", "stem_stride", "backend", "device", "dtype", "features_only", "out_indices"),
    *("feature_cls", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "cache_dir"),
)
"""Arguments besides `pretrained` and `architecture`."""
SEQUENTIAL = ("list", "dict")
"""Classes of timm's feature extractors that would leave out what stands between the stages."""
NEUTRAL: Mapping[str, Any] = {
    "proj_drop_rate": 0.0,
    "attn_drop_rate": 0.0,
    "output_stride": 32,
    "strict_img_size": False,
    "dynamic_img_size": True,
    "always_partition": False,
}
"""Arguments of timm's models for what these networks have not got, and what comes to the same."""


def architecture_of(value: Any) -> Architecture:
    """Return the architecture that an argument stands for.

    An `Architecture`, its written form, the path of an arch.json, or of a folder that holds one or
    a config.json.

    Raises: ArchitectureError for anything else, or what is wrong in the file.
    """
    if isinstance(value, Architecture):
        return value
    if isinstance(value, Mapping):
        return Architecture.from_dict(value)
    if not isinstance(value, str | Path):
        raise ArchitectureError(
            "the model sparx_nas needs an architecture",
            hint='create_model("sparx_nas", architecture="runs/<name>/best/arch.json")',
        )
    path = Path(value).expanduser()
    if path.is_dir():
        found = [path / name for name in (ARCHITECTURE_FILE, CONFIG) if (path / name).exists()]
        if not found:
            raise ArchitectureError(
                f"{path}: there is no {ARCHITECTURE_FILE} and no {CONFIG} in it"
            )
        path = found[0]
    if path.name == CONFIG:
        return Network.load(path).architecture
    return Architecture.load(path)


def _model(
    architecture: Architecture,
    num_classes: int = 1000,
    in_chans: int = 3,
    *,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    global_pool: str = "avg",
    width: float = 1.0,
    stem_stride: int = 4,
    backend: str = "auto",
    img_size: int | tuple[int, int] | None = None,
    device: Any = None,
    dtype: torch.dtype | None = None,
) -> SparxBackbone:
    """Build a network with the arguments that timm's models take; 0 classes mean no classifier.

    `drop_rate` is that of dropout before the classifier. `img_size` is only looked at, for the
    network takes images of any size.

    Raises: ArchitectureError for a setting out of range.
    """
    if img_size is not None:
        image_sides(img_size)
    with torch.device(device) if device is not None else nullcontext():
        model = build(
            architecture,
            num_classes or 1,
            in_chans=in_chans,
            width=width,
            stem_stride=stem_stride,
            drop_path=drop_path_rate,
            backend=backend,
        )
    model.to(dtype=dtype)
    model.drop_rate = drop_rate
    if num_classes == 0 or global_pool != "avg":
        model.reset_classifier(num_classes, global_pool)
    return model


def _create(variant: str, architecture: Architecture, pretrained: bool, **kwargs: Any) -> nn.Module:
    """Build a model as timm does, with weights of a file or an address, or as a feature extractor.

    Weights of an address are downloaded once and checked ever after.
    """
    kwargs = _known(variant, kwargs)
    overlay = dict(kwargs.pop("pretrained_cfg_overlay", None) or {})
    cfg = kwargs.pop("pretrained_cfg", None)
    if pretrained:
        overlay |= _local_file(variant, cfg, overlay, kwargs.get("cache_dir"))
    indices = tuple(range(len(architecture.widths)))
    return build_model_with_cfg(  # type: ignore[no-any-return]
        _model,
        variant,
        pretrained,
        pretrained_cfg=cfg,
        pretrained_cfg_overlay=overlay or None,
        pretrained_filter_fn=lambda state, model: renamed(state, model.state_dict()),
        feature_cfg={"out_indices": indices, "feature_cls": "getter"},
        architecture=architecture,
        **kwargs,
    )


def _known(variant: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that are taken, without those that would change nothing here.

    Raises: ArchitectureError naming all others.
    """
    wrong = [
        f"{name} is {value!r}, which these networks have not got; it is {NEUTRAL[name]!r}"
        if name in NEUTRAL
        else f"there is no argument {name}.{did_you_mean(name, TAKEN)}"
        for name, value in given.items()
        if name not in TAKEN and (name not in NEUTRAL or value != NEUTRAL[name])
    ]
    if str(given.get("feature_cls", "getter")) in SEQUENTIAL:
        wrong.append(
            f"feature_cls is {given['feature_cls']!r}, which runs modules one after the other; it "
            "is 'getter' or 'hook'"
        )
    if wrong:
        raise ArchitectureError.of(
            variant,
            wrong,
            hint=f"taken are {', '.join(TAKEN)}; depths, widths, heads and windows are the "
            "architecture's: create_model('sparx_nas', architecture=...)",
        )
    return {name: value for name, value in given.items() if name not in NEUTRAL}


def _local_file(
    variant: str, cfg: Any, overlay: Mapping[str, Any], cache_dir: str | Path | None
) -> dict[str, Any]:
    """Return the overlay that names the local copy of a model's weights, if an address is used."""
    known = asdict(cfg) if hasattr(cfg, "to_dict") else cfg
    if known is None or isinstance(known, str):
        known = asdict(get_pretrained_cfg(known or variant))
    told = {**known, **overlay}
    if told.get("file") or told.get("state_dict") or not told.get("url"):
        return {}
    path = downloaded(told["url"], cache_dir=cache_dir)
    # Of what is no checkpoint, such as the page of a login, timm's reader does not tell the file.
    read_state(path)
    return {"file": str(path), "url": None}


def _entrypoint(name: str) -> Any:
    """Return the function that timm calls to make the model of a name."""

    def make(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        return _create(name, NAMED[name].make(), pretrained, **kwargs)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"Build {NAMED[name].about}."
    make.__module__ = __name__
    return make


def sparx_nas(pretrained: bool = False, *, architecture: Any = None, **kwargs: Any) -> nn.Module:
    """Build an architecture given as a value, its written form or a path."""
    return _create(FREE, architecture_of(architecture), pretrained, **kwargs)


for _name in NAMED:
    setattr(sys.modules[__name__], _name, register_model(_entrypoint(_name)))
register_model(sparx_nas)
