"""The Triton kernels without a GPU: interpreted values, and binaries compiled ahead of time."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed: no GPU kernels to test")

import sparx_nas
from support.patience import PATIENCE_S
from support.triton_launches import launch_all, noted

TESTS = Path(__file__).parents[1]
TOLERANCE = 2e-5
PER_TYPE = 26
"""Binaries of one type of maps that a search can make Triton compile."""
COMPILE = """
import subprocess, sys, tempfile
from pathlib import Path
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from support.triton_launches import published_and_sequences

tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
capability = int(sys.argv[1])
for b in published_and_sequences([torch.float32, torch.bfloat16]):
    signature, constants = dict(b.signature), dict(b.constants)
    source = ASTSource(fn=b.kernel, signature=signature, constexprs=constants)
    target = GPUTarget("cuda", capability, 32)
    binary = triton.compile(source, target=target, options={"num_warps": b.warps})
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary.asm["cubin"])
        file.flush()
        command = [tool, "--dump-resource-usage", file.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = next(line for line in said.splitlines() if "REG:" in line).split()
    rank = constants.get("RANK", "")
    print(f"sm_{capability} {b.name} {rank}", used[0], used[1], binary.metadata.shared, sep="\\t")
"""


def run(arguments, **variables):
    """Run Python in a process of its own: Triton reads its variables when it is imported."""
    env = {**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}", **variables}
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
    assert len(lines) > 40
    assert {stack for _, _, stack, _ in lines} == {"STACK:0"}


def test_a_search_of_200_architectures_compiles_no_more_binaries_than_said():
    """Sizes are run-time arguments; ranks are padded to one of a few, rows are aligned or not."""
    seen = set()

    def launch():
        for seed in range(200):
            space = sparx_nas.load_space(("mamba_t", "mamba_t_free")[seed % 2])
            width = random.Random(seed).choice((0.125, 0.25, 0.5, 0.75, 1.0))
            for stage in space.sample(seed).plan(width=width).stages:
                if (stage.inner, stage.rank) not in seen:
                    seen.add((stage.inner, stage.rank))
                    launch_all(stage, torch.bfloat16)

    assert len(noted(launch)) <= PER_TYPE
    assert len(seen) > 15
