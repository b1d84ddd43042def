"""Translate constructor arguments of the official SparX-Mamba into a wiring and settings.

Stands below `Architecture` and works on plain values. Argument names, defaults and limits are
facts of the public model (LMMMEng/SparX, models/sparx_mamba.py), observed by running it.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from sparx_nas.architecture.families import MambaSettings, Norm, Stem
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.architecture.patterns import StageInput, sparx
from sparx_nas.ground.errors import ArchitectureError, did_you_mean

STAGES = 4
PER_STAGE: Mapping[str, tuple[Any, ...]] = {
    "ssm_ratio": (2, 2, 2, 2),
    "mlp_ratio": (4, 4, 4, 4),
    "ls_init_value": (None, None, 1, 1),
    "sr_ratio": (8, 4, 2, 1),
}
SCALARS: Mapping[str, tuple[str, Any]] = {
    "ssm_d_state": ("state_dim", 1),
    "ssm_dt_rank": ("dt_rank", "auto"),
    "ssm_conv": ("conv_kernel", 5),
}
DENSE_KEYS = ("dense_step", "dense_start", "max_dense_depth", "cross_stage")
NORMS: Mapping[str, Norm] = {"GroupNorm": "group", "LayerNorm2d": "layer"}
ACTIVATIONS = {"SiLU": "silu", "GELU": "gelu", "ReLU": "relu"}
ELSEWHERE = ("in_chans", "num_classes", "drop_path_rate", "use_checkpoint")
"""Arguments that `build` takes, or that change no value; accepted and left out."""
COLLIDING = (
    "dim",
    "drop_path",
    "downsample",
    "dense_step",
    "dense_idx",
    "max_dense_depth",
    "cross_stage",
)
"""Keywords with which the official constructor fails, for it passes them on itself."""


def translate(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Translate constructor arguments into those of `Architecture`, without changing them.

    Raises: ArchitectureError listing everything with which the official model fails as well.
    """
    given = {name: _plain(value) for name, value in arguments.items()}
    mistakes = [
        f"{n!r} is no argument of its own; the official code fails" for n in COLLIDING if n in given
    ]
    depths = _integers(given.pop("depths", (2, 2, 5, 2)), "depths", 0, mistakes)
    if len(depths) != STAGES:
        mistakes.append(f"depths has {len(depths)} entries; the official model has {STAGES} stages")
    widths = _widths(given.pop("dims", (96, 192, 384, 768)), mistakes)
    stages = {name: _four(given.pop(name, d), name, mistakes) for name, d in PER_STAGE.items()}
    dense = _dense(given.pop("dense_config", None), mistakes)
    norm = _named(given.pop("norm_layer", "GroupNorm"), "norm_layer", NORMS, mistakes)
    acts = [
        _named(given.pop(name, default), name, ACTIVATIONS, mistakes)
        for name, default in (("ssm_act_layer", "SiLU"), ("mlp_act_layer", "GELU"))
    ]
    scalars = _scalars(given, mistakes)
    stem = _stem(given.pop("stem_type", "v1"))
    _left_over(given, mistakes)
    if not mistakes:
        mistakes += _ganglia_mistakes(depths, dense)
    if mistakes:
        raise ArchitectureError.of("official configuration", mistakes)
    graph, inputs = _wiring(depths, dense)
    return {
        "graph": graph,
        "widths": widths,
        "stem": stem,
        "mixer": MambaSettings(**scalars, act=acts[0]),
        "expand": tuple(stages["ssm_ratio"]),
        "mlp_ratio": tuple(stages["mlp_ratio"]),
        "mlp_act": acts[1],
        "norm": norm,
        "layer_scale": tuple(None if v is None else float(v) for v in stages["ls_init_value"]),
        "reductions": tuple(max(1, int(r)) for r in stages["sr_ratio"]),
        "stage_inputs": inputs,
    }


def _wiring(
    depths: Sequence[int], dense: Mapping[str, Sequence[Any]]
) -> tuple[ConnectivityGraph, tuple[StageInput, ...]]:
    """Wire the stages as `dense_config` says; a negative step means no ganglia, as upstream."""
    inputs: tuple[StageInput, ...] = tuple("window" if c else "first" for c in dense["cross_stage"])
    steps, starts, windows = (dense[key] for key in DENSE_KEYS[:3])
    graph = sparx(
        depths,
        stride=[max(step, 1) for step in steps],
        start=[s if step > 0 else d for s, step, d in zip(starts, steps, depths, strict=True)],
        window=[int(min(w, d + 1)) for w, d in zip(windows, depths, strict=True)],
        stage_input=inputs,
    )
    return graph, inputs


