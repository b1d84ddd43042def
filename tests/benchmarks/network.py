"""Time a training step of SparX-Mamba-T as published, and say where the time goes; prints JSON.

`reference` is the official formulation: the step loop over four materialised directions. An older
state of the package is timed by putting it first on PYTHONPATH. Logits are compared first.
"""

import argparse
import time

import torch
from timing import report, time_it
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile

import sparx_nas

SIDES, BATCH, REPEATS, SLOW = (32, 64), 16, 5, 20.0
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


def shares(run) -> dict[str, float]:
    """Return the share of the operators' own time by group, the rest last."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run()
    own = {e.key: e.self_cpu_time_total for e in profiled.key_averages()}
    total, left, out = sum(own.values()), dict(own), {}
    for group, parts in GROUPS.items():
        hits = [key for key in left if any(part in key.lower() for part in map(str.lower, parts))]
        out[group] = round(sum(left.pop(key) for key in hits) / total, 3)
    return out | {"rest": round(sum(left.values()) / total, 3)}


def measured(side: int, backend: str) -> dict:
    """Check and time one backend at one image size."""
    torch.manual_seed(1)
    x, target = torch.randn(BATCH, 3, side, side), torch.randint(0, 1000, (BATCH,))
    net = network(backend)
    with torch.no_grad():
        expected = network("torch").eval()(x[:2])
        off = float((net.eval()(x[:2]) - expected).abs().max() / expected.std())
    assert off <= TOLERANCE, f"{backend}: wrong logits, {off}"
    net.train()
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    start = time.perf_counter()
    step(net, optimizer, x, target)
    first = time.perf_counter() - start
    about = {"side": side, "batch": BATCH, "backend": backend, "difference": off}
    if first > SLOW:
        return about | {"n": 1, "median_ms": round(first * 1e3, 1)}
    timed = time_it(lambda: step(net, optimizer, x, target), repeats=REPEATS, warm_up=1)
    return about | timed | {"shares": shares(lambda: step(net, optimizer, x, target))}


def main() -> None:
    """Print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["cpu", "torch", "reference"])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    report("network", [measured(side, name) for side in SIDES for name in args.backends])


if __name__ == "__main__":
    main()
