"""Time a training step of SparX-Mamba-T as published, and say where the time goes; prints JSON.

`reference` is the official formulation: the step loop over four materialised directions. An older
state of the package is timed by putting it first on PYTHONPATH. Logits are compared first. On a GPU
`triton` fuses the aggregator's channel attention as well, `auto` leaves it to torch.
"""

import argparse
import time

import torch
from timing import report, time_it
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile

import sparx_nas

SIDES = {"cpu": (32, 64), "cuda": (32, 64, 224)}
BACKENDS = {"cpu": ("cpu", "torch", "reference"), "cuda": ("triton", "auto", "torch")}
BATCH, REPEATS, SLOW = {"cpu": 16, "cuda": 128}, 5, 20.0
TOLERANCE = 1e-3
GROUPS = {
    "scan": ("ss2d", "_SS2D"),
    "depthwise and other convolutions": ("depthwise", "conv", "_SmallMap"),
    "matrix products": ("mm", "linear"),
    "norms": ("norm",),
    "activations": ("gelu", "silu", "softmax"),
    "optimiser": ("adam",),
    "copies and sums": ("copy_", "add", "mul", "sum", "cat", "fill_", "zero_"),
}


def network(backend: str) -> torch.nn.Module:
    """Return the published design, equally drawn every time."""
    torch.manual_seed(0)
    space = sparx_nas.load_space("mamba_t")
    return sparx_nas.build(space.baselines["sparx"], 1000, backend=backend)


def step(net, optimizer, x, target) -> None:
    """Train on one batch."""
    optimizer.zero_grad()
    cross_entropy(net(x), target).backward()
    optimizer.step()
    if x.is_cuda:
        torch.cuda.synchronize()


def shares(run) -> dict[str, float]:
    """Return the share of the operators' own time by group, the rest last."""
    cuda = torch.cuda.is_available()
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as profiled:
        run()
    own = {
        e.key: e.self_device_time_total if cuda else e.self_cpu_time_total
        for e in profiled.key_averages()
    }
    total, left, out = sum(own.values()), dict(own), {}
    for group, parts in GROUPS.items():
        hits = [key for key in left if any(part in key.lower() for part in map(str.lower, parts))]
        out[group] = round(sum(left.pop(key) for key in hits) / total, 3)
    return out | {"rest": round(sum(left.values()) / total, 3)}


def measured(side: int, backend: str, device: str) -> dict:
    """Check and time one backend at one image size."""
    torch.manual_seed(1)
    x = torch.randn(BATCH[device], 3, side, side, device=device)
    target = torch.randint(0, 1000, (len(x),), device=device)
    net = network(backend).to(device)
    with torch.no_grad():
        expected = network("torch").to(device).eval()(x[:2])
        off = float((net.eval()(x[:2]) - expected).abs().max() / expected.std())
    assert off <= TOLERANCE, f"{backend}: wrong logits, {off}"
    net.train()
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    start = time.perf_counter()
    step(net, optimizer, x, target)
    first = time.perf_counter() - start
    about = {"side": side, "batch": len(x), "backend": backend, "difference": off}
    if first > SLOW:
        return about | {"n": 1, "median_ms": round(first * 1e3, 1)}
    timed = time_it(lambda: step(net, optimizer, x, target), repeats=REPEATS, warm_up=1)
    return about | timed | {"shares": shares(lambda: step(net, optimizer, x, target))}


def main() -> None:
    """Print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=tuple(SIDES), default="cpu")
    parser.add_argument("--backends", nargs="+", help="default: all that the device has")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    backends = args.backends or BACKENDS[args.device]
    found = [measured(s, name, args.device) for s in SIDES[args.device] for name in backends]
    name = "cpu" if args.device == "cpu" else torch.cuda.get_device_name()
    report("network", found, device=name)


if __name__ == "__main__":
    main()
