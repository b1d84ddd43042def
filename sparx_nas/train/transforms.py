"""What happens to an image on its way into the network, by timm's transforms."""

import random
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sparx_nas.architecture.network import Preprocessing
from sparx_nas.ground.errors import OptionError
from sparx_nas.ground.timm_import import prepare_timm
from sparx_nas.train.recipe import Recipe

prepare_timm()

from timm.data import Mixup, create_transform  # noqa: E402  (timm is ready now)
from timm.data.mixup import mixup_target  # noqa: E402

Transform = Callable[[Image.Image], Tensor]

IMAGE_STREAM, ORDER_STREAM, MIX_STREAM, PASS_STREAM = 11, 12, 13, 14
"""First words of seeds, so that the draws of one seed are independent."""


def seed_all(*words: int) -> None:
    """Seed every global generator from a few numbers; the same numbers, the same draws."""
    drawn = [int(word) for word in np.random.SeedSequence(words).generate_state(3)]
    random.seed(drawn[0])
    np.random.seed(drawn[1])
    # torch.manual_seed also queues a seed, with a stack trace, for every device that is not there.
    torch.default_generator.manual_seed(drawn[2])
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(drawn[2])


def training_transform(recipe: Recipe, facts: Preprocessing) -> Transform:
    """Return the random transform of a training image; it draws from the global generators.

    Raises: OptionError if timm cannot make sense of the recipe's policy.
    """
    policy = None if recipe.auto_augment == "none" else recipe.auto_augment
    # timm fills with the mean, one number a channel; Pillow wants a plain one for grey.
    try:
        transform: Transform = create_transform(
            facts.image_size,
            is_training=True,
            scale=recipe.crop_scale,
            ratio=recipe.crop_ratio,
            hflip=recipe.flip,
            color_jitter=recipe.color_jitter or None,
            auto_augment=policy,
            interpolation=recipe.train_interpolation,
            mean=facts.mean,
            std=facts.std,
            re_prob=recipe.erase,
            re_mode=recipe.erase_mode,
        )
    # timm asserts, and raises what parsing a policy happens to raise.
    except Exception as cause:
        reason = f"{type(cause).__name__}: {cause}".rstrip(": ")
        raise OptionError(f"auto_augment {policy!r}: timm cannot read it ({reason})") from cause
    return transform


def judging_transform(facts: Preprocessing) -> Transform:
    """Return the transform of an image that is judged; nothing is drawn."""
    transform: Transform = create_transform(
        facts.image_size,
        is_training=False,
        interpolation=facts.interpolation,
        mean=facts.mean,
        std=facts.std,
        crop_pct=facts.crop_pct,
        crop_mode=facts.crop_mode,
    )
    return transform


class Mixing:
    """Mix the images of a batch in pairs, i with B - 1 - i, and make soft targets of labels.

    What is drawn for a step is decided by seed, epoch and step, so every process and every pass of
    a step mixes alike.
    """

    def __init__(self, recipe: Recipe, num_classes: int) -> None:
        self.recipe, self.num_classes = recipe, num_classes
        self.mixup = Mixup(
            mixup_alpha=recipe.mixup,
            cutmix_alpha=recipe.cutmix,
            prob=recipe.mix_probability,
            switch_prob=recipe.mix_switch,
            label_smoothing=recipe.smoothing,
            num_classes=num_classes,
        )

    def __call__(
        self, x: Tensor, labels: Tensor, *, epoch: int, step: int
    ) -> tuple[Tensor, Tensor]:
        """Return images (B, C, H, W) and targets (B, classes)."""
        if not self.recipe.mixes:
            return x, mixup_target(labels, self.num_classes, 1.0, self.recipe.smoothing)
        seed_all(MIX_STREAM, self.recipe.seed, epoch, step)
        odd = len(x) % 2
        if odd:
            # timm wants an even batch: the image in the middle meets a copy of itself.
            middle = torch.arange(len(x) + 1, device=x.device)
            middle[len(x) // 2 + 1 :] -= 1
            x, labels = x[middle], labels[middle]
        x, targets = self.mixup(x, labels)
        if odd:
            kept = [i for i in range(len(x)) if i != len(x) // 2]
            x, targets = x[kept], targets[kept]
        return x, targets
