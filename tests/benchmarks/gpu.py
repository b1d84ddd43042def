"""Check and time the GPU kernels in one command; writes a JSON record a part into a folder.

`python tests/benchmarks/gpu.py --out FOLDER [--minutes 8] [--peers FOLDER] [--parts ...]` needs
torch, Triton, numpy and timm. Parts run in order of their worth until the minutes are up; one that
fails is told in the table at the end and stops no other. `--dry-run` goes through every line on a
CPU, with tiny shapes and Triton's interpreter. `--peers` holds a checkout `VMamba` whose CUDA scan
is built beside the first parts; peers.py says more. An older state of the package is measured by
putting it first on PYTHONPATH.

Values are compared with float64, as the norm of the difference over the norm of what is expected,
with fresh inputs and outputs that are poisoned before; only then is anything timed.
"""

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
if "--dry-run" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"
sys.path += [str(HERE), str(HERE.parent.parent)]

import torch  # noqa: E402
from scan_inputs import map_inputs, sequence_inputs  # noqa: E402
from torch.nn.functional import cross_entropy, linear, softplus  # noqa: E402

import sparx_nas  # noqa: E402
from sparx_nas import kernels, patterns  # noqa: E402
from sparx_nas.kernels import reference  # noqa: E402
from sparx_nas.kernels.backends import triton_scans  # noqa: E402
from sparx_nas.kernels.channel_attention import channel_attention  # noqa: E402
from sparx_nas.kernels.convolution import PointwiseConv2d  # noqa: E402

with contextlib.suppress(ImportError):  # an older state of the package has no such file
    from sparx_nas.kernels import triton_tiles

DRY = "--dry-run" in sys.argv
DEVICE = torch.device("cpu" if DRY else "cuda")
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
LIMITS = {"fp32": 1e-5, "bf16": 1e-2}
MAPS = [
    *((2, 1, 1, 5, 1, 1), (1, 1, 7, 3, 2, 1), (2, 3, 7, 19, 2, 1), (1, 5, 7, 67, 3, 1)),
    *((2, 8, 8, 96, 6, 1), (3, 7, 7, 128, 32, 1), (2, 14, 14, 200, 20, 1), (1, 2, 3, 8, 40, 1)),
    *((2, 9, 5, 33, 3, 2), (1, 6, 7, 40, 5, 16), (2, 28, 27, 192, 12, 1), (1, 56, 56, 96, 6, 1)),
]
SEQUENCES = [(1, 1, 1, 1, 1), (2, 3, 5, 1, 33), (1, 2, 7, 4, 18), (3, 4, 96, 1, 200)]
ATTENTIONS = [
    *((2, 96, 24, (7, 7), (28, 28)), (2, 320, 80, (7, 7), (14, 14)), (1, 12, 3, (2, 2), (5, 7))),
    *((2, 512, 128, (7, 7), (7, 7)), (1, 70, 35, (9, 9), (3, 3))),
]
STAGES = [
    *((128, 56, 56, 192, 6, 1), (128, 28, 28, 384, 12, 1)),
    *((128, 14, 14, 640, 20, 1), (128, 7, 7, 1024, 32, 1)),
]
SHORT = [(128, 8, 8, 192, 6, 1), (512, 4, 4, 384, 12, 1), (48, 8, 8, 48, 2, 1)]
SWEEP = {
    "forward": [(8, 64, 1), (4, 64, 1), (4, 128, 1), (4, 32, 1), (8, 32, 1), (2, 64, 1)],
    "against": [(4, 64, 1), (8, 64, 1), (4, 128, 1), (4, 32, 1), (8, 32, 1)],
    "along": [(2, 64, 1), (4, 64, 1), (2, 128, 1), (4, 32, 1), (8, 32, 1)],
    "merge": [(32, 64, 4), (64, 64, 4)],
    "outer": [(64, 64, 4), (32, 64, 4), (64, 64, 8)],
    "project": [(64, 64, 4), (128, 64, 8), (64, 32, 2)],
}
if DRY:
    MAPS, SEQUENCES, ATTENTIONS = MAPS[1:3], SEQUENCES[1:2], ATTENTIONS[2:3]
    STAGES, SHORT = [(1, 2, 3, 20, 2, 1)], []
    SWEEP = {"forward": [(2, 32, 1)], "along": [(2, 32, 1)], "merge": [(16, 16, 1)]}
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


