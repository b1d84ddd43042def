"""What launches of the Triton kernels would compile, noted instead of run: no GPU is needed."""

import math
import random
from typing import NamedTuple

import torch
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend
from triton.runtime.jit import create_function_from_signature

import sparx_nas
from sparx_nas.kernels import triton_attention, triton_ss2d, triton_sums

TYPES = (torch.float32, torch.bfloat16, torch.float16)


class Binary(NamedTuple):
    """A kernel, the types of its arguments by name, constants, warps."""

    name: str
    kernel: object
    signature: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, object], ...]
    warps: int


class Noted:
    """A kernel that notes what a launch would compile."""

    def __init__(self, name, kernel, asked):
        target = CUDABackend(GPUTarget("cuda", 90, 32))
        self.arg_names, self.name, self.kernel, self.asked = kernel.arg_names, name, kernel, asked
        self.specialise = create_function_from_signature(kernel.signature, kernel.params, target)

    def __getitem__(self, grid):
        return self.launch

    def launch(self, *, num_warps, **arguments):
        _, kinds, _ = self.specialise(**arguments, num_warps=num_warps)
        types = {n: kind[0] for n, kind in zip(self.arg_names, kinds, strict=True)}
        special = {n: kind[1] for n, kind in zip(self.arg_names, kinds, strict=True)}
        constants = {n: special[n] for n, kind in types.items() if kind == "constexpr"}
        key = (self.name, tuple(types.items()), tuple(special.items()), num_warps)
        self.asked[key] = Binary(
            self.name, self.kernel, tuple(types.items()), tuple(constants.items()), num_warps
        )


def noted(launch) -> list[Binary]:
    """Return the distinct binaries that a function's launches would compile."""
    asked: dict[object, Binary] = {}
    modules = (triton_ss2d, triton_sums, triton_attention)
    before = {module: module.KERNELS for module in modules}
    try:
        for module, kernels in before.items():
            module.KERNELS = {n: Noted(n, k, asked) for n, k in kernels.items()}
        launch()
    finally:
        for module, kernels in before.items():
            module.KERNELS = kernels
    return list(asked.values())


def off_by_one(*shape, dtype=torch.float32):
    """Return a contiguous tensor that starts at no multiple of 16 bytes."""
    return torch.zeros(math.prod(shape) + 1, dtype=dtype)[1:].view(shape)


def launch_all(stage, dtype, make=torch.zeros):
    """Launch every kernel as a layer of a stage would."""
    D, R, N, group = stage.inner, stage.rank, 1, stage.width // 4
    side = random.Random(D).choice((1, 2, 4))
    shapes = ((4 * (R + 2 * N), D, 1), (4, D, R), (4, D), (4 * D, N), (4 * D,))
    x = make(1, side, 2, D, dtype=dtype)
    weights = [make(*shape) for shape in shapes]
    triton_ss2d.ss2d(x, *weights)
    triton_ss2d.ss2d_backward(x, x, *weights)
    query = make(1, stage.width, side, 1, dtype=dtype)
    value = torch.zeros(1, stage.width, 2 * side, 1, dtype=dtype)
    kept = triton_attention.forward(query, query, value, group)[1]
    triton_attention.backward(value, query, query, value, kept)


def launch_sequences():
    """Launch a scan of sequences, forward and back."""
    shapes = ((2, 6, 5), (2, 6, 5), (6, 1), (2, 2, 1, 5), (2, 2, 1, 5), (6,), (6,))
    inputs = [torch.zeros(shape) for shape in shapes]
    triton_ss2d.selective_scan(*inputs)
    triton_ss2d.selective_scan_backward(inputs[0], *inputs)


def published_and_sequences(types=TYPES) -> list[Binary]:
    """Return what SparX-Mamba-T at full width and scans of sequences ask for."""

    def launch():
        for stage in sparx_nas.load_space("mamba_t").baselines["sparx"].plan().stages:
            for dtype in types:
                launch_all(stage, dtype)
        launch_sequences()

    return noted(launch)
