"""The Triton kernels without a GPU: interpreted values, and binaries compiled ahead of time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton", reason="triton is not installed: no GPU kernels to test")

import sparx_nas  # noqa: E402
from sparx_nas.kernels import triton_ss2d  # noqa: E402

HERE = Path(__file__).parent
TOLERANCE = 2e-5
COMPILE = """
import subprocess, sys, tempfile
from pathlib import Path
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from sparx_nas.kernels.triton_ss2d import binaries

tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
capability = int(sys.argv[1])
for name, kernel, signature, constants, warps in binaries():
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    target = GPUTarget("cuda", capability, 32)
    binary = triton.compile(source, target=target, options={"num_warps": warps})
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary.asm["cubin"])
        file.flush()
        command = [tool, "--dump-resource-usage", file.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = next(line for line in said.splitlines() if "REG:" in line).split()
    print(f"sm_{capability} {name}", used[0], used[1], binary.metadata.shared, sep="\\t")
"""


def run(arguments, **variables):
    """Run Python in a process of its own: Triton reads its variables when it is imported."""
    env = {**os.environ, "PYTHONPATH": str(HERE), **variables}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_interpreted_values_and_gradients_are_the_specification_s():
    lines = run([HERE / "triton_cases.py"], TRITON_INTERPRET="1")
    found = {name: float(off) for name, off in lines}
    assert len(found) == 13
    assert {name: off for name, off in found.items() if not off <= TOLERANCE} == {}


@pytest.mark.parametrize("capability", [80, 90])
def test_every_binary_compiles_without_a_gpu_and_spills_nothing(capability, tmp_path, capsys):
    lines = run(["-c", COMPILE, str(capability)], TRITON_CACHE_DIR=str(tmp_path))
    with capsys.disabled():
        print()
        for name, registers, stack, shared in lines:
            print(f"  {name:<28} {registers:<8} {stack:<8} shared {shared} B")
    assert len(lines) == triton_ss2d.BOUND
    assert {stack for _, _, stack, _ in lines} == {"STACK:0"}


def test_a_whole_search_needs_no_more_binaries_than_said():
    """What is compiled depends on nothing of an architecture but that it has a rank."""
    listed = list(triton_ss2d.binaries())
    assert len({name for name, *_ in listed}) == len(listed) == triton_ss2d.BOUND == 12
    fixed = {"RANK", "STEPS", "CHANNELS"}
    keys = set()
    for seed in range(200):
        plan = sparx_nas.load_space("mamba_t").sample(seed).plan()
        for stage in plan.stages:
            sizes = {"channels": stage.inner, "rank": stage.rank}
            for name, kernel in triton_ss2d.KERNELS.items():
                specialised = set(kernel.arg_names) & set(sizes) - set(triton_ss2d.SIZES)
                keys.add((name, tuple(sorted(specialised)), triton_ss2d.RANK))
    assert len(keys) == 2
    for kernel in triton_ss2d.KERNELS.values():
        free = {p.name for p in kernel.params if not p.do_not_specialize and not p.is_constexpr}
        assert not free & set(triton_ss2d.SIZES)
        assert {p.name for p in kernel.params if p.is_constexpr} == fixed
