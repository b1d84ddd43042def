"""The Triton kernels without a GPU: interpreted values, and binaries compiled ahead of time."""

import math
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from support.patience import PATIENCE_S

triton = pytest.importorskip("triton", reason="triton is not installed: no GPU kernels to test")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.backends.nvidia.compiler import CUDABackend  # noqa: E402
from triton.runtime.jit import create_function_from_signature  # noqa: E402

import sparx_nas  # noqa: E402
from sparx_nas.kernels import triton_attention, triton_binaries, triton_ss2d  # noqa: E402

TESTS = Path(__file__).parents[1]
TOLERANCE = 2e-5
COMPILE = """
import subprocess, sys, tempfile
from pathlib import Path
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from sparx_nas.kernels.triton_binaries import binaries

tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
capability = int(sys.argv[1])
for b in binaries():
    source = ASTSource(fn=b.kernel, signature=b.signature, constexprs=b.constants)
    target = GPUTarget("cuda", capability, 32)
    binary = triton.compile(source, target=target, options={"num_warps": b.warps})
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary.asm["cubin"])
        file.flush()
        command = [tool, "--dump-resource-usage", file.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = next(line for line in said.splitlines() if "REG:" in line).split()
    print(f"sm_{capability} {b.name}", used[0], used[1], binary.metadata.shared, sep="\\t")
"""


def run(arguments, **variables):
    """Run Python in a process of its own: Triton reads its variables when it is imported."""
    env = {**os.environ, "PYTHONPATH": str(TESTS), **variables}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_interpreted_values_and_gradients_are_the_specification_s():
    lines = run([TESTS / "support" / "triton_cases.py"], TRITON_INTERPRET="1")
    found = {name: float(off) for name, off in lines}
    assert len(found) == 23
    assert {name: off for name, off in found.items() if not off <= TOLERANCE} == {}


@pytest.mark.parametrize("capability", [80, 90])
def test_every_binary_compiles_without_a_gpu_and_spills_nothing(capability, tmp_path, capsys):
    lines = run(["-c", COMPILE, str(capability)], TRITON_CACHE_DIR=str(tmp_path))
    with capsys.disabled():
        print()
        for name, registers, stack, shared in lines:
            print(f"  {name:<36} {registers:<8} {stack:<8} shared {shared} B")
    assert len(lines) == triton_binaries.BOUND
    assert {stack for _, _, stack, _ in lines} == {"STACK:0"}


class Grid:
    """A kernel that notes what a launch would compile."""

    def __init__(self, name, kernel, asked):
        target = CUDABackend(GPUTarget("cuda", 90, 32))
        self.arg_names, self.name, self.asked = kernel.arg_names, name, asked
        self.specialise = create_function_from_signature(kernel.signature, kernel.params, target)

    def __getitem__(self, grid):
        return self.launch

    def launch(self, **arguments):
        _, types, options = self.specialise(**arguments)
        self.asked.add((self.name, str(types), str(options)))


def off_by_one(*shape, dtype=torch.float32):
    """Return a contiguous tensor that starts at no multiple of 16 bytes."""
    return torch.zeros(math.prod(shape) + 1, dtype=dtype)[1:].view(shape)


def stages_of_random_architectures(count):
    """Yield the plans of stages, at all scales of width."""
    for seed in range(count):
        space = sparx_nas.load_space(("mamba_t", "mamba_t_free")[seed % 2])
        width = random.Random(seed).choice((0.125, 0.25, 0.5, 0.75, 1.0))
        yield from space.sample(seed).plan(width=width).stages


def launch_all(stage, dtype):
    """Launch every kernel as a layer of a stage would."""
    D, R, N, group = stage.inner, stage.rank, 1, stage.width // 4
    side = random.Random(D).choice((1, 2, 4))
    shapes = ((4 * (R + 2 * N), D, 1), (4, D, R), (4, D), (4 * D, N), (4 * D,))
    x = off_by_one(1, side, 2, D, dtype=dtype)
    weights = [off_by_one(*shape) for shape in shapes]
    triton_ss2d.ss2d(x, *weights)
    triton_ss2d.ss2d_backward(x, x, *weights)
    query = off_by_one(1, stage.width, side, 1, dtype=dtype)
    value = torch.zeros(1, stage.width, 2 * side, 1, dtype=dtype)
    kept = triton_attention.forward(query, query, value, group)[1]
    triton_attention.backward(value, query, query, value, kept)


def test_a_search_of_200_architectures_compiles_no_more_binaries_than_said(monkeypatch):
    asked = set()
    for module in (triton_ss2d, triton_attention):
        monkeypatch.setattr(
            module, "KERNELS", {n: Grid(n, k, asked) for n, k in module.KERNELS.items()}
        )
    seen = set()
    for stage in stages_of_random_architectures(200):
        seen.add((stage.inner, stage.rank))
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            launch_all(stage, dtype)
    scan = [torch.zeros(s) for s in ((2, 6, 5), (2, 6, 5), (6, 1), (2, 2, 1, 5), (2, 2, 1, 5))]
    triton_ss2d.selective_scan(*scan, torch.zeros(6), torch.zeros(6))
    assert len(seen) > 15
    # Sequences are float32 in a search; the two types more that they could have are not asked for.
    assert len(asked) == 3 * 5 + 1
    assert triton_binaries.BOUND == 21


def test_binaries_are_listed_as_a_launch_asks_for_them():
    listed = list(triton_binaries.binaries())
    assert len({b.name for b in listed}) == len(listed) == triton_binaries.BOUND
    for b in listed:
        assert {p.name for p in b.kernel.params if p.is_constexpr} == set(b.constants)
        fixed = {p.name for p in b.kernel.params if p.do_not_specialize}
        assert fixed == {name for name, kind in b.signature.items() if kind == "i32"}
