"""The whole network: stem, stages with their wiring, downsampling, head.

Parameter and buffer names, shapes and order are those of the official SparX-Mamba, so released
checkpoints load strictly. Letters: B batch, C width, H x W map. Source: arXiv 2409.09649. The
methods beside `forward` are those that timm asks of a model.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.plan import BackbonePlan
from sparx_nas.ground.errors import ArchitectureError
from sparx_nas.kernels import check_name
from sparx_nas.kernels.convolution import PointwiseConv2d
from sparx_nas.kernels.transforms import transformed
from sparx_nas.models.block import Block
from sparx_nas.models.fitting import fit_in_place
from sparx_nas.models.norms import make_norm
from sparx_nas.models.recomputing import recomputed
from sparx_nas.models.surroundings import make_classifier, make_downsample, make_pool, make_stem


class Stage(nn.Module):
    """The layers of one stage, and what shrinks their result for the next.

    `contexts[j]` lists the layers that layer j + 1 aggregates (0: the stage's input).
    """

    def __init__(
        self, plan: BackbonePlan, index: int, rates: Iterator[float], backend: str
    ) -> None:
        super().__init__()
        stage = plan.stages[index]
        self.contexts = stage.contexts
        self.grad_checkpointing = False
        blocks = [
            Block(plan, stage, len(c), index=j, drop_path=next(rates), backend=backend)
            for j, c in enumerate(stage.contexts)
        ]
        self.blocks = nn.Sequential(*blocks)
        if plan.family.stage_norm:
            self.norm = make_norm(plan.norm, stage.width, plan.family.norm_eps)
        following = plan.stages[index + 1 : index + 2]
        self.downsample = (
            make_downsample(plan, stage.width, following[0].width) if following else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map the stage's input (B, C, H, W) to its result of the same shape, not yet shrunk."""
        outputs = [x]
        for block, sources in zip(self.blocks, self.contexts, strict=True):
            context = [outputs[source] for source in sources]
            if self.grad_checkpointing and torch.is_grad_enabled():
                x = recomputed(block, x, context)
            else:
                x = block(x, context)
            outputs.append(x)
        return self.norm(x) if hasattr(self, "norm") else x


class SparxBackbone(nn.Module):
    """A hierarchical backbone with a classifier, built from a plan.

    `contexts[i][j]` lists the layers that layer j + 1 of stage i + 1 aggregates (0: the stage's
    input), as the plan says. `drop_path` grows linearly from 0 to this rate over the layers.
    """

    def __init__(self, plan: BackbonePlan, *, drop_path: float, backend: str) -> None:
        super().__init__()
        self.contexts = tuple(stage.contexts for stage in plan.stages)
        self.num_classes, self.in_chans, self.global_pool = plan.num_classes, plan.in_chans, "avg"
        self.drop_rate = 0.0
        self.num_features = self.head_hidden_size = plan.stages[-1].width
        self.feature_info = _feature_info(plan)
        self.patch_embed = make_stem(plan)
        self.layers: Any = make_stages(plan, drop_path, backend)
        self.classifier = make_classifier(plan)
        self.register_load_state_dict_pre_hook(fit_in_place)  # type: ignore[no-untyped-call]
        initialise(self, plan)

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Map images (B, in_chans, H, W) to the results of the stages, one after the other."""
        return stage_maps(self.patch_embed, self.layers, x)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (B, in_chans, H, W) to the last stage's result, before the head's norm."""
        *_, last = self.maps(x)
        return last

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map the last stage's result to logits (B, num_classes), or to what they are read from."""
        norm, pool, flatten, linear = self.classifier
        x = norm(x)
        if self.global_pool:
            x = flatten(pool(x))
        x = dropout(x, self.drop_rate, self.training)
        out: Tensor = x if pre_logits else linear(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, in_chans, H, W) to logits (B, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return the last stage's result and those of the stages of `indices`, or only the latter.

        Each is (B, C, H, W). `norm` puts the head's norm on the last of all stages.

        Raises: ValueError for another format than NCHW.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt is {output_fmt!r}; maps are NCHW")
        wanted, last = taken_stages(len(self.layers), indices)
        found: dict[int, Tensor] = {}
        for i, found_map in enumerate(self.maps(x)):
            x = found_map
            if i in wanted:
                final = norm and i == len(self.layers) - 1
                found[i] = self.classifier[0](x) if final else x
            if stop_early and i == last:
                break
        features = [found[i] for i in sorted(found)]
        return features if intermediates_only else (x, features)

    def prune_intermediate_layers(
        self,
        indices: int | Sequence[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Drop the stages after the last of `indices`, and head and its norm if asked to."""
        wanted, last = taken_stages(len(self.layers), indices)
        shortened = last < len(self.layers) - 1
        self.layers = self.layers[: last + 1]
        # What would shrink the last map that is asked for has no reader any more.
        self.layers[-1].downsample = nn.Identity()
        self.contexts = self.contexts[: last + 1]
        if shortened:
            self.num_features = self.head_hidden_size = self.feature_info[last]["num_chs"]
        if prune_norm or shortened:
            self.classifier[0] = nn.Identity()
        if prune_head or shortened:
            self.reset_classifier(0, "")
        return list(wanted)

    def get_classifier(self) -> nn.Module:
        """Return the linear map to the logits, or what stands in its place."""
        return self.classifier[3]

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a new linear map for so many classes, or none for 0, behind a pooling.

        `global_pool` is avg, max, avgmax (their mean), catavgmax (one behind the other) or "".

        Raises: ArchitectureError for another pooling or a negative number.
        """
        pool = self.classifier[1] if global_pool is None else make_pool(global_pool)
        if type(num_classes) is not int or num_classes < 0:
            raise ArchitectureError(f"num_classes is {num_classes!r}; it is 0 or more")
        self.num_classes = num_classes
        self.global_pool = self.global_pool if global_pool is None else global_pool
        self.classifier[1] = pool
        self.head_hidden_size = self.num_features * (1 + (self.global_pool == "catavgmax"))
        like = next(self.patch_embed.parameters())
        head: nn.Module = nn.Identity()
        if num_classes:
            head = nn.Linear(
                self.head_hidden_size, num_classes, device=like.device, dtype=like.dtype
            )
            nn.init.trunc_normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
        self.classifier[3] = head.train(self.training)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute layers anew on the way back instead of keeping what is inside them."""
        for stage in self.layers:
            stage.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return the patterns by which timm groups parameters from stem to head."""
        fine = [
            (r"^layers\.(\d+)\.blocks\.(\d+)", None),
            (r"^layers\.(\d+)\.(?:downsample|norm)", (0,)),
            (r"^classifier\.0", (99999,)),
        ]
        return {"stem": r"^patch_embed", "blocks": r"^layers\.(\d+)" if coarse else fine}

    def no_weight_decay(self) -> set[str]:
        """Return the parameters that are not decayed besides norms and biases: tables of biases."""
        names = (name for name, _ in self.named_parameters())
        return {name for name in names if name.endswith("relative_position_bias_table")}


def build(
    architecture: Architecture,
    num_classes: int = 1000,
    *,
    in_chans: int = 3,
    width: float = 1.0,
    stem_stride: int = 4,
    drop_path: float = 0.0,
    backend: str = "auto",
) -> SparxBackbone:
    """Build the network of an architecture, freshly initialised.

    `width` multiplies the widths (to multiples of 8 that its heads divide), `stem_stride` is 4 as
    published, 2 or 1 for small images, `drop_path` a rate in [0, 1), `backend` the kernels of the
    scan. Use `with torch.device("meta")` for a network without memory.

    Raises: ArchitectureError for a setting out of range, DeviceError for a missing backend.
    """
    plan = architecture.plan(
        in_chans=in_chans, num_classes=num_classes, width=width, stem_stride=stem_stride
    )
    return SparxBackbone(plan, drop_path=drop_path, backend=backend)


def make_stages(plan: BackbonePlan, drop_path: float, backend: str) -> nn.ModuleList:
    """Return the stages of a plan; drop path grows linearly from 0 to its rate over all layers.

    Raises: ArchitectureError for a rate outside [0, 1), DeviceError for a missing backend.
    """
    if not 0 <= drop_path < 1:
        raise ArchitectureError(f"drop_path is {drop_path}; it is a rate in [0, 1)")
    check_name(backend)
    depth = sum(len(stage.contexts) for stage in plan.stages)
    rates = iter(torch.linspace(0, drop_path, depth, device="cpu").tolist())
    return nn.ModuleList([Stage(plan, i, rates, backend) for i in range(len(plan.stages))])


def stage_maps(stem: nn.Module, stages: Iterable[Any], x: Tensor) -> Iterator[Tensor]:
    """Map images to the results of the stages; one is shrunk when the next is asked for."""
    x = stem(x)
    if x.device.type == "cpu" and not transformed(x):
        # There a 1x1 convolution is a matrix product, and the scan reads maps as they lie.
        x = x.contiguous(memory_format=torch.channels_last)
    for stage in stages:
        x = stage(x)
        yield x
        x = stage.downsample(x)


def initialise(model: nn.Module, plan: BackbonePlan) -> None:
    """Draw the weights of convolutions and linear maps as the family's source does.

    Norms, scans and tables of biases draw their own.
    """
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        mapping = isinstance(module, nn.Linear | PointwiseConv2d)
        if mapping or plan.family.conv_init == "normal":
            nn.init.trunc_normal_(module.weight, std=0.02)
        elif isinstance(module, nn.Conv2d) and plan.family.conv_init == "fan_out":
            # Shape (outputs, inputs of a group, kernel, kernel): the fan-out of one group.
            fan_out = module.weight[:, 0].numel() / module.groups
            nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
        if module.bias is not None and (mapping or plan.family.conv_init != "default"):
            nn.init.zeros_(module.bias)


def taken_stages(count: int, indices: int | Sequence[int] | None) -> tuple[list[int], int]:
    """Return which of `count` stages are asked for, and the last of them; a number means the last.

    Raises: ArchitectureError for a stage that is not there.
    """
    asked = range(-indices, 0) if isinstance(indices, int) else range(count)
    wanted = list(asked if isinstance(indices, int | None) else indices)
    if not wanted or any(not -count <= i < count for i in wanted):
        raise ArchitectureError(f"indices are {indices!r}; there are stages 0 to {count - 1}")
    taken = [i % count for i in wanted]
    return taken, max(taken)


def _feature_info(plan: BackbonePlan) -> list[dict[str, Any]]:
    """Say what timm wants to know of the stages' results."""
    stem = 1
    for stride in plan.stem_strides:
        stem *= stride
    return [
        {"num_chs": stage.width, "reduction": stem * 2**i, "module": f"layers.{i}"}
        for i, stage in enumerate(plan.stages)
    ]
