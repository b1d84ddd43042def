"""How long the scan takes at a network's stages, at least and beside VMamba's."""

import math
import time

import torch
from gpu_parts.common import (
    BOOK,
    CEILINGS,
    DEVICE,
    DRY,
    SHORT,
    STAGES,
    TYPES,
    off,
    replayed,
    say,
    timed,
    torch_scan,
    triton_scan,
    wait,
)
from gpu_parts.vmamba import finish_build, vmamba_cuda, vmamba_plain
from scan_inputs import map_inputs


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