def off(got: torch.Tensor, exact: torch.Tensor) -> float:
    """Return |got - exact| / |exact|; NaN stays NaN."""
    scale = float(exact.double().norm())
    # Of nothing at all the difference itself: a map of one place has no gradient of A.
    return float((got.double() - exact.double()).norm()) / (scale if scale > 1e-20 else 1.0)


@contextlib.contextmanager
def poisoned():
    """Fill what torch.empty gives with NaN."""
    names = ("empty", "empty_like")
    kept = {name: getattr(torch, name) for name in names}

    def spoil(make):
        def made(*args, **named):
            out = make(*args, **named)
            return out.fill_(math.nan) if out.is_floating_point() else out

        return made

    for name in names:
        setattr(torch, name, spoil(kept[name]))
    try:
        yield
    finally:
        for name in names:
            setattr(torch, name, kept[name])


def compared(function, exact, tensors, halves) -> list[float]:
    """Return how far the result and each gradient are off; the first `halves` tensors are maps."""
    given = [t.detach().to(DEVICE) for t in tensors]
    exact_in = [t.double().requires_grad_() for t in given]
    y = exact(*exact_in)
    weight = torch.randn_like(y).to(halves[1]).double()
    wanted = [y, *torch.autograd.grad(y, exact_in, weight)]
    own = [t.to(halves[1]) if i in halves[0] else t for i, t in enumerate(given)]
    with poisoned():
        own = [t.requires_grad_() for t in own]
        out = function(*own)
        got = [out, *torch.autograd.grad(out, own, weight.to(out.dtype))]
    assert all(t.shape == w.shape for t, w in zip(got, wanted, strict=True))
    return [off(t.detach(), w.detach()) for t, w in zip(got, wanted, strict=True)]


def rounded(tensors, maps, kind):
    """Bring maps to what their type can hold, so that both sides see the same inputs."""
    return [(t.to(kind).float() if i in maps else t).detach() for i, t in enumerate(tensors)]


def judged(name: str, kind: str, found: list[float]) -> dict:
    """Record the greatest error of a case, and say if it is too large."""
    worst = max(found) if not any(map(math.isnan, found)) else math.nan
    if not worst <= LIMITS[kind]:
        BOOK["failed"].append(f"{name} {kind}: off by {worst:.2g}")
    return {"case": name, "type": kind, "value": found[0], "worst_gradient": max(found[1:])}


def check() -> dict:
    """Compare every Triton kernel and a network with float64."""
    torch.backends.cudnn.allow_tf32 = False
    rows = []
    ranks = [(6, 1), (12, 1), (20, 1), (32, 1), (40, 1), (6, 2)]
    warm([((1, 2, 3, 8, r, n), kind, "", ()) for kind in TYPES for r, n in ranks])
    for kind, dtype in TYPES.items():
        for sizes in MAPS:
            tensors = rounded(map_inputs(*sizes), (0,), dtype)
            exact = reference.ss2d if sizes[1] * sizes[2] <= 64 else torch_scan
            own = compared(triton_scan, exact, tensors, ((0,), dtype))
            rows.append(judged(f"ss2d {sizes}", kind, own))
        for sizes in SEQUENCES:
            tensors = rounded(sequence_inputs(*sizes), (0,), dtype)
            own = compared(one_way, reference.selective_scan, tensors, ((0,), dtype))
            rows.append(judged(f"scan {sizes}", kind, own))
        for batch, channels, group, small, large in ATTENTIONS:
            shapes = [(batch, channels, *small)] * 2 + [(batch, channels, *large)]
            tensors = rounded([torch.randn(s) for s in shapes], (0, 1, 2), dtype)

            def fused(*t, group=group):
                return channel_attention(*t, group, backend="triton")

            def plain(*t, group=group):
                return channel_attention(*t, group, backend="torch")

            own = compared(fused, plain, tensors, ((0, 1, 2), dtype))
            rows.append(judged(f"attention {channels} of {group} {small} {large}", kind, own))
        rows.append(judged("network", kind, whole_network(dtype)))
    again = [
        triton_scan(*[t.to(DEVICE) for t in tensors]) for tensors in [map_inputs(*MAPS[0])] * 2
    ]
    same = bool((again[0] == again[1]).all())
    worst = {
        k: max(max(r["value"], r["worst_gradient"]) for r in rows if r["type"] == k) for k in TYPES
    }
    say(
        f"values and gradients: {len(rows)} cases, worst "
        + ", ".join(f"{k} {v:.1e}" for k, v in worst.items())
    )
    return {"limits": LIMITS, "same_bits": same, "worst": worst, "rows": rows}


