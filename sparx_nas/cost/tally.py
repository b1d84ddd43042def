"""Running sums of cost, and the operators that they are sums of.

Letters: C channels, L = H*W positions. One multiply-add is one MAC. `kept` counts the float32
numbers that autograd keeps for the backward pass of one image in training mode.
"""

from dataclasses import dataclass, fields

KEEPS_OUTPUT = ("relu",)
"""Activations of which autograd keeps the output, which the next operator keeps anyway."""


@dataclass(slots=True)
class Tally:
    """Sums over operators; every field is a count, `*_elements` of what is normalised or scaled."""

    params: int = 0
    spatial: int = 0
    depthwise: int = 0
    pointwise: int = 0
    linear: int = 0
    attention: int = 0
    scan: int = 0
    published_scan: int = 0
    layer_scale_elements: int = 0
    batch_norm_elements: int = 0
    norm_elements: int = 0
    kept: int = 0

    def add(self, other: "Tally") -> None:
        """Add another tally to this one."""
        for name in NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def convolutions(self) -> int:
        """MACs of convolutions of all kinds."""
        return self.spatial + self.depthwise + self.pointwise

    @property
    def macs(self) -> int:
        """MACs of everything."""
        return self.convolutions + self.linear + self.attention + self.scan

    def conv(self, inputs: int, outputs: int, kernel: int, positions: int, *, bias: bool) -> None:
        """Count a full kernel x kernel convolution; `positions` are of its output."""
        weights = kernel * kernel * inputs * outputs
        self.params += weights + outputs * bias
        self.spatial += weights * positions

    def depthwise_conv(self, channels: int, kernel: int, positions: int, *, bias: bool) -> None:
        """Count a depthwise convolution; `positions` are of its output."""
        self.params += kernel * kernel * channels + channels * bias
        self.depthwise += kernel * kernel * channels * positions

    def pointwise_conv(self, inputs: int, outputs: int, positions: int, *, bias: bool) -> None:
        """Count a 1x1 convolution; with groups, `inputs` are those of one group."""
        self.params += inputs * outputs + outputs * bias
        self.pointwise += inputs * outputs * positions

    def batch_norm(self, channels: int, positions: int) -> None:
        """Count a BatchNorm, which keeps its input and two statistics a channel."""
        self.params += 2 * channels
        self.batch_norm_elements += channels * positions
        self.kept += channels * positions + 2 * channels

    def norm(self, channels: int, positions: int, *, per_position: bool) -> None:
        """Count a GroupNorm(1), or a LayerNorm at each position; keeps two statistics a group.

        Its input is counted by the caller, for other operators may keep the same tensor.
        """
        self.params += 2 * channels
        self.norm_elements += channels * positions
        self.kept += 2 * positions if per_position else 2


NAMES = tuple(f.name for f in fields(Tally))
