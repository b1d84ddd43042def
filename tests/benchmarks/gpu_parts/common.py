"""What all parts share: the device, the table that is printed, and how calls are timed."""

import statistics
import sys
import time

import torch

import sparx_nas
from sparx_nas import kernels, patterns

DRY = "--dry-run" in sys.argv
DEVICE = torch.device("cpu" if DRY else "cuda")
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
STAGES = [
    *((128, 56, 56, 192, 6, 1), (128, 28, 28, 384, 12, 1)),
    *((128, 14, 14, 640, 20, 1), (128, 7, 7, 1024, 32, 1)),
]
SHORT = [(128, 8, 8, 192, 6, 1), (512, 4, 4, 384, 12, 1), (48, 8, 8, 48, 2, 1)]
if DRY:
    STAGES, SHORT = [(1, 2, 3, 20, 2, 1)], []
BOOK: dict[str, list[str]] = {"failed": [], "short": []}
LINES: list[str] = []
CEILINGS: dict[str, float] = {}


def say(text: str) -> None:
    """Print a line of the table, now and at the end."""
    LINES.append(text)
    print(text, flush=True)


def wait() -> None:
    """Wait for the device."""
    if not DRY:
        torch.cuda.synchronize()


def timed(run, *, budget_s: float = 0.4, most: int = 30) -> dict:
    """Time calls one by one with events, after warm-up; milliseconds with n and quartiles."""
    run()
    wait()
    start = time.perf_counter()
    run()
    wait()
    once = time.perf_counter() - start
    count = 2 if DRY else max(3, min(most, int(budget_s / max(once, 1e-5))))
    spans = []
    for _ in range(count):
        if DRY:
            begin = time.perf_counter()
            run()
            spans.append((time.perf_counter() - begin) * 1e3)
            continue
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        spans.append((begin, end))
    wait()
    spans = spans if DRY else [begin.elapsed_time(end) for begin, end in spans]
    first, median, third = statistics.quantiles(spans, n=4)
    found = {"n": count, "median_ms": median, "quartile_1_ms": first, "quartile_3_ms": third}
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}


def replayed(run, *, budget_s: float = 0.2) -> dict:
    """Time a run as a CUDA graph, which leaves out what the host does; on a CPU as it is."""
    return timed(run if DRY else graphed(run), budget_s=budget_s)


def graphed(step):
    """Return a step as one CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def off(got: torch.Tensor, exact: torch.Tensor) -> float:
    """Return |got - exact| / |exact|; NaN stays NaN."""
    scale = float(exact.double().norm())
    # Of nothing at all the difference itself: a map of one place has no gradient of A.
    return float((got.double() - exact.double()).norm()) / (scale if scale > 1e-20 else 1.0)


def triton_scan(*tensors):
    """Scan a map with Triton."""
    return kernels.ss2d(*tensors, backend="triton")


def torch_scan(*tensors):
    """Scan a map in pure PyTorch, the loop outside autograd."""
    return kernels.ss2d(*tensors, backend="torch")


def design():
    """Return a small design with ganglia in both stages."""
    graph = patterns.dense((1, 2))
    return sparx_nas.Architecture(
        graph=graph, widths=(8, 12) if DRY else (24, 48), reductions=(2, 1)
    )
