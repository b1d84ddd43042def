"""One search by the tool, as a person starts it: its trials, when things happened, and where the
time of its places went."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclass
class Watched:
    """A search that was run: its folder, and seconds after the command began.

    `starts` and `ends` say when trials began and ended, by number, as the log tells;
    `first_step_s` when the first training took its first step.
    """

    run: Path
    seconds: float = 0.0
    first_step_s: float | None = None
    marks: dict[str, float] = field(default_factory=dict)
    starts: dict[int, float] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)


@contextmanager
def searched(
    *options: str, space: str, tree: Path = ROOT, first_epoch_only: bool = False
) -> Iterator[Watched]:
    """Run a search with default settings in a folder of its own, and yield it; then remove it.

    `tree` is the checkout that searches. With `first_epoch_only` it is ended, as by Ctrl-C, once an
    epoch of any trial is over.

    Raises: SystemExit if the search fails.
    """
    folder = Path(tempfile.mkdtemp(prefix="hour-tool-"))
    words = [sys.executable, "-m", "sparx_nas.search", "--space", space, "--format", "json"]
    words += ["--output", str(folder), "--experiment", "tool", *options]
    try:
        yield _watched(words, folder, tree, first_epoch_only)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watched(words: Sequence[str], folder: Path, tree: Path, first_epoch_only: bool) -> Watched:
    """Run the command, and note when it says what."""
    found, begun = Watched(folder / "tool"), time.time()
    paths = os.pathsep.join(filter(None, (str(tree), os.environ.get("PYTHONPATH", ""))))
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": paths},
        )
        try:
            _follow(process, found, begun, first_epoch_only)
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
        if first_epoch_only:
            process.send_signal(signal.SIGINT)
        process.communicate()
        code = process.returncode
        found.seconds = time.time() - begun
        if code not in (0, 128 + signal.SIGINT) or (code and not first_epoch_only):
            said.seek(0)
            raise SystemExit(f"the search ended with {code}:\n{said.read()}")
    _read_log(found, begun)
    return found


def _follow(
    process: subprocess.Popen[str], found: Watched, begun: float, first_epoch_only: bool
) -> None:
    """Read the events as they come; that of the first epoch tells when training began."""
    assert process.stdout is not None
    for line in process.stdout:
        now, event = time.time() - begun, json.loads(line)
        found.marks.setdefault(event["event"], now)
        if event["event"] == "epoch" and found.first_step_s is None:
            took = first_seconds(found.run / "curves.jsonl", event["trial"])
            found.first_step_s = now - took
            if first_epoch_only:
                return


def first_seconds(curves: Path, trial: int) -> float:
    """Return what the first epoch of a trial took, of all its trainings."""
    records = map(json.loads, curves.read_text().splitlines())
    return next(r["seconds"] for r in records if r["kind"] == "epoch" and r["trial"] == trial)


def _read_log(found: Watched, begun: float) -> None:
    """Take from the search's log when trials began and ended."""
    for line in (found.run / "search.log").read_text().splitlines():
        words = line.split()
        if len(words) < 6:
            continue
        try:
            at = datetime.strptime(" ".join(words[:2]), "%Y-%m-%d %H:%M:%S,%f").timestamp() - begun
        except ValueError:
            continue
        if words[3] == "search" and words[4] == "begun":
            found.marks["log_begun"] = at
        if words[3] == "trial" and words[5].startswith(("started", "complete")):
            into = found.starts if words[5].startswith("started") else found.ends
            into[int(words[4])] = at


def shares(
    spans: Sequence[tuple[float, float]],
    spent: dict[str, float],
    *,
    slots: int,
    first_step_s: float,
    seconds: float,
) -> dict[str, float]:
    """Return what the time of all places went into, as shares of it.

    `spans` are when trials began and ended, `spent` the seconds that they trained. `bookkeeping` is
    what trials took besides, and the time in which a place waited for its next trial; `idle` that
    in which there was none any more; `start_up` and `closing` lie before and after all trials.
    """
    # What lies between the hand-over of the first trials and their first step is start-up.
    spans = [(max(start, first_step_s), end) for start, end in spans]
    first, last = first_step_s, max(e for _, e in spans)
    held, tail = sum(end - start for start, end in spans), max(s for s, _ in spans)
    idle = slots * (last - tail) - sum(max(0.0, end - max(start, tail)) for start, end in spans)
    parts = dict(spent)
    parts["start_up"] = slots * first_step_s
    parts["idle"] = max(0.0, idle)
    parts["closing"] = slots * max(0.0, seconds - last)
    between = slots * (last - first) - held - idle
    parts["bookkeeping"] = held - sum(spent.values()) + max(0.0, between)
    whole = slots * seconds
    return {name: round(value / whole, 4) for name, value in parts.items()}
