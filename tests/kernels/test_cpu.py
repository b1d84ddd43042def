"""The compiled CPU kernels against the float64 specification, for every instruction set here."""

import ctypes
import gc
import itertools
import logging
import os
import shutil
import subprocess
import sys
import warnings

import psutil
import pytest
import torch
import torch._inductor.config
from torch.utils.flop_counter import FlopCounterMode

from sparx_nas import kernels
from sparx_nas.ground.errors import DeviceError
from sparx_nas.kernels import backends, convolution, cpu, library, operator, reference
from sparx_nas.kernels.tasks import TASKS
from support.scans import map_inputs, sequence_inputs, values_and_gradients

pytestmark = pytest.mark.skipif(
    bool(kernels.missing("cpu")), reason=f"no compiled kernels: {kernels.missing('cpu')}"
)
SETS = library.library().sets if not kernels.missing("cpu") else ()
MAPS = [(1, 1), (1, 7), (5, 1), (2, 2), (3, 5), (9, 8)]


def assert_near(function, specification, inputs, tolerance=2e-5):
    """Compare a float32 function with its specification in float64, as shares of the spread."""
    exact = values_and_gradients(
        specification, [t.detach().double().requires_grad_() for t in inputs]
    )
    got = values_and_gradients(function, [t.detach().requires_grad_() for t in inputs])
    for a, b in zip(got, exact, strict=True):
        a, b = a.detach(), b.detach()
        scale = max(float(b.std(correction=0)), float(b.abs().mean()), 1e-12) if b.numel() else 1
        assert not a.isnan().any()
        assert a.shape == b.shape
        assert not a.numel() or float((a.double() - b).abs().max()) <= tolerance * scale


def map_scan(*inputs):
    return kernels.ss2d(*inputs, backend="cpu")


def sequence_scan(*inputs):
    return kernels.selective_scan(*inputs, backend="cpu")


@pytest.mark.parametrize("states", [1, 2, 16])
@pytest.mark.parametrize("size", MAPS, ids=str)
def test_map_scan(instruction_set, size, states):
    for channels, rank in ((1, 1), (19, 2), (33, 3), (64, 40)):
        assert_near(
            map_scan, reference.ss2d, map_inputs(2, *size, channels, rank, states, torch.float32)
        )


@pytest.mark.parametrize("states", [1, 3, 16])
@pytest.mark.parametrize("length", [1, 2, 17, 64])
def test_sequence_scan(instruction_set, length, states):
    for batch, groups, channels in ((1, 1, 1), (3, 2, 5), (2, 4, 33)):
        inputs = sequence_inputs(batch, groups, channels, states, length, torch.float32)
        assert_near(sequence_scan, reference.selective_scan, inputs)


def test_large_maps_stay_exact():
    inputs = [t.detach() for t in map_inputs(1, 56, 56, 20, 2, 1, torch.float32)]
    exact = kernels.ss2d(*(t.double() for t in inputs), backend="torch")
    got = map_scan(*inputs)
    assert float((got - exact).abs().max() / exact.std()) < 2e-5


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_threads_share_samples_and_channels(threads, batch):
    torch.set_num_threads(threads)
    assert_near(map_scan, reference.ss2d, map_inputs(batch, 3, 4, 70, 2, 2, torch.float32))
    assert_near(
        sequence_scan, reference.selective_scan, sequence_inputs(batch, 1, 70, 1, 9, torch.float32)
    )


def test_a_batch_may_go_back_in_parts(monkeypatch):
    inputs = map_inputs(7, 3, 3, 5, 2, 1, torch.float32)
    for elements in (1, 400, 10**6):
        monkeypatch.setattr(cpu, "GRADIENT_ELEMENTS", elements)
        assert_near(map_scan, reference.ss2d, inputs)


@pytest.mark.parametrize("bias", [-90.0, -30.0, 0.0, 30.0, 90.0, 1e4])
@pytest.mark.parametrize("log_a", [-20.0, 0.0, 8.0])
def test_extreme_steps_and_decays(instruction_set, bias, log_a):
    inputs = map_inputs(1, 3, 4, 5, 2, 1, torch.float32)
    inputs[3] = torch.full_like(inputs[3], bias).requires_grad_()
    inputs[4] = torch.full_like(inputs[4], log_a).requires_grad_()
    assert_near(map_scan, reference.ss2d, inputs, tolerance=1e-3)


