"""How well short trainings rank wirings, and for how many seconds: prints JSON.

For a space: its baselines and random candidates are trained at each proxy setting with several
seeds, and once at a costlier reference setting (another data set, larger maps, more steps). A proxy
is worth what its ranks share with another seed's (reliability) and with the reference's (fidelity),
both as Spearman's rho, for the seconds that a trial takes. Validation images only.

    python tests/benchmarks/proxy.py mamba_t --candidates 7 --seeds 2 > proxy_mamba_t.json
"""

import argparse
import sys
import time
from statistics import mean, stdev

import torch
from scipy.stats import spearmanr
from timing import report

from sparx_nas.cost import estimate
from sparx_nas.data import open_data
from sparx_nas.space import load_space
from sparx_nas.trial.training import Recipe, Training
from sparx_nas.trial.values import Fidelity

USUAL = {"data": "digits", "batch_size": 48, "image_size": 16, "width": 0.25, "stem_stride": 2}
PROXIES = {
    "2 epochs": USUAL | {"epochs": 2},
    "4 epochs": USUAL | {"epochs": 4},
    "8 epochs": USUAL | {"epochs": 8},
    "4 epochs, an eighth of the width": USUAL | {"epochs": 4, "width": 0.125},
}
REFERENCE = {
    "data": "fashion_mnist",
    "epochs": 3,
    "batch_size": 48,
    "image_size": 28,
    "width": 0.25,
    "stem_stride": 2,
    "limit": 1600,
}


def trained(architecture, setting, seed: int, opened: dict) -> tuple[float, float]:
    """Return validation top-1 in [0, 1] and the seconds that it took."""
    fidelity = {key: value for key, value in setting.items() if key != "limit"}
    key = (setting["data"], setting["image_size"], setting.get("limit"))
    if key not in opened:
        name, side, limit = key
        opened[key] = open_data(name, data_dir=None, image_size=side, seed=0, limit=limit)
    start = time.perf_counter()
    training = Training(
        architecture,
        opened[key],
        fidelity=Fidelity(data_id=opened[key].data_id, seed=seed, **fidelity),
        recipe=Recipe(),
        device=torch.device("cpu"),
    )
    for _ in range(setting["epochs"]):
        top1 = training.run_epoch().top1
    return top1, time.perf_counter() - start


def rho(a: list[float], b: list[float]) -> float | None:
    """Return Spearman's rank correlation, None where one side is constant."""
    if len(set(a)) == 1 or len(set(b)) == 1:
        return None
    return round(float(spearmanr(a, b).statistic), 3)


def candidates(space, count: int) -> list:
    """Return the baselines and as many distinct random candidates as asked for."""
    found = {a.id: a for a in space.baselines.values()}
    for seed in range(1000):
        if len(found) >= count + len(space.baselines):
            break
        drawn = space.sample(seed)
        found.setdefault(drawn.id, drawn)
    return list(found.values())


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("space")
    parser.add_argument("--candidates", type=int, default=7, help="besides the baselines")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--proxies", nargs="*", default=list(PROXIES), choices=list(PROXIES))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    space, opened = load_space(given.space), {}
    drawn = candidates(space, given.candidates)
    reference = []
    for i, architecture in enumerate(drawn, 1):
        reference.append(trained(architecture, REFERENCE, 0, opened))
        print(f"reference {i} of {len(drawn)}: {reference[-1]}", file=sys.stderr, flush=True)
    results = [
        {
            "what": "reference",
            "setting": REFERENCE,
            "top1": [round(top1, 4) for top1, _ in reference],
            "median_s": round(sorted(s for _, s in reference)[len(reference) // 2], 1),
            "macs": [estimate(a).macs for a in drawn],
        }
    ]
    for name in given.proxies:
        runs = [
            [trained(a, PROXIES[name], seed, opened) for a in drawn] for seed in range(given.seeds)
        ]
        scores = [[top1 for top1, _ in run] for run in runs]
        average = [mean(column) for column in zip(*scores, strict=True)]
        seconds = sorted(s for run in runs for _, s in run)
        pairs = [(i, j) for i in range(len(runs)) for j in range(i)]
        results.append(
            {
                "what": name,
                "setting": PROXIES[name],
                "top1_by_seed": [[round(t, 4) for t in run] for run in scores],
                "spread_of_candidates": round(stdev(average), 4),
                "reliability": [rho(scores[i], scores[j]) for i, j in pairs],
                "fidelity": rho(average, [top1 for top1, _ in reference]),
                "median_s": round(seconds[len(seconds) // 2], 1),
            }
        )
        print(results[-1]["what"], results[-1]["fidelity"], file=sys.stderr, flush=True)
    record = {"space": given.space, "candidates": len(drawn), "seeds": given.seeds}
    report("proxy", [record, *results])


if __name__ == "__main__":
    main()