def triton_scan(*tensors):
    """Scan a map with Triton."""
    return kernels.ss2d(*tensors, backend="triton")


def torch_scan(*tensors):
    """Scan a map in pure PyTorch, the loop outside autograd."""
    return kernels.ss2d(*tensors, backend="torch")


def one_way(*tensors):
    """Scan sequences with Triton."""
    return kernels.selective_scan(*tensors, backend="triton")


def design():
    """Return a small design with ganglia in both stages."""
    graph = patterns.dense((1, 2))
    return sparx_nas.Architecture(
        graph=graph, widths=(8, 12) if DRY else (24, 48), reductions=(2, 1)
    )


def whole_network(dtype) -> list[float]:
    """Return how far logits and all gradients of a network are off, as one vector each."""
    found = []
    x = torch.randn(2, 3, *[8 if DRY else 32] * 2).to(DEVICE)
    for backend, kind in (("triton", torch.float32), ("torch", torch.float64)):
        torch.manual_seed(0)
        net = sparx_nas.build(design(), 3, stem_stride=2, backend=backend).to(DEVICE, kind).eval()
        cast = torch.autocast(DEVICE.type, dtype, enabled=dtype != kind and kind != torch.float64)
        with cast:
            logits = net(x.to(kind))
        logits.double().square().sum().backward()
        grads = torch.cat([p.grad.flatten().double() for p in net.parameters()])
        found.append((logits.detach(), grads))
    # Every layer rounds in half precision, so that is no error of a kernel: a looser bound.
    return [off(a, b) / (1 if dtype == torch.float32 else 8) for a, b in zip(*found, strict=True)]


def vmamba_plain(x, x_proj, dt_weight, dt_bias, A_logs, Ds):
    """Scan a map as VMamba does: four materialised directions, a Python loop over positions."""
    batch, height, width, channels = x.shape
    rank, states = dt_weight.shape[2], A_logs.shape[1]
    rows = x.permute(0, 3, 1, 2)
    both = torch.stack([rows.flatten(2), rows.transpose(2, 3).flatten(2)], 1)
    rows = torch.cat([both, both.flip(3)], 1)
    codes = torch.einsum("bkdl,kcd->bkcl", rows, x_proj.view(4, -1, channels).to(x.dtype))
    code, B, C = codes.split([rank, states, states], 2)
    delta = torch.einsum("bkrl,kdr->bkdl", code, dt_weight.to(x.dtype))
    step = softplus(delta.float() + dt_bias[:, :, None])
    A = -torch.exp(A_logs).view(4, channels, states)
    state, out = torch.zeros(batch, 4, channels, states, device=x.device), []
    for t in range(height * width):
        d = step[..., t, None]
        drive = d * B[:, :, None, :, t].float() * rows[..., t, None].float()
        state = torch.exp(d * A) * state + drive
        out.append((state * C[:, :, None, :, t].float()).sum(3))
    y = torch.stack(out, 3) + Ds.view(4, channels, 1) * rows.float()
    y = y[:, :2] + y[:, 2:].flip(3)
    columns = y[:, 1].unflatten(2, (width, height)).transpose(2, 3).flatten(2)
    return (y[:, 0] + columns).transpose(1, 2).reshape(x.shape).to(x.dtype)


def vmamba_cuda(folder: Path):
    """Return VMamba's own pipeline with its CUDA scan and Triton reorderings, once it is built."""
    import peers

    orders = peers.load(folder / "VMamba/classification/models/csm_triton.py")
    scans = peers.load(folder / "VMamba/classification/models/csms6s.py")

    def core(x, x_proj, dt_weight, dt_bias, A_logs, Ds):
        batch, height, width, channels = x.shape
        rank, states = dt_weight.shape[2], A_logs.shape[1]
        rows = orders.cross_scan_fn(x.permute(0, 3, 1, 2).contiguous())
        codes = torch.einsum("bkdl,kcd->bkcl", rows, x_proj.view(4, -1, channels).to(x.dtype))
        code, B, C = codes.split([rank, states, states], 2)
        delta = torch.einsum("bkrl,kdr->bkdl", code, dt_weight.to(x.dtype))
        flat = (t.reshape(batch, -1, height * width).contiguous() for t in (rows, delta))
        A, bias = -torch.exp(A_logs), dt_bias.flatten()
        y = scans.selective_scan_fn(*flat, A, B.contiguous(), C.contiguous(), Ds, bias, True, True)
        merged = orders.cross_merge_fn(y.view(batch, 4, channels, height, width))
        return merged.view(batch, channels, -1).transpose(1, 2).reshape(x.shape).to(x.dtype)

    return core


