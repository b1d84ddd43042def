"""What the compiled CPU kernels are asked, as csrc/tasks.h has it: sizes, numbers, pointers."""

import ctypes
from collections.abc import Mapping, Sequence

from torch import Tensor

ACTIVATIONS: Mapping[str, int] = {"": 0, "gelu": 1, "silu": 2, "relu": 3}
"""As csrc/tasks.h numbers them."""


class Task(ctypes.Structure):
    """Sizes, then numbers, then pointers; the order is that of csrc/tasks.h."""

    SIZES: Sequence[str]
    NUMBERS: Sequence[str] = ()
    POINTERS: Sequence[str]


def _fields(
    sizes: Sequence[str], pointers: Sequence[str], numbers: Sequence[str] = ()
) -> list[tuple[str, type]]:
    """Return the fields of a structure."""
    whole: list[tuple[str, type]] = [(name, ctypes.c_int64) for name in sizes]
    real: list[tuple[str, type]] = [(name, ctypes.c_double) for name in numbers]
    return whole + real + [(name, ctypes.c_void_p) for name in pointers]


class MapTask(Task):
    """`map_task` of csrc/tasks.h."""

    SIZES = ("batch", "height", "width", "channels", "rank", "states", "groups", "threads")
    POINTERS = (
        *("x", "codes", "dt_weight", "dt_bias", "A", "skip", "y"),
        *("gradient", "grad_x", "grad_z", "grad_rows", "grad_params"),
    )
    _fields_ = _fields(SIZES, POINTERS)


class SequenceTask(Task):
    """`sequence_task` of csrc/tasks.h."""

    SIZES = ("batch", "sets", "channels", "length", "states", "groups", "threads")
    POINTERS = (
        *("u", "delta", "A", "B", "C", "skip", "bias", "y"),
        *("gradient", "grad_u", "grad_delta", "grad_B", "grad_C", "grad_params"),
    )
    _fields_ = _fields(SIZES, POINTERS)


class DepthwiseTask(Task):
    """`depthwise_task` of csrc/tasks.h."""

    SIZES = ("batch", "height", "width", "channels", "kernel", "add_input", "activation", "threads")
    POINTERS = ("x", "weight", "bias", "y", "activated", "gradient", "grad_x", "grad_params")
    _fields_ = _fields(SIZES, POINTERS)


class PartTask(Task):
    """A part of a block; `NAME` is what its functions are called by."""

    NAME: str
    WEIGHTS: Sequence[str]


class FeedForwardTask(PartTask):
    """`feed_forward_task` of csrc/tasks.h."""

    NAME = "feed_forward"
    SIZES = (
        *("batch", "height", "width", "channels", "hidden", "kernel", "residual", "activation"),
        *("whole", "threads"),
    )
    NUMBERS = ("eps",)
    WEIGHTS = (
        *("norm", "norm_b", "fc1", "fc1_b", "conv", "conv_b", "fc2", "fc2_b", "scale", "shift"),
    )
    POINTERS = ("blas", "x", *WEIGHTS, "y", "kept", "room", "gradient", "grad_x", "grads")
    _fields_ = _fields(SIZES, POINTERS, NUMBERS)


class ScanTask(PartTask):
    """`scan_task` of csrc/tasks.h."""

    NAME = "scan"
    SIZES = (
        *("batch", "height", "width", "channels", "inner", "kernel", "activation", "whole"),
        *("rank", "states", "chunk", "groups", "threads"),
    )
    NUMBERS = ("eps",)
    WEIGHTS = (
        *("conv", "conv_b", "x_proj", "dt_weight", "dt_bias", "A_logs", "skip"),
        *("norm", "norm_b", "proj", "proj_b", "scale", "shift"),
    )
    POINTERS = (
        *("blas", "h", "x", *WEIGHTS, "y", "kept", "room"),
        *("gradient", "grad_h", "grad_x", "grads"),
    )
    _fields_ = _fields(SIZES, POINTERS, NUMBERS)


class ProjectionTask(PartTask):
    """`projection_task` of csrc/tasks.h."""

    NAME = "projection"
    SIZES = ("batch", "height", "width", "channels", "inner", "whole", "threads")
    NUMBERS = ("eps",)
    WEIGHTS = ("norm", "norm_b", "proj", "proj_b")
    POINTERS = ("blas", "x", *WEIGHTS, "y", "kept", "room", "gradient", "grad_x", "grads")
    _fields_ = _fields(SIZES, POINTERS, NUMBERS)


class ConvolutionTask(PartTask):
    """`convolution_task` of csrc/tasks.h."""

    NAME = "convolution"
    SIZES = ("batch", "height", "width", "channels", "kernel", "residual", "threads")
    WEIGHTS = ("conv", "conv_b")
    POINTERS = ("blas", "x", *WEIGHTS, "y", "kept", "room", "gradient", "grad_x", "grads")
    _fields_ = _fields(SIZES, POINTERS)


class AggregatorTask(PartTask):
    """`aggregator_task` of csrc/tasks.h."""

    NAME = "aggregator"
    SIZES = (
        *("batch", "height", "width", "channels", "sources", "inner", "reduction", "whole"),
        "threads",
    )
    NUMBERS = ("eps",)
    WEIGHTS = (
        *("norm", "norm_b", "conv", "bn", "bn_b", "proj", "proj_b"),
        *("q_conv", "q_bn", "q_bn_b", "q_proj", "q_out", "q_out_b"),
        *("k_conv", "k_bn", "k_bn_b", "k_proj", "k_out", "k_out_b"),
        *("v_proj", "v_out", "v_out_b", "mix", "mix_b", "mix_proj", "mix_proj_b"),
    )
    BUFFERS = ("options", *(f"{what}_{i}" for what in ("mean", "variance") for i in range(6)))
    POINTERS = (
        *("blas", "x", "maps", *WEIGHTS, *BUFFERS, "y", "kept", "room"),
        *("gradient", "grad_x", "grad_maps", "grads"),
    )
    _fields_ = _fields(SIZES, POINTERS, NUMBERS)


TASKS: Sequence[type[Task]] = (
    *(MapTask, SequenceTask, DepthwiseTask),
    *(FeedForwardTask, ScanTask, ProjectionTask, ConvolutionTask, AggregatorTask),
)
"""In the order of `sparx_task_size` in csrc/library.c."""


def fill(
    kind: type[Task], sizes: Sequence[int], tensors: Mapping[str, Tensor]
) -> tuple[Task, list[Tensor]]:
    """Return a task with sizes and pointers, and the tensors that have to live as long."""
    kept = {name: tensor.contiguous() for name, tensor in tensors.items()}
    pointers = {name: tensor.data_ptr() for name, tensor in kept.items()}
    return kind(**dict(zip(kind.SIZES, sizes, strict=True)), **pointers), list(kept.values())