def _plain(value: Any) -> Any:
    """Turn arrays and scalars of numpy or torch, also inside lists and dicts, into plain values."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    is_class = isinstance(value, type)
    return value.tolist() if hasattr(value, "tolist") and not is_class else value


def _integers(value: Any, name: str, least: int, mistakes: list[str]) -> tuple[int, ...]:
    """Return a list of whole numbers."""
    if not isinstance(value, list | tuple) or any(type(v) is not int or v < least for v in value):
        mistakes.append(f"{name} is {value!r}; it is a list of whole numbers, {least} or more")
        return (least,) * STAGES
    return tuple(value)


def _widths(dims: Any, mistakes: list[str]) -> tuple[int, ...]:
    """Return four widths; one number d stands for d, 2d, 4d, 8d."""
    if type(dims) is int:
        dims = [dims * 2**i for i in range(STAGES)]
    widths = _integers(dims, "dims", 1, mistakes)
    if len(widths) < STAGES:
        mistakes.append(f"dims has {len(widths)} entries; the official model has {STAGES} stages")
    return widths[:STAGES]


def _four(value: Any, name: str, mistakes: list[str]) -> Sequence[Any]:
    """Return the first four entries of a per-stage list."""
    if not isinstance(value, list | tuple) or len(value) < STAGES:
        mistakes.append(f"{name} is {value!r}; it is a list of {STAGES}, one a stage")
        return PER_STAGE.get(name, (1,) * STAGES)
    four = value[:STAGES]
    if name.startswith("dense_config."):
        return four
    allowed = (int, float, type(None)) if name == "ls_init_value" else (int, float)
    if any(not isinstance(v, allowed) for v in four):
        mistakes.append(f"{name} is {value!r}; its entries are numbers")
        return PER_STAGE.get(name, (1,) * STAGES)
    if name == "sr_ratio" and any(not v <= 1 and type(v) is not int for v in four):
        mistakes.append(f"sr_ratio is {value!r}; a ratio above 1 is a whole number")
    return four


def _dense(value: Any, mistakes: list[str]) -> dict[str, Sequence[Any]]:
    """Return the four lists of `dense_config`, copied."""
    if not isinstance(value, Mapping):
        mistakes.append("dense_config is missing; the official code fails without it")
        return {}
    missing = [key for key in DENSE_KEYS if key not in value]
    mistakes += [f"dense_config lacks {key!r}" for key in missing]
    out = {k: _four(value[k], f"dense_config.{k}", mistakes) for k in DENSE_KEYS if k in value}
    for i in range(STAGES if not missing else 0):
        step, start, window, _ = (out[key][i] for key in DENSE_KEYS)
        if type(step) is not int or step == 0:
            mistakes.append(f"dense_step of stage {i + 1} is {step!r}; a step of 0 has no layers")
        if type(start) is not int or start < 0:
            mistakes.append(f"dense_start of stage {i + 1} is {start!r}; it is 0 or more")
        if not isinstance(window, int | float) or not window >= 1:
            fix = "it is 1 or more (a large number for no limit)"
            mistakes.append(f"max_dense_depth of stage {i + 1} is {window!r}; {fix}")
    return out


def _named(value: Any, name: str, known: Mapping[str, Any], mistakes: list[str]) -> Any:
    """Return what a class, or its name, stands for."""
    word = value if isinstance(value, str) else getattr(value, "__name__", repr(value))
    for official, ours in known.items():
        if word.lower() == official.lower():
            return ours
    mistakes.append(f"{name} is {word!r}; supported are {', '.join(known)}")
    return next(iter(known.values()))


def _stem(value: Any) -> Stem:
    """Return the stem; what is neither v1 nor v2 is v1 upstream, which deserves a warning."""
    if value not in ("v1", "v2"):
        text = f"stem_type is {value!r}; the official constructor takes that for v1"
        warnings.warn(text, stacklevel=4)
    return "v2" if value == "v2" else "v1"


def _scalars(given: dict[str, Any], mistakes: list[str]) -> dict[str, Any]:
    """Take out the settings that all stages share."""
    out = {}
    for name, (ours, default) in SCALARS.items():
        value = out[ours] = given.pop(name, default)
        if type(value) is not int and (ours, value) != ("dt_rank", "auto"):
            mistakes.append(f"{name} is {value!r}; it is a whole number")
    return out


def _left_over(given: dict[str, Any], mistakes: list[str]) -> None:
    """Sort what was not translated into left out, worth a warning, and wrong."""
    init = given.pop("ssm_init", "v0")
    if init not in ("v0", "v1", "v2"):
        mistakes.append(f"ssm_init is {init!r}; the official code has v0, v1 and v2")
    for name in ("ssm_drop_rate", "mlp_drop_rate"):
        if given.pop(name, 0):
            text = f"from_official leaves out {name}: an architecture has no dropout"
            warnings.warn(text, stacklevel=4)
    for name in given:
        if name in ELSEWHERE or name in COLLIDING:
            continue
        near = did_you_mean(name, (*PER_STAGE, *ELSEWHERE, "depths", "dims", "dense_config"))
        text = f"from_official ignores {name!r}, as the official constructor does.{near}"
        warnings.warn(text, stacklevel=4)


def _ganglia_mistakes(depths: Sequence[int], dense: Mapping[str, Sequence[Any]]) -> list[str]:
    """Refuse ganglia in stage 1, where the official bookkeeping has no stage input."""
    if dense["dense_step"][0] > 0 and dense["dense_start"][0] < depths[0]:
        return [
            f"dense_start of stage 1 is {dense['dense_start'][0]}: the official code fails on a "
            f"ganglion in stage 1; use {depths[0]} or more there, or build the wiring with "
            "sparx_nas.patterns, which allows it"
        ]
    return []