BUILD = """
import sys, pathlib
from torch.utils.cpp_extension import load
root = pathlib.Path(sys.argv[1]).resolve() / "VMamba/kernels/selective_scan/csrc/selective_scan"
lost = pathlib.Path(sys.argv[2]) / "lost.h"
lost.write_text(sys.argv[3])
flags = ["-O3", "--expt-relaxed-constexpr", "--expt-extended-lambda", "--use_fast_math"]
flags += [f"-U__CUDA_NO_{n}__" for n in ("HALF_OPERATORS", "HALF_CONVERSIONS",
          "BFLOAT16_OPERATORS", "BFLOAT16_CONVERSIONS", "BFLOAT162_OPERATORS")]
names = ("selective_scan_oflex.cpp", "selective_scan_core_fwd.cu", "selective_scan_core_bwd.cu")
load("selective_scan_cuda_oflex", [str(root / "cusoflex" / n) for n in names],
     extra_cuda_cflags=[*flags, "-include", str(lost)], extra_include_paths=[str(root)],
     build_directory=sys.argv[2])
"""
LOST = """
#pragma once
#include <cub/cub.cuh>
#if __CUDACC_VER_MAJOR__ >= 13
namespace cub {
__device__ __forceinline__ void CTA_SYNC() { __syncthreads(); }
__device__ __forceinline__ unsigned LaneId() {
  unsigned lane;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  return lane;
}
}
#endif
"""
"""What CUDA 13 has lost and the peer's sources call."""


def start_build(peers_folder: Path | None, out: Path):
    """Compile VMamba's scan in a process of its own, if its sources are there."""
    if DRY or peers_folder is None or not (peers_folder / "VMamba").is_dir():
        return None
    if any(peers_folder.glob("selective_scan_cuda_oflex*.so")):
        sys.path.append(str(peers_folder))
        return ()
    place = out.resolve() / "build"
    place.mkdir(parents=True, exist_ok=True)
    major, minor = torch.cuda.get_device_capability()
    env = os.environ | {"TORCH_CUDA_ARCH_LIST": f"{major}.{minor}", "MAX_JOBS": "3"}
    words = [sys.executable, "-c", BUILD, str(peers_folder), str(place), LOST]
    log = (place / "log").open("w")
    sys.path.append(str(place))
    return subprocess.Popen(words, env=env, stdout=log, stderr=log), place


def finish_build(building, seconds: float) -> str:
    """Wait for the build; say why it is not there, or nothing."""
    if building is None:
        return "no sources of VMamba given"
    if not building:
        return ""
    process, place = building
    try:
        failed = process.wait(max(seconds, 1))
    except subprocess.TimeoutExpired:
        process.kill()
        return "not built in time"
    return (place / "log").read_text()[-1500:] if failed else ""


