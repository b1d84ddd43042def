"""The token mixer of SparX-Mamba: input map, depthwise convolution, four-direction scan.

Letters: B batch, C width, H x W map, D inner width, N state, R rank.
Source: arXiv 2409.09649; arXiv 2401.10166 for the scan. Module names are the official ones.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparx_nas.architecture.plan import BackbonePlan, StagePlan
from sparx_nas.kernels import ss2d
from sparx_nas.kernels.convolution import DepthwiseConv2d, PointwiseConv2d
from sparx_nas.kernels.reference import DIRECTIONS
from sparx_nas.models.aggregator import add_aggregator, aggregate
from sparx_nas.models.norms import ACTIVATIONS, make_norm

STEP_RANGE = (1e-3, 0.1)
STEP_FLOOR = 1e-4


class MambaMixer(nn.Module):
    """Mix the positions of a map; a ganglion's aggregator stands in for the input map.

    `sources` is the number of maps that a ganglion aggregates, 0 for a normal layer.
    """

    def __init__(
        self, plan: BackbonePlan, stage: StagePlan, sources: int, index: int, backend: str
    ) -> None:
        super().__init__()
        add_aggregator(self, plan, stage, sources)
        D, R, N, bias = stage.inner, stage.rank, plan.mixer.state_dim, plan.family.bias
        self.x_proj_weight = nn.Parameter(torch.empty(DIRECTIONS * (R + 2 * N), D, 1))
        self.dt_projs_weight = nn.Parameter(torch.empty(DIRECTIONS, D, R))
        self.dt_projs_bias = nn.Parameter(torch.empty(DIRECTIONS, D))
        self.A_logs = nn.Parameter(torch.empty(DIRECTIONS * D, N))
        self.Ds = nn.Parameter(torch.empty(DIRECTIONS * D))
        self.backend = backend
        if not sources:
            self.in_proj = PointwiseConv2d(stage.width, D, bias=bias)
        kernel = plan.mixer.conv_kernel
        if kernel:
            self.conv2d = DepthwiseConv2d(D, kernel, bias=bias)
        self.act = ACTIVATIONS[plan.mixer.act]()
        self.out_norm = make_norm(plan.norm, D, plan.family.norm_eps)
        self.out_proj = PointwiseConv2d(D, stage.width, bias=bias)
        self.reset_scan()

    @torch.no_grad()
    def reset_scan(self) -> None:
        """Draw the scan's parameters as the official code does."""
        D, R = self.dt_projs_weight.shape[1:]
        self.x_proj_weight.uniform_(-(D**-0.5), D**-0.5)
        self.dt_projs_weight.uniform_(-(R**-0.5), R**-0.5)
        low, high = (math.log(s) for s in STEP_RANGE)
        step = torch.empty_like(self.dt_projs_bias).uniform_(low, high).exp_().clamp_(STEP_FLOOR)
        self.dt_projs_bias.copy_(step + torch.log(-torch.expm1(-step)))
        states = torch.arange(1, self.A_logs.shape[1] + 1, device=self.A_logs.device)
        self.A_logs.copy_(states.to(self.A_logs.dtype).log().expand_as(self.A_logs))
        self.Ds.fill_(1)

    def forward(self, x: Tensor, context: Sequence[Tensor] = ()) -> Tensor:
        """Mix x (B, C, H, W), with the maps of the same shape that a ganglion aggregates."""
        return self.leave(self.enter(x, context))

    def enter(self, x: Tensor, context: Sequence[Tensor]) -> Tensor:
        """Return the inner map (B, D, H, W) of x and what a ganglion aggregates."""
        if context:
            return aggregate(self, x, context, self.Ds.numel() // DIRECTIONS)
        inner: Tensor = self.in_proj(x)
        return inner

    def leave(self, x: Tensor) -> Tensor:
        """Convolve and scan an inner map, and return it at the stream's width."""
        x = self.conv2d(x) if hasattr(self, "conv2d") else x
        rows = ss2d(
            self.act(x).permute(0, 2, 3, 1),
            self.x_proj_weight,
            self.dt_projs_weight,
            self.dt_projs_bias,
            self.A_logs,
            self.Ds,
            backend=self.backend,
        )
        out: Tensor = self.out_proj(self.out_norm(rows.permute(0, 3, 1, 2)))
        return out
