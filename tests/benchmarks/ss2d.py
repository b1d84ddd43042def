"""Time the scans, forward and backward, beside what a user could pick instead; prints JSON.

`python tests/benchmarks/ss2d.py --peers FOLDER [--threads 2] [--device cuda]`; peers.py says what
the folder holds. On a GPU the shapes are those of SparX-T's four stages at 224 px, batch 128,
float32, and VMamba's own CUDA scan is timed where it is built; ratios are to the first backend.
Values and gradients are compared before anything is timed. A run that takes over SLOW seconds is
timed once, after the shorter ones.

The floors are what forward and backward need at least: the bytes of x, y and gradients, and the
written and read gradient of the steps, at the measured speed of a copy; and the counted arithmetic
at the measured speed of a large matrix product.
"""

import argparse
import time
from pathlib import Path

import peers
import torch
from scan_inputs import map_inputs, sequence_inputs
from timing import report, time_it

from sparx_nas import kernels
from sparx_nas.kernels.library import library

CORES = {
    "cpu": [(32, 8, 8, 192, 6, 1), (16, 28, 28, 192, 6, 1)],
    "cuda": [
        *((128, 56, 56, 192, 6, 1), (128, 28, 28, 384, 12, 1)),
        *((128, 14, 14, 640, 20, 1), (128, 7, 7, 1024, 32, 1)),
    ],
}
SCANS = [(32, 4, 192, 1, 64), (16, 4, 192, 1, 784)]
OURS = {"cpu": ("cpu", "torch"), "cuda": ("triton", "torch")}
SLOW = 5.0
TOLERANCE = 1e-3
REPEATS = 15


def step(function, tensors):
    """Run forward and backward; return the result and all gradients."""
    y = function(*tensors)
    grads = torch.autograd.grad(y, tensors, torch.ones_like(y))
    wait(y)
    return [y.detach(), *grads]


def wait(y) -> None:
    """Wait until a result is there."""
    if y.is_cuda:
        torch.cuda.synchronize()


def difference(got, expected) -> float:
    """Return the largest difference over the spread of what is expected."""
    pairs = zip(got, expected, strict=True)
    return max(float((a - b).abs().max() / b.std().clamp_min(1e-9)) for a, b in pairs)


def measured(function, tensors) -> dict:
    """Time a function, once if it is slow."""
    start = time.perf_counter()
    step(function, tensors)
    first = time.perf_counter() - start
    if first > SLOW:
        return {"n": 1, "median_ms": round(first * 1e3, 2)}
    with torch.no_grad():
        forward = time_it(lambda: wait(function(*tensors)), repeats=REPEATS)
    both = time_it(lambda: step(function, tensors), repeats=REPEATS)
    return both | {"forward_median_ms": forward["median_ms"]}


def drawn(draw, sizes, device) -> list[torch.Tensor]:
    """Return leaves on a device."""
    return [t.detach().to(device).requires_grad_() for t in draw(*sizes)]


def compared(what, sizes, functions, draw, check, device) -> list[dict]:
    """Check and time functions on one shape; ratios are to the first of them."""
    torch.manual_seed(0)
    tensors, small = drawn(draw, sizes, device), drawn(draw, check, device)
    expected = step(functions["torch"], small)
    rows = []
    for name, function in functions.items():
        off = difference(step(function, small), expected)
        assert off <= TOLERANCE, f"{name}: wrong values, {off}"
        rows.append({"what": what, "sizes": sizes, "name": name, "difference": off})
        rows[-1] |= measured(function, tensors)
        rows[-1]["times_first"] = round(rows[-1]["median_ms"] / rows[0]["median_ms"], 1)
    return rows


def floors(batch, height, width, channels, rank, states) -> dict:
    """Return the least that forward and backward could take, in milliseconds."""
    elements = batch * height * width * channels
    data = torch.empty(2**24)
    copied = time_it(lambda: data.clone(), repeats=REPEATS)["median_ms"] / (2 * data.nbytes)
    square = torch.randn(1024, 1024)
    product = time_it(lambda: square @ square, repeats=REPEATS)["median_ms"] / (2 * 1024**3)
    # Read x; write y; read x and the gradient; write and read the gradient of the steps; write x's.
    moved = 4 * elements * (1 + 1 + 2 + 2 * 4 + 1)
    # An element and direction: softplus 40, exponential 22, recurrence 8, all twice with the states
    # computed anew, the way back 22 and the slope 10; the low-rank maps three times each.
    each = 2 * (40 + 22 * states + 8 * states) + 22 * states + 10
    each += 2 * rank * 4 + 6 * (rank + 2 * states)
    return {"bytes_ms": moved * copied, "arithmetic_ms": 4 * elements * each * product}


def main() -> None:
    """Print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = []
    for what, shapes, peer, own, draw, check in (
        ("core", CORES[args.device], peers.cores, kernels.ss2d, map_inputs, (2, 3, 5, 19, 2, 1)),
        (
            "scan",
            SCANS,
            peers.scans,
            kernels.selective_scan,
            sequence_inputs,
            (2, 4, 5, 1, 32),
        ),
    ):
        functions = {
            name: lambda *t, own=own, name=name: own(*t, backend=name) for name in OURS[args.device]
        } | peer(args.peers)
        for sizes in shapes:
            results += compared(what, sizes, functions, draw, check, args.device)
            if what == "core" and args.device == "cpu":
                results.append({"what": "floor", "sizes": sizes} | floors(*sizes))
    if args.device == "cpu":
        results.append({"what": "library", "instruction_set": library().instruction_set})
    device = "cpu" if args.device == "cpu" else torch.cuda.get_device_name()
    report("ss2d", results, device=device)


if __name__ == "__main__":
    main()
