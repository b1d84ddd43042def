"""Images that are files below one folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sparx_nas.data.decode import decode
from sparx_nas.data.source import digest_files, readable
from sparx_nas.data.splits import Labels, Picks


@dataclass(frozen=True)
class FilePool:
    """Image files: paths relative to `root`, sizes in bytes, labels."""

    root: Path
    files: tuple[str, ...]
    sizes: tuple[int, ...]
    labels: Labels

    def digest(self) -> bytes:
        """Hash relative paths, sizes and labels, and of a small set the contents."""
        return digest_files(self.root, self.files, self.sizes, self.labels)

    def name(self, index: int) -> str:
        """Return the relative path of an image."""
        return readable(self.files[index])

    def picture(self, index: int, side: int) -> Image.Image:
        """Decode an image file."""
        return decode(self.root / self.files[index], side)

    def only(self, picks: Picks) -> "FilePool":
        """Return the same with some of the images."""
        kept = picks.tolist()
        return FilePool(
            self.root,
            tuple(self.files[index] for index in kept),
            tuple(self.sizes[index] for index in kept),
            np.asarray(self.labels[picks]),
        )
