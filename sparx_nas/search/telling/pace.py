"""How fast this machine trains, from a few steps on random images."""

import time

import torch
from torch.nn.functional import cross_entropy

from sparx_nas.architecture import Architecture
from sparx_nas.models import build
from sparx_nas.search.asked.places import Slots
from sparx_nas.search.asked.settings import Settings

SECONDS = 2.0


def images_per_s(
    settings: Settings, design: Architecture, in_chans: int, classes: int, places: Slots
) -> float:
    """Return how many images a second one trial trains of a design.

    Takes about two seconds after a first step that is not counted; leaves torch with a trial's
    number of threads.
    """
    device = torch.device(places.device)
    torch.set_num_threads(places.threads)
    model = build(
        design,
        classes,
        in_chans=in_chans,
        width=settings.width,
        stem_stride=settings.stem_stride,
    ).to(device)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr)
    side = settings.image_size
    x = torch.randn(settings.batch_size, in_chans, side, side, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(classes, (settings.batch_size,), device=device)
    steps, start = -1, time.perf_counter()
    while steps < 1 or time.perf_counter() - start < SECONDS:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = cross_entropy(model(x).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        steps += 1
        if steps == 0:
            start = time.perf_counter()
    return steps * settings.batch_size / (time.perf_counter() - start)
