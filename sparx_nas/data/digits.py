"""The embedded default: 1,797 scans of hand-written digits that ship with scikit-learn.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
"""

import importlib.metadata
from pathlib import Path

import numpy as np

from sparx_nas.data.source import ArrayPool, Found, Source
from sparx_nas.ground.errors import DataError

IMAGES = 1797
BRIGHTEST = 16


def find_digits(data_dir: Path | None) -> Found:
    """Say which scikit-learn the digits come from; `data_dir` does not matter.

    Raises: DataError if scikit-learn is not installed.
    """
    try:
        version = importlib.metadata.version("scikit-learn")
    except importlib.metadata.PackageNotFoundError as cause:
        message = "the digits come with scikit-learn, which is not installed"
        raise DataError(message, hint="pip install scikit-learn") from cause
    return Found(
        name="digits",
        place=f"scikit-learn {version}",
        data_dir=None,
        images={"all": IMAGES},
        num_classes=10,
        in_chans=1,
    )


def read_digits(data_dir: Path | None) -> Source:
    """Load the 8x8 scans, their 17 grey levels spread over 0..255."""
    found = find_digits(data_dir)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(np.asarray(bunch.images) * (255 / BRIGHTEST)).astype(np.uint8)
    labels = np.asarray(bunch.target).astype(np.int64)
    return Source(
        name="digits",
        place=found.place,
        classes=tuple(str(digit) for digit in range(10)),
        in_chans=1,
        flips=False,
        train=ArrayPool(pixels[..., None], labels),
    )