def ceilings() -> dict:
    """Measure a copy and a matrix product."""
    count = 2**20 if DRY else 2**30
    a, b = (torch.randn(count // 2, device=DEVICE) for _ in range(2))
    copy = timed(lambda: b.copy_(a))
    side = 64 if DRY else 8192
    m, n = (torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    product = timed(lambda: m @ n)
    CEILINGS["bytes_s"] = 2 * a.nbytes / copy["median_ms"] * 1e3
    CEILINGS["flop_s"] = 2 * side**3 / product["median_ms"] * 1e3
    told = f"copy {CEILINGS['bytes_s'] / 1e12:.2f} TB/s"
    say(f"{told}, bf16 product {CEILINGS['flop_s'] / 1e12:.0f} TFLOP/s")
    return {"copy": copy, "product": product} | CEILINGS


def floors(sizes, dtype) -> dict:
    """Return the least that a core could take: its maps' bytes; 3 and 7 special functions."""
    batch, height, width, channels, *_ = sizes
    elements = batch * height * width * channels
    size = torch.empty(0, dtype=dtype).element_size()
    special = 1.0 if DRY else 16 * torch.cuda.get_device_properties(0).multi_processor_count * 1.7e9
    found = {}
    for name, maps, functions in (("forward", 2, 2), ("both", 5, 7)):
        by_bytes = maps * elements * size / CEILINGS["bytes_s"] * 1e3
        by_functions = 4 * elements * functions / special * 1e3
        found[name] = {
            "bytes_ms": round(by_bytes, 4),
            "special_functions_ms": round(by_functions, 4),
        }
    return found


def core_time(function, sizes, dtype, *, once: bool = False, budget_s: float = 0.3) -> dict:
    """Time a core forward, and forward with backward."""
    tensors = [t.detach().to(DEVICE) for t in map_inputs(*sizes)]
    x = tensors[0].to(dtype)
    given = [t.requires_grad_() for t in (x, *tensors[1:])]
    weight = torch.randn_like(x)

    def both():
        y = function(*given)
        return torch.autograd.grad(y, given, weight)

    if once:
        both()
        wait()
        start = time.perf_counter()
        both()
        wait()
        return {"n": 1, "both": {"median_ms": round((time.perf_counter() - start) * 1e3, 2)}}
    if not DRY:
        torch.cuda.reset_peak_memory_stats()
    with torch.no_grad():
        forward = timed(lambda: function(*given), budget_s=budget_s)
    found = {"forward": forward, "both": timed(both, budget_s=budget_s)}
    if not DRY:
        found["peak_bytes"] = torch.cuda.max_memory_allocated()
    with torch.no_grad():
        found["forward_graph"] = replayed(lambda: function(*given))
    found["both_graph"] = replayed(both)
    return found


def cores(until: float) -> dict:
    """Time SS2D at the stages, and at short sequences, beside its peers."""
    rows = []
    for sizes in (*STAGES, *SHORT):
        for kind, dtype in TYPES.items() if sizes in STAGES[2:3] else [("bf16", torch.bfloat16)]:
            row = {"sizes": sizes, "type": kind, "floors": floors(sizes, dtype)}
            row["triton"] = core_time(triton_scan, sizes, dtype)
            rows.append(row)
    for row in rows:
        sizes, dtype = tuple(row["sizes"]), TYPES[row["type"]]
        # The loops over positions are slow: fewer samples, timed once, scaled to the batch.
        few = (max(1, sizes[0] // 16), *sizes[1:])
        if time.monotonic() < until:
            row["torch"] = core_time(torch_scan, few, dtype, once=True) | {"batch": few[0]}
        if time.monotonic() < until and sizes[1] * sizes[2] <= 200:
            row["vmamba_plain"] = core_time(vmamba_plain, few, dtype, once=True) | {"batch": few[0]}
        say(line(row, sizes))
    return {"rows": rows}


def vmamba(building, peers_folder, until: float) -> dict:
    """Time VMamba's pipeline with its CUDA scan, beside ours again."""
    why = finish_build(building, min(60, until - time.monotonic()))
    if why:
        BOOK["short"].append(f"VMamba's CUDA scan was not measured: {why[-300:]}")
        return {"missing": why}
    core, rows = vmamba_cuda(peers_folder), []
    for sizes in (*STAGES, *SHORT):
        row = {"sizes": sizes, "type": "bf16", "off": peer_off(core, sizes, torch.bfloat16)}
        for name, function in (("vmamba", core), ("triton", triton_scan)):
            row[name] = core_time(function, sizes, torch.bfloat16)
        kinds = [k for k in row["triton"] if k != "peak_bytes"]
        took = {n: {k: row[n][k]["median_ms"] for k in kinds} for n in ("vmamba", "triton")}
        row["times"] = {k: round(took["vmamba"][k] / took["triton"][k], 2) for k in kinds}
        rows.append(row)
        spans = ", ".join(f"{k} {v:.3f}" for k, v in took["vmamba"].items())
        say(f"VMamba's CUDA {sizes[:4]}: {spans} ms; over ours {row['times']}; off {row['off']}")
    means = {}
    for name, few in (("stages", rows[:4]), ("short", rows[4:])):
        for k in kinds:
            means[f"{name} {k}"] = round(math.prod(r["times"][k] for r in few) ** (1 / len(few)), 2)
    say(f"VMamba's CUDA over ours, geometric means: {means}")
    for name, aim in (("stages both_graph", 2.5), ("short both_graph", 4.0)):
        if means[name] < aim:
            BOOK["short"].append(f"{name}: {means[name]} times VMamba, {aim} were aimed at")
    return {"geometric_means": means, "rows": rows}


def peer_off(core, sizes, dtype) -> list[float]:
    """Return how far a peer's value and gradients of x are, then ours, from float64."""
    tensors = [t.detach().to(DEVICE) for t in map_inputs(2, *sizes[1:])]
    x, found = tensors[0].to(dtype), []
    weight = torch.randn_like(x)
    for function, wide in ((torch_scan, torch.float64), (core, None), (triton_scan, None)):
        own = [t.to(wide or t.dtype).requires_grad_() for t in (x.detach(), *tensors[1:])]
        y = function(*own)
        grads = torch.autograd.grad(y, own, weight.to(y.dtype))
        found.append([y.detach(), *grads])
    return [
        round(
            off(
                torch.cat([a.flatten().double() for a in got]),
                torch.cat([b.flatten() for b in found[0]]),
            ),
            7,
        )
        for got in found[1:]
    ]


def line(row: dict, sizes) -> str:
    """Say a row of the cores in a line."""
    own, least = row["triton"], row["floors"]
    text = f"ss2d {row['type']} {sizes[0]}x{sizes[1]}x{sizes[2]} D {sizes[3]}: as a graph "
    text += f"{own['forward_graph']['median_ms']:.3f} / {own['both_graph']['median_ms']:.3f} ms"
    text += f", eager {own['forward']['median_ms']:.3f} / {own['both']['median_ms']:.3f} ms"
    for name in ("torch", "vmamba_plain"):
        if name in row:
            scale = sizes[0] / row[name].get("batch", sizes[0])
            text += f", {name} {row[name]['both']['median_ms'] * scale:.1f}"
    shares = {k: max(least[k].values()) / own[f"{k}_graph"]["median_ms"] for k in least}
    row["of_floor"] = {k: round(v, 3) for k, v in shares.items()}
    if not DRY and shares["both"] < 0.45:
        BOOK["short"].append(f"ss2d {sizes[:4]}: {shares['both']:.0%} of its floor (45 % aimed at)")
    return text + f"; of its floor {shares['forward']:.0%} / {shares['both']:.0%}"


def train_step(backend: str, side: int, batch: int, last: bool):
    """Return a training step of SparX-Mamba-T under bf16 autocast, and its network."""
    import timm

    import sparx_nas.models

    torch.manual_seed(0)
    if DRY:
        net = sparx_nas.build(design(), 10, stem_stride=2, backend=backend)
    else:
        net = timm.create_model("sparx_mamba_t")
        for module in net.modules():
            if hasattr(module, "backend"):
                module.backend = backend
    layout = torch.channels_last if last else torch.contiguous_format
    net = net.to(DEVICE).to(memory_format=layout).train()
    optimizer = torch.optim.AdamW(net.parameters(), fused=True, capturable=not DRY)
    x = torch.randn(batch, 3, side, side, device=DEVICE).to(memory_format=layout)
    target = torch.randint(0, 10, (batch,), device=DEVICE)

    def step():
        optimizer.zero_grad()
        with torch.autocast(DEVICE.type, torch.bfloat16):
            loss = cross_entropy(net(x).float(), target)
        loss.backward()
        optimizer.step()
        return loss

    return step


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


def training(until: float) -> dict:
    """Time training steps, eager and as a graph, by backend, layout and way of 1x1 convolutions."""
    rows = []
    cases = [(8, 2)] if DRY else [(224, 128), (32, 128)]
    ways = [
        ("auto", True, False),
        ("auto", True, True),
        ("triton", True, False),
        ("auto", False, False),
    ]
    for side, batch in cases:
        for backend, last, as_products in [("auto", True, True)] if DRY else ways:
            if time.monotonic() > until:
                BOOK["short"].append(
                    f"no time for training {side} px, {backend}, {last}, {as_products}"
                )
                continue
            with products() if as_products else contextlib.nullcontext():
                step = train_step(backend, side, batch, last)
                row = {"side": side, "batch": batch, "backend": backend, "channels_last": last}
                row |= {"products_1x1": as_products, "eager": timed(step, budget_s=1.2, most=12)}
                if not DRY:
                    row["graph"] = timed(graphed(step), budget_s=1.2, most=12)
            rates = {k: batch / row[k]["median_ms"] * 1e3 for k in ("eager", "graph") if k in row}
            row["images_s"] = {k: round(v, 1) for k, v in rates.items()}
            rows.append(row)
            name = backend + ", channels last" * last + ", 1x1 as products" * as_products
            told = ", ".join(f"{k} {v:.0f}" for k, v in rates.items())
            say(f"training {side} px, {name}: {told} images/s")
            del step
            if not DRY:
                torch.cuda.empty_cache()
    return {"rows": rows}


@contextlib.contextmanager
def products():
    """Compute 1x1 convolutions of channels-last maps as products of matrices."""
    own = PointwiseConv2d.forward

    def forward(self, x):
        rows = x.permute(0, 2, 3, 1)
        if not rows.is_contiguous():
            return own(self, x)
        return linear(rows, self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)

    PointwiseConv2d.forward = forward
    try:
        yield
    finally:
        PointwiseConv2d.forward = own


def trials() -> dict:
    """Time the default short training of a trial, without the search around it."""
    from sparx_nas.training.loop import Recipe, Training

    from sparx_nas.data import open_data
    from sparx_nas.trial import Fidelity

    data = open_data("digits", data_dir=None, image_size=16, seed=0, limit=60 if DRY else None)
    space = sparx_nas.load_space("mamba_t")
    rows = []
    for seed in range(1 if DRY else 2):
        told = {"data": "digits", "data_id": "", "epochs": 1 if DRY else 4, "batch_size": 48}
        told |= {"image_size": 16, "width": 0.25, "stem_stride": 2, "seed": seed}
        start = time.perf_counter()
        one = Training(
            space.baselines["sparx"],
            data,
            fidelity=Fidelity(**told),
            recipe=Recipe(),
            device=DEVICE,
        )
        epochs = [one.run_epoch() for _ in range(told["epochs"])]
        seconds = time.perf_counter() - start
        rows.append({"seconds": round(seconds, 2), "top1": epochs[-1].top1})
    say(f"trials: {rows[-1]['seconds']} s a trial, top-1 {rows[-1]['top1']:.3f}")
    return {"rows": rows, "note": "one trial after another; no Ray, no sampler"}


def warm(tasks) -> None:
    """Compile what tasks need side by side, into the cache that all processes share."""
    if not DRY:
        with multiprocessing.get_context("spawn").Pool(14) as pool:
            pool.map(warm_one, tasks, chunksize=1)


def warm_one(task) -> None:
    """Run a scan forward and back: sizes, type, and a tile for one kernel or none."""
    sizes, kind, name, tile = task
    if name:
        triton_tiles.TILES[name] = triton_tiles.Tile(*tile)
    with contextlib.suppress(Exception):
        tensors = [t.detach().to(DEVICE) for t in map_inputs(*sizes)]
        y = triton_scan(tensors[0].to(TYPES[kind]).requires_grad_(), *tensors[1:])
        y.sum().backward()


def scan_time(forward: bool, sizes) -> dict:
    """Time the scan of a stage, or its way back, as a graph and outside autograd."""
    scans = triton_scans()
    x, *rest = (t.detach().to(DEVICE) for t in map_inputs(*sizes))
    x = x.bfloat16()
    given = torch.randn_like(x)
    if forward:
        return replayed(lambda: scans.ss2d(x, *rest), budget_s=0.06)
    return replayed(lambda: scans.ss2d_backward(given, x, *rest), budget_s=0.06)


def sweep(out: Path, write: bool) -> dict:
    """Try tile sizes, one kernel at a time, and keep the fastest sum over the stages."""
    every = [(name, tile) for name, tiles in SWEEP.items() for tile in tiles]
    warm([((1, 4, 4, 32, r, 1), "bf16", *one) for r in (6, 20) for one in every])
    tiles, rows, shapes = triton_tiles.TILES, [], STAGES
    for name, candidates in SWEEP.items():
        before, best = tiles[name], (math.inf, tiles[name])
        for candidate in candidates:
            tiles[name] = triton_tiles.Tile(*candidate)
            row = {"kernel": name, "tile": candidate}
            try:
                found = [scan_time(name in ("forward", "project"), s) for s in shapes]
                row["median_ms"] = [f["median_ms"] for f in found]
                # Every stage counts the same, whatever its size.
                cost = math.prod(row["median_ms"])
                best = min(best, (cost, tiles[name]))
            except Exception as error:  # a tile may ask for more than the card has
                row["failed"] = str(error)[:200]
            rows.append(row)
            print(row, flush=True)
        tiles[name] = best[1] if math.isfinite(best[0]) else before
    winners = {name: tuple(tile) for name, tile in tiles.items()}
    say("tiles (rows, channels, warps): " + ", ".join(f"{n} {t}" for n, t in winners.items()))
    if write:
        write_tiles(Path(triton_tiles.__file__), winners)
        write_tiles(Path(triton_tiles.__file__), winners, out / "triton_tiles.py")
    return {"rows": rows, "winners": winners}


def write_tiles(source: Path, winners, target: Path | None = None) -> None:
    """Write the tiles into the file that the kernels read."""
    lines = []
    for text in source.read_text().splitlines():
        name = text.strip().split('"')[1] if text.startswith('    "') else ""
        tile = ", ".join(map(str, winners.get(name, ())))
        lines.append(f'    "{name}": Tile({tile}),' if name in winners else text)
    (target or source).write_text("\n".join(lines) + "\n")


def profiled() -> dict:
    """Say where the time of a training step goes, by kernel."""
    from torch.profiler import ProfilerActivity, profile

    rows = []
    kind = ProfilerActivity.CPU if DRY else ProfilerActivity.CUDA
    for side, batch in [(8, 2)] if DRY else [(224, 128), (32, 128)]:
        step = train_step("auto", side, batch, True)
        for _ in range(1 if DRY else 3):
            step()
        wait()
        with profile(activities=[kind]) as run:
            step()
            wait()
        name = "self_cpu_time_total" if DRY else "self_device_time_total"
        own = sorted(((getattr(e, name), e.key, e.count) for e in run.key_averages()), reverse=True)
        total = sum(o[0] for o in own)
        launches = sum(o[2] for o in own)
        top = [
            {"kernel": k[:120], "share": round(t / total, 4), "count": n} for t, k, n in own[:25]
        ]
        rows.append({"side": side, "device_ms": total / 1e3, "kernels": launches, "top": top})
        say(
            f"profile {side} px: {total / 1e3:.1f} ms on the device, {launches} kernels; most: "
            + ", ".join(f"{t['kernel'][:40]} {t['share']:.0%}" for t in top[:6])
        )
    return {"rows": rows}


def about() -> dict:
    """Return the device and the versions."""
    names = ("torch", "triton", "numpy", "timm")
    found = {"device": "cpu, dry run", "versions": {n: version(n) for n in names}}
    if not DRY:
        p = torch.cuda.get_device_properties(0)
        found |= {
            "device": p.name,
            "multiprocessors": p.multi_processor_count,
            "l2_bytes": p.L2_cache_size,
        }
        found["cuda"] = torch.version.cuda
    return found | {
        "python": sys.version.split()[0],
        "package": str(Path(sparx_nas.__file__).parent),
    }


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--parts", nargs="+")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--write-tiles", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    end = start + 60 * args.minutes
    torch.manual_seed(int.from_bytes(os.urandom(4)))
    building = start_build(args.peers, args.out)
    parts = {
        "check": check,
        "sweep": lambda: sweep(args.out, args.write_tiles),
        "ss2d": lambda: cores(end),
        "vmamba": lambda: vmamba(building, args.peers, end),
        "training": lambda: training(end),
        "profile": profiled,
        "trials": trials,
    }
    about_now = about()
    print(json.dumps(about_now), flush=True)
    for name, part in {"ceilings": ceilings, **parts}.items():
        if args.parts and name not in (*args.parts, "ceilings"):
            continue
        begun = time.monotonic()
        if begun > end:
            BOOK["short"].append(f"no time for {name}")
            continue
        try:
            record = part()
        except Exception:
            traceback.print_exc()
            BOOK["failed"].append(f"{name}: {traceback.format_exc().splitlines()[-1][:300]}")
            record = {"failed": traceback.format_exc()[-3000:]}
        record = {
            "benchmark": f"gpu {name}",
            **about_now,
            "seconds": round(time.monotonic() - begun, 1),
        } | record
        (args.out / f"gpu_{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        print(f"[{name} {record['seconds']} s, {end - time.monotonic():.0f} s left]", flush=True)
    print("\n" + "\n".join(LINES))
    for kind, told in BOOK.items():
        print(f"{kind}: " + ("; ".join(told) if told else "nothing"))


if __name__ == "__main__":
    main()
