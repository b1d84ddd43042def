"""Train SparX-Mamba-T's wiring, narrowed, to segment scenes of digits, beside the plain wiring.

`python tests/benchmarks/segmentation.py`; prints JSON. Mean IoU over 11 classes on scenes of digits
that no training saw, for every seed, and of the best constant answer. It shows that the backbone
learns a dense task, and is far too small to rank wirings.
"""

import argparse
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from timing import report

sys.path.insert(0, str(Path(__file__).parent.parent))

import sparx_nas
from sparx_nas.models import DenseBackbone
from support import digit_scenes as scenes  # tests/, on the path since the line above

WIDTHS, NECK = (16, 32, 48, 64), 32
SIDE, BATCH, LR, TESTED = 64, 16, 1e-2, 200
TEST_SEED = 1


def trained(architecture: sparx_nas.Architecture, steps: int, seed: int) -> scenes.Segmenter:
    """Return a network after so many steps on scenes of its own seed."""
    torch.manual_seed(seed)
    net = scenes.Segmenter(DenseBackbone(architecture, in_chans=1), NECK)
    scenes.fit(net, steps=steps, batch=BATCH, side=SIDE, seed=seed, lr=LR)
    return net


def measured(name: str, steps: int, seeds: int) -> dict[str, Any]:
    """Train one wiring from every seed and score it."""
    baseline = sparx_nas.load_space("mamba_t").baselines[name]
    architecture = replace(baseline, widths=WIDTHS)
    x, target = scenes.scenes("test", TESTED, side=SIDE, seed=TEST_SEED)
    by_seed = []
    for seed in range(seeds):
        net = trained(architecture, steps, seed)
        found = scenes.predicted(net, x)
        by_seed.append(scenes.mean(scenes.intersections_over_unions(found, target)))
        print(f"{name}, seed {seed}: {by_seed[-1]:.4f}", file=sys.stderr)
    return {
        "wiring": name,
        "params": sum(p.numel() for p in net.parameters()),
        "n": seeds,
        "mean_iou": [round(v, 4) for v in by_seed],
        "mean": round(statistics.mean(by_seed), 4),
        "standard_deviation": round(statistics.stdev(by_seed), 4),
    }


def constant() -> dict[str, Any]:
    """Score the answer that is the background everywhere."""
    _, target = scenes.scenes("test", TESTED, side=SIDE, seed=TEST_SEED)
    found = scenes.intersections_over_unions(torch.zeros_like(target), target)
    return {"wiring": "none, the background everywhere", "mean": round(scenes.mean(found), 4)}


def main() -> None:
    """Print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3, help="2 or more, for the spread")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = [measured(name, args.steps, args.seeds) for name in ("sparx", "plain")]
    task = {
        "images": f"{TESTED} scenes of {SIDE}x{SIDE} px, of {scenes.TEST_SCANS} unseen scans",
        "steps": args.steps,
        "batch": BATCH,
        "widths": WIDTHS,
    }
    report("segmentation", [task, constant(), *found])


if __name__ == "__main__":
    main()
