"""What the benchmarks share: repeated timings, and a JSON record that says where they come from."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy")


def time_it(run: Callable[[], object], *, repeats: int, warm_up: int = 3) -> dict[str, float]:
    """Time `run` one call at a time; n, median, quartiles and extremes in milliseconds.

    `run` has to wait for the device itself.
    """
    for _ in range(warm_up):
        run()
    times_ms = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times_ms.append((time.perf_counter() - start) * 1e3)
    return spread(times_ms)


def spread(times_ms: Sequence[float]) -> dict[str, float]:
    """Return n, median, quartiles and extremes of two or more times."""
    first, median, third = statistics.quantiles(times_ms, n=4)
    return {
        "n": len(times_ms),
        "median_ms": round(median, 4),
        "quartile_1_ms": round(first, 4),
        "quartile_3_ms": round(third, 4),
        "min_ms": round(min(times_ms), 4),
        "max_ms": round(max(times_ms), 4),
    }


def report(
    benchmark: str,
    results: Sequence[Mapping[str, Any]],
    *,
    device: str = "cpu",
    packages: Sequence[str] = PACKAGES,
) -> None:
    """Print a record as JSON: the results, and the machine and versions they belong to."""
    record = {
        "benchmark": benchmark,
        "device": _cpu_name() if device == "cpu" else device,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "threads": _threads(),
        "results": list(results),
    }
    print(json.dumps(record, indent=2))


def _cpu_name() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _threads() -> int:
    """Return how many threads torch uses, 1 where it is not loaded."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else 1
