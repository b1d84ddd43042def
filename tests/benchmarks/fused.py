"""Time fused parts against their modules, forward and backward, side by side; prints JSON.

    python tests/benchmarks/fused.py              # all parts that are here
    python tests/benchmarks/fused.py aggregator --rounds 200

Values and gradients are compared before anything is timed. Both ways take turns in one process,
and `ratio` compares those of the same round.
"""

import argparse
import statistics
import time
from types import SimpleNamespace

import torch
from timing import report
from torch import nn

import sparx_nas
from sparx_nas.kernels import fusing
from sparx_nas.models.aggregator import add_aggregator, aggregate

AGGREGATORS = [(48, 8, 24, 1, 4), (48, 4, 48, 2, 4), (48, 2, 80, 4, 2), (48, 1, 128, 2, 1)]
"""Batch, side, width, sources, reduction: shapes like those of a narrowed training of 16 px."""


def aggregators():
    """Yield what is timed, and a function of no arguments that runs it forward and back."""
    for batch, side, width, sources, reduction in AGGREGATORS:
        plan = SimpleNamespace(
            norm="group", family=SimpleNamespace(norm_eps=1e-5), attention_scale=None
        )
        op = nn.Module()
        op.backend = "auto"
        add_aggregator(
            op, plan, SimpleNamespace(width=width, inner=2 * width, reduction=reduction), sources
        )
        maps = [
            torch.randn(batch, width, side, side)
            .to(memory_format=torch.channels_last)
            .requires_grad_()
            for _ in range(sources + 1)
        ]

        def step(op=op, maps=maps, inner=2 * width):
            y = aggregate(op, maps[0], maps[1:], inner)
            return [y.detach(), *torch.autograd.grad(y, [*maps, *op.parameters()], y.detach())]

        about = {"batch": batch, "side": side, "width": width, "sources": sources}
        yield about | {"reduction": reduction}, step


BLOCKS = [(48, 8, 0), (48, 4, 1), (48, 2, 2), (48, 1, 3)]
"""Batch, side and stage, as in the default proxy of mamba_t."""


def blocks():
    """Yield normal layers of SparX-Mamba-T at a quarter of its width, likewise."""
    space = sparx_nas.load_space("mamba_t")
    net = sparx_nas.build(space.baselines["plain"], 10, in_chans=1, width=0.25, stem_stride=2)
    for batch, side, stage in BLOCKS:
        block = net.layers[stage].blocks[0]
        width = len(block.norm.weight)
        x = torch.randn(batch, width, side, side).to(memory_format=torch.channels_last)
        x.requires_grad_()

        def step(block=block, x=x):
            y = block(x)
            return [y.detach(), *torch.autograd.grad(y, [x, *block.parameters()], y.detach())]

        yield {"batch": batch, "side": side, "width": width}, step


BLOCK_PARTS = ("depthwise", "norm", "projection", "scan", "feed_forward")
PARTS = {"aggregator": (aggregators, ("aggregator",)), "block": (blocks, BLOCK_PARTS)}


def side_by_side(parts, step, rounds):
    """Return times of both ways in milliseconds, and the ratios of rounds."""
    ways = {"modules": (), "fused": parts}
    times = {name: [] for name in ways}
    for number in range(rounds + 3):
        for name in sorted(ways, reverse=bool(number % 2)):
            with fusing.only(*ways[name]):
                start = time.perf_counter()
                step()
                times[name].append((time.perf_counter() - start) * 1e3)
    told = {}
    times = {name: values[3:] for name, values in times.items()}
    pairs = zip(times["modules"], times["fused"], strict=True)
    times["ratio"] = [modules / fused for modules, fused in pairs]
    for name, values in times.items():
        first, median, third = (round(q, 3) for q in statistics.quantiles(values, n=4))
        told[name] = {"n": rounds, "median": median, "quartile_1": first, "quartile_3": third}
    return told


def main() -> None:
    """Print the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition(";")[0])
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=50)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    results = []
    for part in asked.parts or PARTS:
        cases, fused = PARTS[part]
        for about, step in cases():
            with fusing.only():
                expected = step()
            with fusing.only(*fused):
                got = step()
            for a, b in zip(got, expected, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()) + 1e-4)
            results.append({"part": part, **about, **side_by_side(fused, step, asked.rounds)})
    report("fused", results)


if __name__ == "__main__":
    main()
