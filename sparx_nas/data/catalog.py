"""Find and open a data set by name."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from sparx_nas.data.cifar import find_cifar, read_cifar
from sparx_nas.data.dataset import DataSet
from sparx_nas.data.digits import find_digits, read_digits
from sparx_nas.data.dividing import Divided, Part, divided_by_seed
from sparx_nas.data.fashion_mnist import find_fashion, read_fashion
from sparx_nas.data.folder import find_folder, read_folder
from sparx_nas.data.source import Found, Source, readable
from sparx_nas.data.store import Store, StreamStore, load, sample
from sparx_nas.data.timm_data import PREFIX, find_timm, read_timm
from sparx_nas.ground.errors import DataError, OptionError, did_you_mean

STATISTICS, STREAMED_STATISTICS = 4096, 512
"""Most images that mean and standard deviation are taken of, in memory and streamed."""


class Reader(NamedTuple):
    """How a data set is looked for and how it is read, given its folder."""

    find: Callable[[Path | None], Found]
    read: Callable[[Path | None], Source]


READERS: Mapping[str, Reader] = {
    "digits": Reader(find_digits, read_digits),
    "fashion_mnist": Reader(find_fashion, read_fashion),
    "cifar10": Reader(partial(find_cifar, "cifar10"), partial(read_cifar, "cifar10")),
    "cifar100": Reader(partial(find_cifar, "cifar100"), partial(read_cifar, "cifar100")),
    "folder": Reader(find_folder, read_folder),
}
DATA_NAMES = (*READERS, f"{PREFIX}<name>")
"""What `--data` takes, besides the path of an image folder."""


def find_data(name: str, data_dir: Path | None) -> Found:
    """Say where a data set is and what can be told without decoding it.

    Raises: DataError listing where it was looked for and how to get it.
    """
    reader, place = _reader(name, data_dir)
    return reader.find(place)


def open_data(
    name: str,
    *,
    data_dir: Path | None,
    image_size: int,
    seed: int,
    val_fraction: float = 0.2,
    limit: int | None = None,
    with_test: bool = False,
) -> DataSet:
    """Open a data set, its splits decided by `seed`, its images at image_size x image_size.

    `name` is one of `DATA_NAMES` or the path of an image folder. A data set with a test split of
    its own keeps it; val is `val_fraction` of the train images (of all, for digits) unless it has
    one of its own, which an image folder has only beside a test/. `limit` keeps at most so many
    images of train and val. The test split stays whole and is loaded for the final scoring only,
    with `with_test`.

    Raises: OptionError for impossible numbers; DataError if the data are missing or damaged.
    """
    _check(image_size, seed, val_fraction, limit)
    divided = divide(name, data_dir=data_dir, seed=seed, val_fraction=val_fraction)
    return _loaded(
        divided.limited(limit, seed, ("train", "val")), image_size=image_size, with_test=with_test
    )


def divide(name: str, *, data_dir: Path | None, seed: int, val_fraction: float) -> Divided:
    """Find a data set and decide every image's split as `open_data` does; nothing is decoded.

    Raises: DataError if the data are missing or damaged.
    """
    reader, place = _reader(name, data_dir)
    return divided_by_seed(reader.read(place), seed, val_fraction)


def _reader(name: str, data_dir: Path | None) -> tuple[Reader, Path | None]:
    if name in READERS:
        return READERS[name], data_dir
    if name.startswith(PREFIX):
        return Reader(partial(find_timm, name), partial(read_timm, name)), data_dir
    folder = Path(name).expanduser()
    if folder.is_dir():
        if data_dir is not None and data_dir.expanduser().absolute() != folder.absolute():
            raise DataError(
                f"{readable(name)} is a folder of images, and {readable(data_dir)} is another",
                hint="--data alone says where an image folder is; leave --data-dir out",
            )
        return READERS["folder"], folder
    if len(folder.parts) > 1:
        what = f"{readable(name)} is no folder" if folder.exists() else f"there is no {name}"
        hint = "--data takes the path of an image folder; where it was moved, the new one"
        raise DataError(what, hint=hint)
    guess = did_you_mean(name, READERS)
    raise DataError(
        f"no data set and no folder is called {name!r}.{guess}",
        hint=f"known: {', '.join(DATA_NAMES)}, or the path of an image folder",
    )


def _check(image_size: int, seed: int, val_fraction: float, limit: int | None) -> None:
    mistakes = []
    if image_size < 1:
        mistakes.append(f"image_size is {image_size}, a side in pixels is at least 1")
    if seed < 0:
        mistakes.append(f"seed is {seed}, it must not be negative")
    if not 0 < val_fraction < 1:
        mistakes.append(f"val_fraction is {val_fraction}, it lies between 0 and 1")
    if limit is not None and limit < 1:
        mistakes.append(f"limit is {limit}, it is at least 1")
    if mistakes:
        raise OptionError.of("data", mistakes)


def _loaded(divided: Divided, *, image_size: int, with_test: bool) -> DataSet:
    """Read the images of the splits and gather the facts."""
    source, parts = divided.source, divided.parts
    wanted = [split for split in parts if with_test or split != "test"]
    stores = {split: load(parts[split].pool, parts[split].picks, image_size) for split in wanted}
    _check_stores(source, parts, stores)
    mean, std = _statistics(stores["train"])
    sizes = {split: len(part.picks) for split, part in parts.items()}
    return DataSet(
        name=source.name,
        source=source.place,
        rule=divided.rule,
        classes=source.classes,
        in_chans=source.in_chans,
        image_size=image_size,
        mean=mean,
        std=std,
        splits=sizes | {split: len(store.labels) for split, store in stores.items()},
        data_id=divided.data_id,
        flips=source.flips,
        unusable=source.skipped,
        notes=source.notes,
        stores=stores,
    )


def _check_stores(source: Source, parts: Mapping[str, Part], stores: Mapping[str, Store]) -> None:
    """Refuse splits without an image, and classes whose train images are all broken.

    Raises: DataError naming all of them.
    """
    mistakes = []
    for split, store in stores.items():
        if len(store.labels) == 0:
            reason = f": {store.skipped[0].reason}" if store.skipped else ""
            mistakes.append(f"no image is left for the {split} split{reason}")
    train = parts["train"]
    wanted = set(train.pool.labels[train.picks].tolist())
    lost = sorted(wanted - set(stores["train"].labels.tolist()))
    mistakes += [f"every train image of class {source.classes[n]!r} is broken" for n in lost]
    if mistakes:
        raise DataError.of(
            f"{source.name} in {source.place}", mistakes, hint="replace or remove what is broken"
        )


def _statistics(train: Store) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, of pixels in [0, 1]."""
    count = STREAMED_STATISTICS if isinstance(train, StreamStore) else STATISTICS
    pixels = sample(train, count).to(torch.float64).transpose(0, 1).flatten(1) / 255
    mean, std = pixels.mean(dim=1), pixels.std(dim=1, unbiased=False).clamp(min=1 / 255)
    return tuple(mean.tolist()), tuple(std.tolist())