def test_nan_and_infinity_are_not_swallowed():
    inputs = [t.detach() for t in map_inputs(1, 3, 3, 5, 2, 1, torch.float32)]
    inputs[0][0, 1, 1, 2] = torch.nan
    assert map_scan(*inputs).isnan().any()
    inputs[0][0, 1, 1, 2] = torch.inf
    assert not map_scan(*inputs).isfinite().all()


def test_results_do_not_depend_on_what_was_in_memory(monkeypatch):
    def spoiled(make):
        def filled(*args, **named):
            return make(*args, **named).fill_(torch.nan)

        return filled

    monkeypatch.setattr(torch, "empty_like", spoiled(torch.empty_like))
    monkeypatch.setattr(torch.Tensor, "new_empty", spoiled(torch.Tensor.new_empty))
    inputs = [t.detach() for t in map_inputs(2, 3, 5, 19, 2, 2, torch.float32)]
    y = cpu.ss2d(*inputs)
    grads = cpu.ss2d_backward(torch.ones_like(inputs[0]).fill_(1.0), *inputs)
    rows = [t.detach() for t in sequence_inputs(2, 2, 7, 2, 9, torch.float32)]
    one_way = cpu.selective_scan_backward(torch.ones(2, 14, 9), *rows)
    for t in (y, *grads, cpu.selective_scan(*rows), *one_way):
        assert t.isfinite().all()


def test_nothing_beyond_a_tensor_is_written():
    """Every pointer of a task ends in a guard of NaN that has to survive."""
    guarded = {}

    def guard(t):
        wide = torch.full((t.numel() + 64,), torch.nan)
        wide[: t.numel()] = t.flatten()
        view = wide[: t.numel()].view(t.shape)
        guarded[view.data_ptr()] = (wide, t.numel())
        return view

    for size, channels in itertools.product(((1, 1), (2, 2), (3, 3)), (1, 5, 17, 31)):
        x, *weights = (
            guard(t.detach()) for t in map_inputs(1, *size, channels, 1, 1, torch.float32)
        )
        assert cpu.ss2d(x, *weights).isfinite().all()
        cpu.ss2d_backward(guard(torch.ones(x.shape)), x, *weights)
    for wide, used in guarded.values():
        assert wide[used:].isnan().all()
        assert wide[:used].isfinite().all()


def test_strided_inputs():
    inputs = [t.detach() for t in map_inputs(2, 4, 3, 6, 2, 1, torch.float32)]
    x = inputs[0]
    for other in (
        x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        x.flip(1).contiguous().flip(1),
    ):
        torch.testing.assert_close(map_scan(other, *inputs[1:]), map_scan(*inputs))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_scanned_in_float32(dtype):
    inputs = [t.detach() for t in map_inputs(2, 4, 3, 6, 2, 1, torch.float32)]
    x = inputs[0].to(dtype)
    exact = reference.ss2d(x.double(), *(t.double() for t in inputs[1:]))
    y = map_scan(x, *inputs[1:])
    assert y.dtype == dtype
    assert torch.equal(y, map_scan(x.float(), *inputs[1:]).to(dtype))
    assert float((y.double() - exact).abs().max()) < 0.02 * float(exact.abs().max())


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_operators_pass_torch_s_own_checks(backend):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maps = map_inputs(2, 3, 2, 5, 1, 1, torch.float32)
        torch.library.opcheck(operator.ss2d, (*maps, backend))
        rows = sequence_inputs(2, 2, 5, 1, 4, torch.float32)
        torch.library.opcheck(operator.selective_scan, (*rows, backend))
        x = torch.randn(2, 6, 4, 3, requires_grad=True)
        weight, bias = (torch.randn(s, requires_grad=True) for s in ((6, 1, 3, 3), (6,)))
        for given, add in ((bias, True), (None, False)):
            torch.library.opcheck(convolution.depthwise, (x, weight, given, add))


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_graphs_are_whole_and_equal(backend, monkeypatch):
    """The second shape makes the sizes symbols; with CI set, and no cache, Inductor is strict."""
    monkeypatch.setenv("CI", "true")
    if backend == "inductor" and not shutil.which("g++"):
        pytest.skip("torch's own compiler needs a C++ compiler")
    for function, inputs in (
        (kernels.ss2d, [map_inputs(2, 3, s, 19, 2, 1, torch.float32) for s in (5, 7, 4)]),
        (
            kernels.selective_scan,
            [sequence_inputs(2, 2, 5, 1, s, torch.float32) for s in (5, 7, 4)],
        ),
    ):
        torch._dynamo.reset()
        whole = torch.compile(lambda *t, f=function: f(*t).sin(), fullgraph=True, backend=backend)
        for each in inputs:
            with warnings.catch_warnings(), torch.compiler.config.patch(force_disable_caches=True):
                warnings.simplefilter("ignore")
                got = values_and_gradients(whole, each)
            plain = values_and_gradients(lambda *t, f=function: f(*t).sin(), each)
            for a, b in zip(got, plain, strict=True):
                torch.testing.assert_close(a, b)


