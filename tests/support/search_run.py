"""Support of the tests that really search: a small image folder, and the command in a process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from support.patience import PATIENCE_S

BROKEN = {"train/red/torn.png": b"\x89PNG\r\n\x1a\n and no more", "train/green/empty.jpg": b""}


def make_images(folder: Path) -> Path:
    """Write three classes of noisy 20 px images that a small network tells apart."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 30), ("val", 10)):
        for channel, name in enumerate(("red", "green", "blue")):
            place = folder / split / name
            place.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 90, (20, 20, 3), dtype=np.uint8)
                pixels[..., channel] += 120
                Image.fromarray(pixels).save(place / f"{i}.png")
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)
    return folder


def search(
    *arguments: object, cwd: Path, timeout: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Run the search command to its end."""
    words = [sys.executable, "-m", "sparx_nas.search", "--no-dashboard", "--format", "plain"]
    return subprocess.run(
        [*words, *map(str, arguments)],
        cwd=cwd,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )


class Running:
    """The search command in a process group of its own, which can be killed as a whole."""

    def __init__(self, *arguments: object, cwd: Path) -> None:
        words = [sys.executable, "-m", "sparx_nas.search", "--no-dashboard", "--format", "plain"]
        self.log = cwd / f"log-{time.monotonic_ns()}"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [*words, *map(str, arguments)],
                cwd=cwd,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, path: Path, text: str, times: int, timeout: float = PATIENCE_S) -> None:
        """Wait until a file holds a text so many times."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if path.is_file() and path.read_text().count(text) >= times:
                return
            if self.process.poll() is not None:
                raise AssertionError(f"the search ended early:\n{self.log.read_text()}")
            time.sleep(0.05)
        raise AssertionError(f"{path} does not hold {text} {times} times:\n{self.log.read_text()}")

    def kill(self) -> None:
        """End driver and workers without warning."""
        family = descendants(self.process.pid)
        for pid in (self.process.pid, *family):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=PATIENCE_S)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def titles(pid: int) -> list[str]:
    """Return the titles of the processes below one, as ps shows them."""
    shown = []
    for child in descendants(pid):
        try:
            shown.append(Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return shown
