"""The unrolled scan: equal to the specification at any length, and free of our operators."""

import pytest
import torch

from sparx_nas.kernels import reference, unrolled
from support.scans import map_inputs


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 3, 1, 1), (2, 1, 2, 3, 2, 1), (2, 3, 5, 7, 2, 1), (1, 7, 7, 2, 3, 4)]
)
def test_values_and_gradients(sizes):
    inputs = map_inputs(*sizes, torch.float64)
    expected, found = reference.ss2d(*inputs), unrolled.ss2d(*inputs)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), inputs)
    torch.testing.assert_close(torch.autograd.grad((found * weights).sum(), inputs), wanted)


def test_strong_decay_over_many_chunks_stays_finite():
    inputs = [t.detach() for t in map_inputs(1, 9, 13, 2, 1, 1, torch.float32)]
    inputs[3] += 50
    found = unrolled.ss2d(*inputs)
    assert found.isfinite().all()
    wide = reference.ss2d(*(t.double() for t in inputs))
    torch.testing.assert_close(found.double(), wide, rtol=0, atol=1e-6 * float(wide.abs().max()))


def test_the_result_has_the_type_of_the_map():
    inputs = [t.detach() for t in map_inputs(1, 2, 3, 2, 1, 1, torch.float32)]
    half = unrolled.ss2d(inputs[0].bfloat16(), *inputs[1:])
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), reference.ss2d(*inputs), atol=0.05, rtol=0.05)
