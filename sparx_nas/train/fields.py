"""What each field of a recipe may be, and what it does: the same for files and for flags."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from sparx_nas.command.checks import Check, number, one_of, whole, yes_or_no


class Field(NamedTuple):
    """How a field is read from text, what stands for its value in `--help`, and what it does."""

    check: Check
    metavar: str
    help: str


def pair(low: float, high: float) -> Check:
    """Return a check for two ascending numbers in [low, high], with a comma between them."""
    one = number(low, high)

    def check(text: str) -> tuple[float, float]:
        parts = text.split(",")
        try:
            first, second = (one(part.strip()) for part in parts)
        except ValueError:
            first, second = 1, 0
        if first > second:
            expected = f"two ascending numbers from {low:g} to {high:g}, such as {low:g},{high:g}"
            raise ValueError(f"is {text!r}; it is {expected}.")
        return first, second

    return check


def whole_or_none(low: int) -> Check:
    """Return a check for a whole number from `low`, or `none`."""
    one = whole(low)
    return lambda text: None if text == "none" else one(text)


def policy(text: str) -> str:
    """Check for a policy of timm's, or `none`."""
    if not re.fullmatch(r"none|(rand|augmix|original|originalr|v0|v0r|3a)(-[A-Za-z0-9.]+)*", text):
        raise ValueError(f"is {text!r}; it is none or a policy of timm's, such as rand-m9-mstd0.5.")
    return text


def stride(text: str) -> int:
    """Check for a stride of the stem."""
    return int(one_of("4", "2", "1")(text))


RATE = number(0, 1, open_high=True)
SHARE = number(0, 1)
FILTERS = ("bilinear", "bicubic", "nearest", "lanczos")

GROUPS: Mapping[str, Mapping[str, Field]] = {
    "length": {
        "epochs": Field(whole(1, 100_000), "N", "epochs over which the rate falls"),
        "cooldown_epochs": Field(whole(0, 100_000), "N", "more epochs, at the lowest rate"),
        "warmup_epochs": Field(whole(0, 100_000), "N", "epochs of rising rate, part of --epochs"),
        "batch_size": Field(whole(1, 10**6), "N", "images of a step, over all processes"),
        "accumulate": Field(whole(1, 4096), "N", "forward passes that a step is made of"),
    },
    "optimizer": {
        "optimizer": Field(one_of("adamw", "sgd"), "NAME", "adamw or sgd (momentum: first beta)"),
        "schedule": Field(one_of("epoch", "step"), "WHEN", "the rate changes each epoch or step"),
        "lr": Field(number(0, 10, open_low=True), "RATE", "peak rate, for this batch size"),
        "warmup_lr": Field(number(0, 10), "RATE", "rate of the first epoch or step"),
        "min_lr": Field(number(0, 10), "RATE", "rate that the cosine ends at"),
        "betas": Field(pair(0, 0.999999), "A,B", "decay of the moments"),
        "eps": Field(number(0, 1, open_low=True), "X", "added to the root of the second moment"),
        "weight_decay": Field(number(0, 10), "X", "of weights of two or more dimensions"),
        "clip": Field(number(0, 10**6), "NORM", "largest norm of the gradient, 0 for any"),
        "amp": Field(
            one_of("auto", "none", "bf16", "fp16"), "FORM", "auto is bf16 on a GPU, none on a CPU"
        ),
        "ema": Field(RATE, "DECAY", "moving average of the weights, 0 for none"),
        "ema_warmup": Field(yes_or_no, "true|false", "begin the average with a shorter memory"),
        "batch_norm": Field(
            one_of("sync", "local", "frozen"),
            "HOW",
            "statistics over all processes, over each one's images, or as they are",
        ),
        "grad_checkpointing": Field(
            yes_or_no, "true|false", "compute layers twice instead of keeping what is inside them"
        ),
        "seed": Field(whole(0, 2**31 - 1), "N", "decides weights, order and augmentation"),
    },
    "network": {
        "image_size": Field(whole(1, 8192), "PX", "side of an input"),
        "width": Field(number(0, 16, open_low=True), "X", "multiplier of all widths"),
        "stem_stride": Field(stride, "4|2|1", "stride of the stem, 4 as published"),
        "drop_path": Field(RATE, "RATE", "stochastic depth, up to this in the last layer"),
    },
    "augmentation": {
        "smoothing": Field(RATE, "X", "label smoothing"),
        "mixup": Field(number(0, 100), "ALPHA", "0 for none"),
        "cutmix": Field(number(0, 100), "ALPHA", "0 for none"),
        "mix_probability": Field(SHARE, "P", "share of steps whose images are mixed"),
        "mix_switch": Field(SHARE, "P", "share of cutmix where there is mixup too"),
        "crop_scale": Field(pair(0.001, 1), "A,B", "area of a training crop, as share"),
        "crop_ratio": Field(pair(0.01, 100), "A,B", "width over height of a training crop"),
        "flip": Field(SHARE, "P", "share of images mirrored left to right"),
        "train_interpolation": Field(one_of("random", *FILTERS), "NAME", "of training crops"),
        "auto_augment": Field(policy, "POLICY", "as timm writes it, or none"),
        "color_jitter": Field(number(0, 1), "X", "left out beside --auto-augment"),
        "erase": Field(SHARE, "P", "share of images with a part erased"),
        "erase_mode": Field(one_of("pixel", "const", "rand"), "HOW", "what stands there then"),
    },
    "judging": {
        "normalize": Field(one_of("data", "imagenet"), "WHOSE", "mean and deviation of pixels"),
        "interpolation": Field(one_of(*FILTERS), "NAME", "of images that are judged"),
        "crop_pct": Field(number(0, 1, open_low=True), "X", "central share of a judged image"),
        "crop_mode": Field(one_of("center", "squash", "border"), "HOW", "as in timm"),
        "split_seed": Field(whole(0, 2**31 - 1), "N", "draws the splits that data do not have"),
        "val_fraction": Field(
            number(0, 1, open_low=True, open_high=True), "X", "of train images where there is none"
        ),
        "limit": Field(whole_or_none(1), "N|none", "most images of a split, to try things out"),
    },
}
FIELD = {name: field for group in GROUPS.values() for name, field in group.items()}
