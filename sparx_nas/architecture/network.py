"""A `Network`: an architecture as built and trained for some classes, and how images are fed to it.

A folder that holds one has `config.json` (this, written) and `model.safetensors` (its weights).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import ArchitectureError, SparxError, did_you_mean
from sparx_nas.ground.record import read_json, write_json

SCHEMA = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes an input: resized so that a central crop of `crop_pct` is left.

    `image_size` is (height, width) in pixels of the input; `mean` and `std` are per channel, of
    pixels in [0, 1]; `interpolation` is named as timm names it. With `crop_mode` "squash" sides are
    scaled apart and nothing is cut at a `crop_pct` of 1.
    """

    image_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop_pct: float = 1.0
    crop_mode: str = "center"

    def __post_init__(self) -> None:
        """Turn lists, as JSON has them, into tuples."""
        for name in ("image_size", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True, kw_only=True)
class Network:
    """Everything but the weights of a trained network.

    `width` and `stem_stride` are those it was built with (1 and 4: at full size). `classes` are
    their names in the order of the logits, or empty where nobody knows them. `facts` say where the
    weights come from, for people: data, accuracy, recipe, seed, device, versions.
    """

    architecture: Architecture
    num_classes: int
    preprocessing: Preprocessing
    in_chans: int = 3
    width: float = 1.0
    stem_stride: int = 4
    classes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def build_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `build` and `Architecture.plan`."""
        names = ("num_classes", "in_chans", "width", "stem_stride")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return the written form: JSON values only."""
        return {
            "schema": SCHEMA,
            "kind": "network",
            **self.build_arguments,
            "preprocessing": asdict(self.preprocessing),
            "classes": list(self.classes),
            "facts": dict(self.facts),
            "architecture": self.architecture.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], *, where: str = "network") -> Self:
        """Build a network from its written form.

        Raises: ArchitectureError naming unknown or missing fields, or what is wrong in one.
        """
        given = dict(value) if isinstance(value, Mapping) else {}
        if given.pop("schema", None) != SCHEMA or given.pop("kind", None) != "network":
            raise ArchitectureError(f"{where}: not a network of schema {SCHEMA}")
        known = [f.name for f in fields(cls)]
        wrong = [f"unknown field {n!r}.{did_you_mean(n, known)}" for n in given if n not in known]
        required = ("architecture", "num_classes", "preprocessing")
        wrong += [f"field {name!r} is missing" for name in required if name not in given]
        if wrong:
            raise ArchitectureError.of(where, wrong)
        try:
            given["architecture"] = Architecture.from_dict(given["architecture"])
            given["preprocessing"] = Preprocessing(**given["preprocessing"])
            given["classes"] = tuple(given.get("classes", ()))
            return cls(**given)
        except (SparxError, TypeError, ValueError) as cause:
            raise ArchitectureError(f"{where}: {cause}") from cause

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the network of a folder, or of its config.json.

        Raises: ArchitectureError naming the file and what is wrong in it.
        """
        path = Path(folder)
        path = path / CONFIG if path.is_dir() else path
        return cls.from_dict(read_json(path, ArchitectureError), where=str(path))

    def save(self, folder: str | Path) -> None:
        """Write config.json into a folder, in one step."""
        write_json(Path(folder) / CONFIG, self.to_dict())
