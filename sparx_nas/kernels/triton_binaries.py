"""All that a search can make Triton compile, by name: sizes are run-time arguments everywhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sparx_nas.kernels import triton_attention, triton_attention_device, triton_device, triton_ss2d

TYPES = ("fp32", "bf16", "fp16")
FLOAT32 = ("scale",)
KEPT = {
    "scan": frozenset(("x", "gradient")),
    "attention": frozenset(
        ("query", "key", "value", "gradient", "mixed", "grad_query", "grad_key", "grad_value")
    ),
}
"""Arguments that come in the type of the maps; all others are float32."""
BOUND = len(TYPES) * (2 * len(triton_ss2d.KERNELS) + len(triton_attention.KERNELS))


@dataclass(frozen=True)
class Binary:
    """What Triton's compiler is given: a kernel, types of its arguments, constants, warps."""

    name: str
    kernel: Any
    signature: dict[str, str]
    constants: dict[str, int]
    warps: int


def binaries() -> Iterator[Binary]:
    """List them: the scans with steps given or from codes, the attention; maps in three types."""
    for map_type in TYPES:
        for name, kernel in triton_ss2d.KERNELS.items():
            for rank in (0, triton_ss2d.RANK):
                constants = {
                    "RANK": rank,
                    "STEPS": triton_ss2d.STEPS,
                    "CHANNELS": triton_ss2d.CHANNELS,
                }
                signature = _signature(kernel, "scan", constants, map_type)
                title = f"{name} {map_type} rank {rank}"
                yield Binary(title, kernel, signature, constants, triton_ss2d.WARPS[name])
        for name, kernel in triton_attention.KERNELS.items():
            constants = {"TILE": triton_attention.TILE, "PLACES": triton_attention.PLACES}
            signature = _signature(kernel, "attention", constants, map_type)
            title = f"{name} {map_type}"
            yield Binary(title, kernel, signature, constants, triton_attention.WARPS)


def _signature(
    kernel: Any, family: str, constants: dict[str, int], map_type: str
) -> dict[str, str]:
    """Return the type of every argument of a kernel."""
    sizes = (*triton_device.SIZES, *triton_attention_device.SIZES)
    types = {}
    for argument in kernel.arg_names:
        if argument in sizes:
            types[argument] = "i32"
        elif argument in constants:
            types[argument] = "constexpr"
        elif argument in FLOAT32:
            types[argument] = "fp32"
        else:
            types[argument] = f"*{map_type if argument in KEPT[family] else 'fp32'}"
    return types
