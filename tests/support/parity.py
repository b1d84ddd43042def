"""The parity fixtures: reading them, and giving a network the weights they were computed with."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparx_nas import Architecture, build
from sparx_nas.models.dense import DenseBackbone

FOLDER = Path(__file__).parents[1] / "fixtures" / "parity"
HEAD_ARGUMENTS = ("num_classes", "in_chans")
PROBES = 64
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
"""Largest difference over the reference's standard deviation; references are rounded to float32."""


@dataclass(frozen=True)
class Case:
    """One fixture: `about` is its .json, `values` its .npz."""

    about: Mapping[str, Any]
    values: Mapping[str, np.ndarray]

    @property
    def dense(self) -> bool:
        """Whether the values are the maps of a segmentation backbone, not logits."""
        return "out0" in self.values

    def network(self) -> nn.Module:
        """Build from the official arguments, in float32, with the weights of the fixture."""
        config = self.about["config"]
        head = {name: config[name] for name in HEAD_ARGUMENTS if name in config}
        architecture = Architecture.from_official(**config)
        with torch.device("meta"):
            empty = DenseBackbone(architecture) if self.dense else build(architecture, **head)
        return fill(empty.to_empty(device="cpu")).train(self.about["mode"].startswith("train"))

    def images(self, dtype: torch.dtype) -> Tensor:
        """Return the input."""
        draw = np.random.default_rng(self.about["input_seed"])
        drawn = draw.standard_normal(tuple(self.about["input_shape"])).astype(np.float32)
        return torch.from_numpy(drawn).to(dtype)


def load(name: str) -> Case:
    """Read a fixture."""
    about = json.loads((FOLDER / f"{name}.json").read_text())
    with np.load(FOLDER / f"{name}.npz") as values:
        return Case(about, dict(values))


def names(prefixes: tuple[str, ...]) -> list[str]:
    """List the fixtures whose name is one of `prefixes`, or starts with one that ends in `_`."""
    return sorted(
        path.stem
        for path in FOLDER.glob("*.json")
        if any(path.stem == p or (p.endswith("_") and path.stem.startswith(p)) for p in prefixes)
    )


def fill(net: nn.Module) -> nn.Module:
    """Set every parameter and buffer from a generator that its own name seeds."""
    with torch.no_grad():
        for name, tensor in net.state_dict(keep_vars=True).items():
            seed = hashlib.sha256(name.encode()).digest()[:8]
            draw = np.random.default_rng(int.from_bytes(seed, "little"))
            drawn = draw.standard_normal(tuple(tensor.shape))
            value = _recipe(name, tuple(tensor.shape))(drawn)
            tensor.copy_(torch.from_numpy(np.asarray(value, dtype=np.float32)))
    return net


def probe(tensor: Tensor) -> np.ndarray:
    """Return 64 evenly spaced values of a tensor."""
    flat = tensor.detach().double().flatten()
    return flat[torch.linspace(0, flat.numel() - 1, PROBES).long()].numpy()


def loss_weights(logits: Tensor) -> Tensor:
    """Return w of the loss `sum(logits * w)`."""
    drawn = np.random.default_rng(1).standard_normal(tuple(logits.shape))
    return torch.from_numpy(drawn).to(logits.dtype)


def difference(got: Any, reference: np.ndarray) -> float:
    """Return the largest difference over the reference's standard deviation."""
    expected = np.asarray(reference, dtype=np.float64)
    apart = np.abs(np.asarray(got, dtype=np.float64) - expected)
    return float(apart.max() / max(expected.std(), 1e-12))


def _recipe(name: str, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes an entry out of standard normal numbers; variances keep streams tame."""
    leaf, fan_in = name.rpartition(".")[2], math.prod(shape[1:])
    around_one = "layerscale" in name or len(shape) == 1
    pull = 0.4 if "pos_embed" in name else 1.2
    by_leaf: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "num_batches_tracked": lambda z: 0 * z,
        "running_mean": lambda z: 0.1 * z,
        "running_var": lambda z: np.exp(0.3 * z),
        "A_logs": lambda z: np.log(np.arange(1.0, shape[-1] + 1)) + 0.3 * z,
        "Ds": lambda z: 1 + 0.3 * z,
        "dt_projs_bias": lambda z: 0.7 * z - 2,
        "dt_projs_weight": lambda z: 0.5 * z / math.sqrt(shape[-1]),
        "x_proj_weight": lambda z: 1.5 * z / math.sqrt(shape[1]),
        "scale": lambda z: 0.15 * np.exp(0.2 * z),
        "weight": lambda z: 1 + 0.2 * z if around_one else pull * z / math.sqrt(fan_in),
    }
    return by_leaf.get(leaf, lambda z: 0.1 * z)
