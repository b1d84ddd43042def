"""Derivatives that kernels have not got: of each sample, forward mode, second order; never 0."""

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap

from sparx_nas.ground.errors import DeviceError
from sparx_nas.kernels import ss2d
from sparx_nas.kernels.convolution import DepthwiseConv2d, depthwise
from support import export_networks as nets

# torch's own transforms compile helpers in a way that torch calls deprecated, and its vmap says
# where it loops; neither is of this package.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*requires_grad.*:UserWarning"),
]
FAMILIES = ("mamba", "swin", "pvt", "conv")


def scan_inputs(dtype=torch.float64):
    """Return a map of 3 x 4 positions and 2 channels, and the parameters of a scan."""
    torch.manual_seed(0)
    shapes = ((1, 3, 4, 2), (20, 2, 1), (4, 2, 1), (4, 2), (8, 2), (8,))
    return tuple(torch.randn(s, dtype=dtype) * 0.5 for s in shapes)


def test_the_scan_knows_every_derivative():
    inputs = tuple(t.requires_grad_() for t in scan_inputs())
    assert torch.autograd.gradgradcheck(ss2d, inputs)
    assert torch.autograd.gradcheck(ss2d, inputs, check_forward_ad=True)


@pytest.mark.parametrize("add_input", [False, True])
def test_the_depthwise_convolution_knows_every_derivative(add_input):
    torch.manual_seed(0)
    module = DepthwiseConv2d(3, 3, add_input=add_input)
    x, t = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4)
    change = module(x + t) - module(x)
    torch.testing.assert_close(jvp(module, (x,), (t,))[1], change)
    with forward_ad.dual_level():
        y = module(forward_ad.make_dual(x, t))
        torch.testing.assert_close(forward_ad.unpack_dual(y).tangent, change)

    def penalty(x, weight, bias):
        y = depthwise(x, weight, bias, add_input)
        return torch.autograd.grad(y.square().sum(), x, create_graph=True)[0].square().sum()

    given = [x.requires_grad_(), module.weight, module.bias]
    got = torch.autograd.grad(penalty(*given), given)
    double = [t.detach().double().requires_grad_() for t in given]
    z = torch.nn.functional.conv2d(double[0], double[1], double[2], padding=1, groups=3)
    z = z + double[0] if add_input else z
    first = torch.autograd.grad(z.square().sum(), double[0], create_graph=True)[0]
    for a, b in zip(got, torch.autograd.grad(first.square().sum(), double), strict=True):
        torch.testing.assert_close(a, b.float(), rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module", params=FAMILIES)
def network(request):
    """A small network of each family, in evaluation mode."""
    found = nets.network(request.param)
    return nets.built(found)


def test_forward_mode_is_the_change_of_the_logits(network):
    model = network.double()
    x = torch.randn(2, 1, 9, 7, dtype=torch.float64)
    t = torch.randn_like(x)
    step = 1e-6
    with torch.no_grad():
        change = (model(x + step * t) - model(x - step * t)) / (2 * step)
    found = jvp(model, (x,), (t,))[1]
    torch.testing.assert_close(found, change, rtol=1e-5, atol=1e-7)
    assert found.abs().max() > 0
    model.float()
    single = jvp(model, (x.float(),), (t.float(),))[1]
    torch.testing.assert_close(single, found.float(), rtol=1e-2, atol=1e-3)


def test_gradients_of_each_sample_are_those_of_each_alone(network):
    parameters, buffers = dict(network.named_parameters()), dict(network.named_buffers())
    x = torch.randn(2, 1, 8, 8)

    def loss(parameters, one):
        return functional_call(network, (parameters, buffers), (one[None],)).square().sum()

    each = vmap(grad(loss), (None, 0))(parameters, x)
    for i in range(2):
        alone = torch.autograd.grad(network(x[i : i + 1]).square().sum(), network.parameters())
        for (name, found), expected in zip(each.items(), alone, strict=True):
            torch.testing.assert_close(found[i], expected, rtol=1e-3, atol=1e-4, msg=name)


def test_a_gradient_penalty_reaches_every_parameter(network):
    x = torch.randn(2, 1, 8, 8, requires_grad=True)
    (first,) = torch.autograd.grad(network(x).square().sum(), x, create_graph=True)
    grads = torch.autograd.grad(first.square().sum(), network.parameters(), allow_unused=True)
    assert all(g is not None and g.isfinite().all() for g in grads)
    assert sum(float(g.abs().sum()) for g in grads) > 0


def test_a_kernel_asked_for_by_name_says_what_it_lacks():
    inputs = scan_inputs(torch.float32)
    for backend in ("torch", "cpu"):
        with pytest.raises(DeviceError, match="first derivatives in reverse mode only") as caught:
            jvp(lambda x, b=backend: ss2d(x, *inputs[1:], backend=b), inputs[:1], inputs[:1])
        assert "'reference' can do this" in caught.value.hint