def test_flops_are_counted_forward_and_back():
    batch, height, width, channels, rank, states = 2, 3, 5, 19, 2, 4
    inputs = map_inputs(batch, height, width, channels, rank, states, torch.float32)
    each = 4 * batch * height * width * channels
    expected = 2 * each * (rank + 2 * states + rank + 4 * states + 1)
    with FlopCounterMode(display=False) as counter:
        y = kernels.ss2d(*inputs)
        assert counter.get_total_flops() == expected
        y.sum().backward()
    assert counter.get_total_flops() == 3 * expected


def test_warming_runs_both_ways_in_both_types():
    with FlopCounterMode(display=False) as counter:
        kernels.warm(torch.device("cpu"))
    once = 2 * 64 * (1 + 2 + 1 + 5)
    assert counter.get_total_flops() == 2 * 3 * once


def test_many_steps_leave_no_memory_behind():
    inputs = map_inputs(2, 4, 4, 24, 2, 1, torch.float32)

    def steps(count):
        for _ in range(count):
            kernels.ss2d(*inputs, backend="cpu").sum().backward()
        gc.collect()
        return psutil.Process().memory_info().rss

    before = steps(200)
    assert steps(2000) - before < 8 * 2**20


def test_a_missing_compiler_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(library.Path, "glob", lambda self, pattern: iter(()))
    library.library.cache_clear()
    library.why_missing.cache_clear()
    try:
        with pytest.raises(DeviceError, match="no C compiler"):
            kernels.ss2d(*map_inputs(1, 2, 2, 3, 1, 1, torch.float32), backend="cpu")
        assert kernels.resolve("auto") == "torch"
        assert kernels.in_use("cpu").startswith("torch kernels, for no C compiler")
        monkeypatch.setattr(library, "_compiler", lambda: pytest.fail("it was looked for again"))
        assert kernels.resolve("auto") == "torch"
    finally:
        library.library.cache_clear()
        library.why_missing.cache_clear()


def test_falling_back_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(backends, "_cpu_missing", lambda *_: "it is Sunday")
    backends._say_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert kernels.resolve("auto") == "torch"
    assert caplog.text.count("it is Sunday") == 1


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_the_library_compiles_where_the_cache_is_empty(tmp_path):
    code = (
        "from sparx_nas.kernels.library import library\n"
        "print(library().path, library().instruction_set)"
    )
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "SPARX_NAS_INSTRUCTION_SET": SETS[0]}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert str(tmp_path) in done.stdout
    assert SETS[0] in done.stdout
    env["SPARX_NAS_INSTRUCTION_SET"] = "mmx"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert "this processor and library have" in done.stderr


def test_an_installed_package_needs_no_compiler(tmp_path):
    """As from a wheel: the library lies in the package, and there is no compiler and no cache."""
    package = tmp_path / "sparx_nas"
    shutil.copytree(library.SOURCES.parents[1], package, ignore=shutil.ignore_patterns("*.so"))
    shutil.copy(library.library().path, package / "kernels/_cpu.cpython-any.so")
    code = "from sparx_nas.kernels.library import library; print(library().path)"
    env = {"PATH": "", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(package / "kernels/_cpu.cpython-any.so")
    assert not (tmp_path / ".cache").exists()


def test_tasks_are_as_large_on_both_sides():
    size_of = library.library().handle.sparx_task_size
    assert [size_of(i) for i, _ in enumerate(TASKS)] == [ctypes.sizeof(task) for task in TASKS]
    assert size_of(len(TASKS)) == 0


def test_shapes_that_do_not_fit_are_named():
    maps = map_inputs(1, 2, 2, 3, 1, 1, torch.float32)
    with pytest.raises(ValueError, match=r"Ds is \(12,\), not \(20,\)|x_proj_weight is"):
        kernels.ss2d(torch.zeros(1, 2, 2, 5), *maps[1:])
    with pytest.raises(ValueError, match="dt_projs_bias"):
        kernels.ss2d(*maps[:3], maps[3].T, *maps[4:])
    rows = sequence_inputs(1, 2, 3, 1, 4, torch.float32)
    with pytest.raises(ValueError, match="delta is"):
        kernels.selective_scan(rows[0], rows[1][..., :3], *rows[2:])
