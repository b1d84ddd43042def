"""A `Recipe`: everything that decides how a network is trained and judged, one flat set of fields.

It is written as YAML, a field a line. Whatever two runs have in common in it, on the same data and
the same architecture, they have in common in their numbers.
"""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass
from typing import Any, Literal, get_args

from sparx_nas.command.checks import number, one_of, stride, whole, yes_or_no
from sparx_nas.command.options import option, options_of
from sparx_nas.train.values import pair, policy, whole_or_none

Schedule = Literal["epoch", "step"]
Precision = Literal["auto", "none", "bf16", "fp16"]
BatchNorm = Literal["sync", "local", "frozen"]

SCHEMA = 1
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

SIZES: Mapping[str, float] = {"t": 35.8e6, "s": 62.9e6, "b": float("inf")}
"""Up to how many parameters at full width a network counts as tiny, small or base: the geometric
middles between the published 27.05 M, 47.44 M and 83.54 M."""

RATE = number(0, 1, open_high=True)
SHARE = number(0, 1)
FILTERS = ("bilinear", "bicubic", "nearest", "lanczos")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained; fields are named as the flags are, README and --help explain them.

    Rates are for the whole batch of all processes, which is what `batch_size` counts; nothing
    scales them. 0 turns off `clip`, `ema`, `mixup`, `cutmix`, `smoothing`, `erase` and `flip`.
    """

    image_size: int = option(MISSING, whole(1, 8192), "PX", "side of an input")
    batch_size: int = option(MISSING, whole(1, 10**6), "N", "images of a step, over all processes")
    epochs: int = option(MISSING, whole(1, 100_000), "N", "epochs over which the rate falls")
    lr: float = option(
        MISSING, number(0, 10, open_low=True), "RATE", "peak rate, for this batch size"
    )
    cooldown_epochs: int = option(0, whole(0, 100_000), "N", "more epochs, at the lowest rate")
    warmup_epochs: int = option(
        0, whole(0, 100_000), "N", "epochs of rising rate, part of --epochs"
    )
    schedule: Schedule = option(
        "epoch", one_of(*get_args(Schedule)), "WHEN", "the rate changes each epoch or step"
    )
    accumulate: int = option(1, whole(1, 4096), "N", "forward passes that a step is made of")
    optimizer: str = option(
        "adamw", one_of("adamw", "sgd"), "NAME", "adamw or sgd (momentum: first beta)"
    )
    warmup_lr: float = option(1e-6, number(0, 10), "RATE", "rate of the first epoch or step")
    min_lr: float = option(1e-5, number(0, 10), "RATE", "rate that the cosine ends at")
    betas: tuple[float, float] = option(
        (0.9, 0.999), pair(0, 0.999999), "A,B", "decay of the moments", kind="pair"
    )
    eps: float = option(
        1e-8, number(0, 1, open_low=True), "X", "added to the root of the second moment"
    )
    weight_decay: float = option(0.05, number(0, 10), "X", "of weights of two or more dimensions")
    clip: float = option(0.0, number(0, 10**6), "NORM", "largest norm of the gradient, 0 for any")
    amp: Precision = option(
        "auto",
        one_of(*get_args(Precision)),
        "FORM",
        "auto is bf16 on a GPU, none on a CPU",
    )
    ema: float = option(0.0, RATE, "DECAY", "moving average of the weights, 0 for none")
    ema_warmup: bool = option(
        False, yes_or_no, "true|false", "begin the average with a shorter memory"
    )
    batch_norm: BatchNorm = option(
        "sync",
        one_of(*get_args(BatchNorm)),
        "HOW",
        "statistics over all processes, over each one's images, or as they are",
    )
    grad_checkpointing: bool = option(
        False,
        yes_or_no,
        "true|false",
        "compute layers twice instead of keeping what is inside them",
    )
    seed: int = option(0, whole(0, 2**31 - 1), "N", "decides weights, order and augmentation")
    width: float = option(1.0, number(0, 16, open_low=True), "X", "multiplier of all widths")
    stem_stride: int = option(4, stride, "4|2|1", "stride of the stem, 4 as published")
    drop_path: float = option(0.0, RATE, "RATE", "stochastic depth, up to this in the last layer")
    smoothing: float = option(0.0, RATE, "X", "label smoothing")
    mixup: float = option(0.0, number(0, 100), "ALPHA", "0 for none")
    cutmix: float = option(0.0, number(0, 100), "ALPHA", "0 for none")
    mix_probability: float = option(1.0, SHARE, "P", "share of steps whose images are mixed")
    mix_switch: float = option(0.5, SHARE, "P", "share of cutmix where there is mixup too")
    crop_scale: tuple[float, float] = option(
        (0.08, 1.0), pair(0.001, 1), "A,B", "area of a training crop, as share", kind="pair"
    )
    crop_ratio: tuple[float, float] = option(
        (3 / 4, 4 / 3), pair(0.01, 100), "A,B", "width over height of a training crop", kind="pair"
    )
    flip: float = option(0.5, SHARE, "P", "share of images mirrored left to right")
    train_interpolation: str = option(
        "bicubic", one_of("random", *FILTERS), "NAME", "of training crops"
    )
    auto_augment: str = option("none", policy, "POLICY", "as timm writes it, or none")
    color_jitter: float = option(0.0, number(0, 1), "X", "left out beside --auto-augment")
    erase: float = option(0.0, SHARE, "P", "share of images with a part erased")
    erase_mode: str = option(
        "pixel", one_of("pixel", "const", "rand"), "HOW", "what stands there then"
    )
    statistics_images: int = option(
        0,
        whole(0, 10**6),
        "N",
        "train images that BatchNorm statistics, unless frozen, are taken of before judging; "
        "0: running ones",
    )
    normalize: str = option(
        "data", one_of("data", "imagenet"), "WHOSE", "mean and deviation of pixels"
    )
    interpolation: str = option("bicubic", one_of(*FILTERS), "NAME", "of images that are judged")
    crop_pct: float = option(
        1.0, number(0, 1, open_low=True), "X", "central share of a judged image"
    )
    crop_mode: str = option("center", one_of("center", "squash", "border"), "HOW", "as in timm")
    split_seed: int = option(0, whole(0, 2**31 - 1), "N", "draws the splits that data do not have")
    val_fraction: float = option(
        0.2, number(0, 1, open_low=True, open_high=True), "X", "of train images where there is none"
    )
    limit: int | None = option(
        None, whole_or_none(1), "N|none", "most images of a split, to try things out"
    )

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


FIELD = {name: row._replace(default="the recipe's") for name, row in options_of(Recipe).items()}
"""How each field is read and told of, the same for files and for flags."""
GROUPS = {
    "length": ("epochs", "cooldown_epochs", "warmup_epochs", "batch_size", "accumulate"),
    "optimizer": (
        *("optimizer", "schedule", "lr", "warmup_lr", "min_lr", "betas", "eps", "weight_decay"),
        *("clip", "amp", "ema", "ema_warmup", "batch_norm", "grad_checkpointing", "seed"),
    ),
    "network": ("image_size", "width", "stem_stride", "drop_path"),
    "augmentation": (
        *("smoothing", "mixup", "cutmix", "mix_probability", "mix_switch"),
        *("crop_scale", "crop_ratio", "flip", "train_interpolation"),
        *("auto_augment", "color_jitter", "erase", "erase_mode"),
    ),
    "judging": (
        *("statistics_images", "normalize", "interpolation", "crop_pct", "crop_mode"),
        *("split_seed", "val_fraction", "limit"),
    ),
}
"""Which fields stand together in the help."""
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
        for key in FIELD
        if before[key] != after[key]
        for line in (f"- {key}: {before[key]}", f"+ {key}: {after[key]}")
    ]
