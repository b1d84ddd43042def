"""The depthwise convolution against PyTorch's own: values and gradients on small maps."""

import pytest
import torch
from torch.nn.functional import conv2d

from sparx_nas.kernels.convolution import DepthwiseConv2d


def run(function, inputs):
    y = function(*inputs)
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)
    return [y, *torch.autograd.grad((y * weights).sum(), inputs)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_values_and_gradients_are_those_of_conv2d(kernel, bias):
    for height, width in [(1, 1), (1, 6), (5, 2), (2, 2), (3, 4), (4, 3), (7, 9)]:
        layer = DepthwiseConv2d(3, kernel, bias=bias).double()
        x = torch.randn(2, 3, height, width, dtype=torch.float64).requires_grad_()
        inputs = [x, *layer.parameters()]

        def specification(x, weight, bias=None, padding=kernel // 2):
            return conv2d(x, weight, bias, padding=padding, groups=3)

        pairs = zip(run(lambda x, *_: layer(x), inputs), run(specification, inputs), strict=True)  # noqa: B023
        for got, expected in pairs:
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_the_function(bias):
    layer = DepthwiseConv2d(2, 5, bias=bias).double()
    x = torch.randn(2, 2, 2, 3, dtype=torch.float64).requires_grad_()

    def function(x, *weights):
        names = [name for name, _ in layer.named_parameters()]
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, [x, *layer.parameters()])


def test_frozen_weights_and_inputs_that_ask_for_no_gradient():
    layer = DepthwiseConv2d(2, 5)
    layer(torch.randn(1, 2, 2, 2)).sum().backward()
    assert layer.weight.grad is not None
    layer.requires_grad_(False)
    x = torch.randn(1, 2, 2, 2).requires_grad_()
    layer(x).sum().backward()
    assert x.grad is not None
    assert not layer(x.detach()).requires_grad


def test_channels_last_maps_give_the_same():
    layer = DepthwiseConv2d(4, 5).double()
    x = torch.randn(3, 4, 2, 3, dtype=torch.float64)
    pair = [t.requires_grad_() for t in (x.clone(), x.to(memory_format=torch.channels_last))]
    first, second = (run(lambda t, *_: layer(t), [t, *layer.parameters()]) for t in pair)
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b)


def test_autocast_works_on_small_maps():
    layer = DepthwiseConv2d(4, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        small, large = layer(torch.randn(2, 4, 2, 2)), layer(torch.randn(2, 4, 8, 8))
    assert small.dtype == large.dtype == torch.bfloat16
    small.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_state_dict_is_that_of_a_convolution():
    layer = DepthwiseConv2d(4, 5)
    assert [(n, tuple(t.shape)) for n, t in layer.state_dict().items()] == [
        ("weight", (4, 1, 5, 5)),
        ("bias", (4,)),
    ]
