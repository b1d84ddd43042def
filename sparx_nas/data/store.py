"""Images of one split, ready to be read in batches: all in memory, or decoded on the way."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Dataset

from sparx_nas.data.augment import mirror_some, random_grid, read_grid
from sparx_nas.data.decode import central_square, random_crop
from sparx_nas.data.source import ArrayPool, PicturePool, Pool, Skipped
from sparx_nas.data.splits import Picks
from sparx_nas.ground.errors import DataError

CACHE_IMAGES = 20_000
CACHE_BYTES = 2**30
"""A split of image files is decoded once and kept when it exceeds neither."""

RESIZE_CHUNK = 4096


@dataclass(frozen=True)
class Motion:
    """Augmentation of one epoch: `rng` draws it, `flip` allows mirroring."""

    rng: np.random.Generator
    flip: bool


@dataclass(frozen=True)
class MemoryStore:
    """Images kept at their final size: `pixels` is uint8 (n, C, H, W), `labels` int64 (n)."""

    pixels: Tensor
    labels: Tensor
    skipped: tuple[Skipped, ...] = ()

    def read(
        self, groups: list[Picks], *, motion: Motion | None, device: torch.device, workers: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 (B, C, H, W) and labels (B) of each group of positions, on the device.

        All images move there once, when reading starts.
        """
        pixels, labels = self.pixels.to(device), self.labels.to(device)
        for group in groups:
            picks = torch.from_numpy(group).to(device)
            if motion is None:
                yield pixels[picks], labels[picks]
                continue
            grid = random_grid(motion.rng, len(group), pixels.shape[-1], flip=motion.flip)
            rows, columns = (part.to(device) for part in grid)
            yield read_grid(pixels, picks, rows, columns), labels[picks]


@dataclass(frozen=True)
class StreamStore:
    """Images decoded whenever they are read, for sets too large to keep.

    A broken one is left out of its batch and noted in `broken`, by position.
    """

    pool: PicturePool
    picks: Picks
    side: int
    broken: dict[int, Skipped] = field(default_factory=dict)

    @property
    def labels(self) -> Tensor:
        """Class numbers of all images, the broken ones among them."""
        return torch.from_numpy(self.pool.labels[self.picks])

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Images found broken so far."""
        return tuple(self.broken.values())

    def read(
        self, groups: list[Picks], *, motion: Motion | None, device: torch.device, workers: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Read groups as `MemoryStore` does; one whose images are all broken is left out."""
        labels = self.labels
        seed = int(motion.rng.integers(2**62)) if motion is not None else None
        reader: DataLoader[list[Tensor | str]] = DataLoader(
            _Decoding(self, seed),
            sampler=groups,
            batch_size=None,
            num_workers=workers,
            generator=torch.Generator(),
        )
        for group, decoded in zip(groups, reader, strict=True):
            good = [isinstance(item, Tensor) for item in decoded]
            kept = [item for item in decoded if isinstance(item, Tensor)]
            for position, item in zip(group, decoded, strict=True):
                if isinstance(item, str):
                    path = self.pool.name(int(self.picks[position]))
                    self.broken[int(position)] = Skipped(path, item)
            if not kept:
                _check_readable(decoded)
                continue
            images = torch.stack(kept)
            if motion is not None and motion.flip:
                images = mirror_some(motion.rng, images)
            yield images.to(device), labels[group[good]].to(device)


Store = MemoryStore | StreamStore
"""The images of one split."""


class _Decoding(Dataset[list[Tensor | str]]):
    """Decode a group of positions at a time; a broken image becomes the reason, as text."""

    def __init__(self, store: StreamStore, seed: int | None) -> None:
        self.store, self.seed = store, seed

    def __getitem__(self, group: Picks) -> list[Tensor | str]:
        return [self._one(int(position)) for position in group]

    def _one(self, position: int) -> Tensor | str:
        rng = None if self.seed is None else np.random.default_rng([self.seed, position])
        return _decoded(self.store.pool, int(self.store.picks[position]), self.store.side, rng)


def _check_readable(reasons: list[Tensor | str]) -> None:
    """Tell images that are broken from files that the system does not hand out, all at once.

    Raises: DataError for the latter: a folder that is gone, a disk that fails, no file handles.
    """
    if all("[Errno " in str(reason) for reason in reasons):
        raise DataError(f"images cannot be read any more: {reasons[0]}", hint="bring them back")


def load(pool: Pool, picks: Picks, side: int) -> Store:
    """Bring the picked images to side x side, or leave a large set of files to be streamed."""
    if isinstance(pool, ArrayPool):
        images = _resized(torch.from_numpy(pool.pixels[picks]).permute(0, 3, 1, 2), side)
        return MemoryStore(images, torch.from_numpy(pool.labels[picks]))
    if len(picks) > CACHE_IMAGES or len(picks) * 3 * side * side > CACHE_BYTES:
        return StreamStore(pool, picks, side)
    return _decode_all(pool, picks, side)


def sample(store: Store, count: int) -> Tensor:
    """Return up to `count` images, evenly spaced over the store, as uint8 (B, C, H, W)."""
    spaced = np.linspace(0, len(store.labels) - 1, min(count, len(store.labels)))
    groups = np.array_split(spaced.astype(np.int64), max(1, len(spaced) // 64))
    read = store.read(groups, motion=None, device=torch.device("cpu"), workers=0)
    images = [batch for batch, _ in read]
    return torch.cat(images) if images else torch.empty(0, 3, 1, 1, dtype=torch.uint8)


def _decode_all(pool: PicturePool, picks: Picks, side: int) -> MemoryStore:
    pixels = torch.empty(len(picks), 3, side, side, dtype=torch.uint8)
    kept: list[int] = []
    skipped: list[Skipped] = []
    for index in picks.tolist():
        image = _decoded(pool, index, side)
        if isinstance(image, str):
            skipped.append(Skipped(pool.name(index), image))
            continue
        pixels[len(kept)] = image
        kept.append(index)
    labels = torch.from_numpy(pool.labels[np.array(kept, dtype=np.int64)])
    return MemoryStore(pixels[: len(kept)], labels, tuple(skipped))


def _decoded(
    pool: PicturePool, index: int, side: int, rng: np.random.Generator | None = None
) -> Tensor | str:
    try:
        if rng is None:
            return central_square(pool.picture(index, side), side)
        return random_crop(pool.picture(index, 2 * side), side, rng)
    # A decoder may raise anything on a broken file; the reason is reported, the search goes on.
    except Exception as cause:
        return f"{type(cause).__name__}: {cause}".splitlines()[0]


def _resized(images: Tensor, side: int) -> Tensor:
    if images.shape[-2:] == (side, side):
        return images.contiguous()
    chunks = [
        interpolate(chunk.float(), (side, side), mode="bicubic", antialias=True)
        for chunk in torch.split(images, RESIZE_CHUNK)
    ]
    return torch.cat([chunk.round().clamp(0, 255).to(torch.uint8) for chunk in chunks])
