"""A `Recipe`: everything that decides how a network is trained and judged, one flat set of fields.

It is written as YAML, a field a line. Whatever two runs have in common in it, on the same data and
the same architecture, they have in common in their numbers.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Schedule = Literal["epoch", "step"]
Precision = Literal["auto", "none", "bf16", "fp16"]
BatchNorm = Literal["sync", "local", "frozen"]

SCHEMA = 1
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

SIZES: Mapping[str, float] = {"t": 35.8e6, "s": 62.9e6, "b": float("inf")}
"""Up to how many parameters at full width a network counts as tiny, small or base: the geometric
middles between the published 27.05 M, 47.44 M and 83.54 M."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained; fields are named as the flags are, README and --help explain them.

    Rates are for the whole batch of all processes, which is what `batch_size` counts; nothing
    scales them. 0 turns off `clip`, `ema`, `mixup`, `cutmix`, `smoothing`, `erase` and `flip`.
    """

    image_size: int
    batch_size: int
    epochs: int
    lr: float
    cooldown_epochs: int = 0
    warmup_epochs: int = 0
    schedule: Schedule = "epoch"
    accumulate: int = 1
    optimizer: str = "adamw"
    warmup_lr: float = 1e-6
    min_lr: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.05
    clip: float = 0.0
    amp: Precision = "auto"
    ema: float = 0.0
    ema_warmup: bool = False
    batch_norm: BatchNorm = "sync"
    grad_checkpointing: bool = False
    seed: int = 0
    width: float = 1.0
    stem_stride: int = 4
    drop_path: float = 0.0
    smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_probability: float = 1.0
    mix_switch: float = 0.5
    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    train_interpolation: str = "bicubic"
    auto_augment: str = "none"
    color_jitter: float = 0.0
    erase: float = 0.0
    erase_mode: str = "pixel"
    normalize: str = "data"
    interpolation: str = "bicubic"
    crop_pct: float = 1.0
    crop_mode: str = "center"
    split_seed: int = 0
    val_fraction: float = 0.2
    limit: int | None = None

    @property
    def total_epochs(self) -> int:
        """Epochs that are run, those at the lowest rate among them."""
        return self.epochs + self.cooldown_epochs

    @property
    def mixes(self) -> bool:
        """Whether images are mixed in pairs."""
        return self.mixup > 0 or self.cutmix > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the written form: JSON values only."""
        value = {"schema": SCHEMA} | asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in value.items()}


FIELDS = tuple(f.name for f in fields(Recipe))
SIZED = ("drop_path", "crop_pct")
"""Fields that a file may give as one value a size, `{t: 0.2, s: 0.3, b: 0.5}`."""


def size_of(params: int) -> str:
    """Return the published size, t, s or b, that a number of parameters at full width is near."""
    return next(size for size, most in SIZES.items() if params <= most)


def changes(old: Recipe, new: Recipe) -> list[str]:
    """List the fields that differ, as lines of a diff."""
    before, after = old.to_dict(), new.to_dict()
    return [
        line
        for key in FIELDS
        if before[key] != after[key]
        for line in (f"- {key}: {before[key]}", f"+ {key}: {after[key]}")
    ]
