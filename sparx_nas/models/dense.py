"""Backbones of dense prediction: the maps of all stages, each through a norm of its own.

As the official segmentation and detection backbones of SparX-Mamba: no classifier, and norms that
stand beside the stream, which goes on without them. Letters: B batch, C width, H x W map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from torch import Tensor, distributed, nn

from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.models.backbone import initialise, make_stages, stage_maps, taken_stages
from sparx_nas.models.fitting import fit_in_place
from sparx_nas.models.norms import PositionNorm
from sparx_nas.models.surroundings import make_stem

Variant = Literal["segmentation", "detection"]

ATTENTION_SCALES: Mapping[str, float | None] = {
    "segmentation": None,
    "detection": (800 * 1333 / 16 / 64) ** -0.5,
}
"""Where a learnable factor of the aggregator's scores starts: at 1 / sqrt(L') of a stage-1 map,
reduced by 8, of COCO's usual 800 x 1333 pixels. None: no parameter, 1 / sqrt(L') of every map."""

MAP_EPS = 1e-6


class DenseBackbone(nn.Module):
    """A backbone that maps images to one map a stage, for segmentation and detection heads.

    `variant` "detection" has a learnable factor `op.scale` (1,) in every ganglion, in place of
    1 / sqrt(L'); with the weights of another variant it is another function. `out_indices` are the
    stages whose maps are returned, in ascending order (None: all; a number: the last so many);
    what only others need is kept, so that checkpoints load by name, but never runs and takes no
    gradient. `drop_path` grows linearly from 0 to this rate over the layers; `width` multiplies the
    widths, as in `build`.

    Every map is normed over its channels, position by position, with eps 1e-6, and the next stage
    reads the map without that norm. Where the family ends its stages in such a norm (pvt), that one
    is it: its result is returned and goes on, as in PVT v2, and `norm` has no parameters.

    If torch.distributed is initialised, BatchNorms become SyncBatchNorms, which train on GPUs only.

    Raises: ArchitectureError for a setting out of range, DeviceError for a missing backend.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        variant: Variant = "segmentation",
        in_chans: int = 3,
        width: float = 1.0,
        drop_path: float = 0.0,
        out_indices: int | Sequence[int] | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if variant not in ATTENTION_SCALES:
            known = " or ".join(map(repr, ATTENTION_SCALES))
            raise ArchitectureError(f"variant is {variant!r}; it is {known}")
        plan = replace(
            architecture.plan(in_chans=in_chans, width=width),
            attention_scale=ATTENTION_SCALES[variant],
        )
        wanted, last = taken_stages(len(plan.stages), out_indices)
        self.variant, self.out_indices = variant, tuple(sorted(set(wanted)))
        self.channels = tuple(plan.stages[i].width for i in self.out_indices)
        self.strides = tuple(4 * 2**i for i in self.out_indices)
        self.patch_embed = make_stem(plan)
        self.layers: Any = make_stages(plan, drop_path, backend)
        self.norm = nn.ModuleList(
            nn.Identity() if plan.family.stage_norm else PositionNorm(stage.width, MAP_EPS)
            for stage in plan.stages
        )
        self.register_load_state_dict_pre_hook(fit_in_place)  # type: ignore[no-untyped-call]
        initialise(self, plan)
        others = [norm for i, norm in enumerate(self.norm) if i not in self.out_indices]
        for unread in (*others, *self.layers[last + 1 :], self.layers[last].downsample):
            unread.requires_grad_(False)
        if distributed.is_available() and distributed.is_initialized():
            nn.SyncBatchNorm.convert_sync_batchnorm(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images (B, in_chans, H, W) to maps (B, C, ceil(H / stride), ceil(W / stride)).

        Images may have any size; the strides are 4, 8, 16 and 32.
        """
        out = []
        for i, found in enumerate(stage_maps(self.patch_embed, self.layers, x)):
            if i in self.out_indices:
                out.append(self.norm[i](found))
            if i == self.out_indices[-1]:
                break
        return tuple(out)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute layers anew on the way back instead of keeping what is inside them."""
        for stage in self.layers:
            stage.grad_checkpointing = enable
