"""Time the depthwise convolution, forward and backward, against PyTorch's own; prints JSON.

Values and gradients are compared before anything is timed.
"""

import torch
from timing import report, time_it
from torch import nn

from sparx_nas.kernels.convolution import DepthwiseConv2d

# batch, channels, side, kernel; the first ones are smaller than the kernel
SHAPES = [
    (64, 256, 1, 5),
    (64, 128, 2, 5),
    (64, 128, 4, 5),
    (64, 256, 1, 3),
    (64, 256, 2, 3),
    (64, 96, 8, 5),
]
REPEATS = 50


def step(layer, x):
    """Run forward and backward; return the result and all gradients."""
    y = layer(x)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])]


def main() -> None:
    """Print the record."""
    torch.manual_seed(0)
    results = []
    for batch, channels, side, kernel in SHAPES:
        own = DepthwiseConv2d(channels, kernel)
        plain = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        plain.load_state_dict(own.state_dict())
        x = torch.randn(batch, channels, side, side, requires_grad=True)
        for got, expected in zip(step(own, x), step(plain, x), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-3)
        about = {"batch": batch, "channels": channels, "side": side, "kernel": kernel}
        for name, layer in (("DepthwiseConv2d", own), ("torch.nn.Conv2d", plain)):
            timed = time_it(lambda layer=layer, x=x: step(layer, x), repeats=REPEATS)
            results.append(about | {"what": name} | timed)
    report("depthwise", results)


if __name__ == "__main__":
    main()
