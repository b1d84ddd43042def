"""The benchmark of trials an hour: where the time went, and that the parts did the same."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("trials_per_hour")
    for name in [n for n in sys.modules if n.split(".")[0] in ("trials_per_hour", "hour_parts")]:
        del sys.modules[name]


def test_shares_are_all_of_the_time(benchmark):
    # Two places: one trial each from 10 s on, then a third of 20 s alone in the first place.
    spans = [(8.0, 40.0), (8.0, 62.0), (42.0, 62.0)]
    spent = {"data": 4.0, "step": 80.0, "evaluation": 10.0}
    found = benchmark.shares(spans, spent, slots=2, first_step_s=10.0, seconds=70.0)
    assert sum(found.values()) == pytest.approx(1, abs=1e-3)
    assert found["start_up"] == pytest.approx(20 / 140, abs=1e-3)
    assert found["closing"] == pytest.approx(16 / 140, abs=1e-3)
    assert found["idle"] == 0
    # 30 + 52 + 20 s within trials, of them 94 trained, and 2 s between the first and the third.
    assert found["bookkeeping"] == pytest.approx(10 / 140, abs=1e-3)


def test_a_place_without_a_trial_at_the_end_is_idle(benchmark):
    spans = [(0.0, 10.0), (0.0, 30.0)]
    found = benchmark.shares(spans, {"step": 40.0}, slots=2, first_step_s=0.0, seconds=30.0)
    assert found["idle"] == pytest.approx(20 / 60, abs=1e-3)
    assert found["bookkeeping"] == 0


def trained(design="a", seed=0, first_loss=2.3, steps=22):
    return {"architecture": design, "seed": seed, "first_loss": first_loss, "steps": steps}


def test_parts_that_did_not_do_the_same_are_refused(benchmark):
    own = {"trainings": [trained(), trained(seed=1)]}
    benchmark.check({"a": own, "b": own, "c": own})
    lacking = {"trainings": [trained()]}
    with pytest.raises(SystemExit, match="same designs"):
        benchmark.check({"a": own, "b": lacking})
    off = {"trainings": [trained(), trained(seed=1, first_loss=2.4)]}
    with pytest.raises(SystemExit, match="first losses"):
        benchmark.check({"a": own, "b": own, "c": off})


def test_top1_is_compared_design_by_design(benchmark):
    def part(*top1):
        named = zip("aab", (0, 1, 0), top1, strict=True)
        each = [{"architecture": d, "seed": s, "top1": t} for d, s, t in named]
        return {"trainings": each, "seconds": sum(top1)}

    done = {"a": part(0.5, 0.7, 0.4), "c": part(0.6, 0.8, 0.6)}
    found = benchmark.compared([done])
    assert found["a_over_c"]["median"] == pytest.approx(2.0 / 1.6)
    assert found["top1_of_c_than_a"]["mean"] == pytest.approx(0.15)
    assert found["top1_of_c_than_a"]["error"] == pytest.approx(0.05)


def test_without_compiled_kernels_a_network_computes_the_same(benchmark, run_alone):
    """In a process of its own, for it takes the library away."""
    run_alone(
        """
        import sys; sys.path.insert(0, sys.argv[1])
        from hour_parts.afternoon import leave_out_compiled_kernels
        import torch, sparx_nas
        from sparx_nas.kernels import in_use
        design = sparx_nas.load_space("mamba_micro").baselines["sparx"]
        torch.manual_seed(0)
        ours = sparx_nas.build(design, 3, width=0.25, stem_stride=2).eval()
        x = torch.randn(2, 3, 16, 16)
        with torch.no_grad():
            wanted = ours(x)
        assert in_use("cpu").startswith("cpu"), in_use("cpu")
        leave_out_compiled_kernels()
        plain = sparx_nas.build(design, 3, width=0.25, stem_stride=2, backend="torch").eval()
        plain.load_state_dict(ours.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(plain(x), wanted, rtol=1e-4, atol=1e-4)
        assert in_use("cpu").startswith("torch"), in_use("cpu")
        forced = sparx_nas.build(design, 3, width=0.25, stem_stride=2, backend="cpu")
        try:
            forced(x)
        except sparx_nas.SparxError as error:
            assert "left out" in str(error), error
        else:
            raise SystemExit("the compiled kernels are still there")
        """
    )


@pytest.fixture
def run_alone():
    import subprocess
    import textwrap

    def run(program: str) -> None:
        words = [sys.executable, "-c", textwrap.dedent(program), str(BENCHMARKS)]
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd=BENCHMARKS.parents[1]
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run
