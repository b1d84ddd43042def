"""Time `estimate` on architectures it has not seen, and again on ones it has; prints JSON.

A search asks for the first kind; the target is at most 1 ms. Before that, parameters are checked
against a built network.
"""

from timing import report, time_it

from sparx_nas import build, estimate, load_space
from sparx_nas.cost.block import layer_cost

SPACES = ("mamba_t", "mamba_t_free", "mamba_micro")
REPEATS = 500


def main() -> None:
    """Print the record."""
    results = []
    for name in SPACES:
        space = load_space(name)
        drawn = [space.sample(seed) for seed in range(REPEATS + 3)]
        small = drawn[0]
        built = sum(p.numel() for p in build(small, 10, width=0.25).parameters())
        assert estimate(small, 32, num_classes=10, width=0.25).params == built
        layer_cost.cache_clear()
        fresh = iter(drawn)
        results += [
            {"space": name, "what": "new architecture"}
            | time_it(lambda fresh=fresh: estimate(next(fresh)), repeats=REPEATS),
            {"space": name, "what": "same architecture"}
            | time_it(lambda small=small: estimate(small), repeats=REPEATS),
            {"space": name, "what": "same architecture, layer costs forgotten"}
            | time_it(lambda small=small: forgetful(small), repeats=REPEATS),
        ]
    report("cost", results)


def forgetful(architecture) -> None:
    """Estimate with an empty table of layer costs."""
    layer_cost.cache_clear()
    estimate(architecture)


if __name__ == "__main__":
    main()
