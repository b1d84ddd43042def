"""An `Architecture`: a wiring with widths, stem and mixer settings; what is built and costed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sparx_nas.architecture import official
from sparx_nas.architecture.buildable import (
    architecture_mistakes,
    check_inner,
    check_proxy,
    image_sides,
)
from sparx_nas.architecture.families import (
    FAMILIES,
    MambaSettings,
    defaults,
    mixer_settings,
)
from sparx_nas.architecture.fields import Fields
from sparx_nas.architecture.graph import INPUT, ConnectivityGraph, layer_name
from sparx_nas.architecture.plan import (
    BackbonePlan,
    StagePlan,
    map_sizes,
    mixer_plan,
    scaled_width,
    stem_strides,
)
from sparx_nas.ground.errors import ArchitectureError, SparxError, did_you_mean
from sparx_nas.ground.record import content_id, read_json, write_json
from sparx_nas.ground.tree import read_plain

if TYPE_CHECKING:
    import networkx

SCHEMA = 1
RATIOS = ("expand", "mlp_ratio", "layer_scale")


@dataclass(frozen=True, kw_only=True)
class Architecture(Fields):
    """A backbone up to its weights; `Fields` says what it is made of.

    Raises: ArchitectureError listing every setting that no network can have.
    """

    def __post_init__(self) -> None:
        """Fill in the defaults of the family, then check everything."""
        if self.backbone not in FAMILIES:
            known = f"it is one of {', '.join(FAMILIES)}"
            raise ArchitectureError(f"architecture: backbone is {self.backbone!r}; {known}")
        shared, by_stage = defaults(self.family, len(self.graph.stages))
        for name, default in shared.items():
            object.__setattr__(self, name, getattr(self, name) or default)
        for name in ("widths", *by_stage):
            given = tuple(getattr(self, name))
            if name in RATIOS:
                given = tuple(float(v) if type(v) is int else v for v in given)
            object.__setattr__(self, name, given or by_stage.get(name, ()))
        mistakes = architecture_mistakes(self)
        if mistakes:
            raise ArchitectureError.of("architecture", mistakes)

    @cached_property
    def id(self) -> str:
        """16 hex digits over all that changes the function, idle settings left out.

        Ratios and ranks count as the widths they come to at full width.
        Where a stage has no layers its ratios are idle; where it has no ganglia its reduction is;
        where none reads both the stage's input and a normal layer, its place in the context is.
        """
        value = self._settings()
        resolved = self.plan().stages
        value["expand"] = [stage.inner for stage in resolved]
        value["mlp_ratio"] = [stage.hidden for stage in resolved]
        if isinstance(self.mixer, MambaSettings):
            value["mixer"]["dt_rank"] = [stage.rank for stage in resolved]
            if self.mixer.conv_kernel <= 1:
                value["mixer"]["conv_kernel"] = 0
        for i, stage in enumerate(self.graph.stages):
            for name in RATIOS if not stage.depth else ():
                value[name][i] = None
            if not stage.ganglia:
                value["reductions"][i] = None
            if not stage.mixes_input:
                value["stage_inputs"][i] = None
        return content_id(value)

    def context(self, stage: int, layer: int) -> tuple[int, ...]:
        """Return the sources of a layer in channel order (stage from 0, layers from 1).

        Normal layers by age, then ganglia by age; the stage's input is the oldest of either.
        """
        wiring = self.graph.stages[stage]
        row = wiring.sources[layer - 1]
        head = [s for s in row if s == INPUT]
        normals = [s for s in row if wiring.kind(s) == "normal"]
        ganglia = [s for s in row if wiring.kind(s) == "ganglion"]
        if self.stage_inputs[stage] == "first":
            return (*head, *normals, *ganglia)
        return (*normals, *head, *ganglia)

    def plan(
        self,
        *,
        in_chans: int = 3,
        num_classes: int = 1000,
        width: float = 1.0,
        stem_stride: int = 4,
    ) -> BackbonePlan:
        """Resolve every shape, with the proxy settings applied.

        `width` scales all widths (to multiples of 8, at least 8); `stem_stride` is 4 as published,
        2 or 1 for small images.

        Raises: ArchitectureError for a setting out of range, or scaled widths that leave no room.
        """
        check_proxy(in_chans, num_classes, width, stem_stride)
        stages = tuple(self._stage_plan(i, width) for i in range(len(self.widths)))
        check_inner(stages)
        return BackbonePlan(
            family=self.family,
            in_chans=in_chans,
            num_classes=num_classes,
            stem=self.stem,
            stem_strides=stem_strides(self.stem, stem_stride),
            norm=self.norm,
            mlp_act=self.mlp_act,
            mixer=mixer_plan(self.mixer),
            stages=stages,
        )

    def _stage_plan(self, index: int, multiplier: float) -> StagePlan:
        """Resolve the shapes of one stage."""
        heads = getattr(self.mixer, "heads", ())
        reductions = getattr(self.mixer, "spatial_reductions", ())
        rank = getattr(self.mixer, "dt_rank", 0)
        width = scaled_width(self.widths[index], multiplier, heads[index] if heads else 0)
        return StagePlan(
            width=width,
            inner=int(width * self.expand[index]),
            rank=-(-width // 16) if isinstance(rank, str) else rank,
            heads=heads[index] if heads else 0,
            spatial_reduction=reductions[index] if reductions else 1,
            hidden=int(width * self.mlp_ratio[index]) or width,
            reduction=self.reductions[index],
            layer_scale=self.layer_scale[index],
            contexts=tuple(
                self.context(index, layer) for layer in range(1, self.graph.stages[index].depth + 1)
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the written form: JSON values only, the wiring as `{"2.2": ["2.0", "2.1"]}`."""
        head = {"schema": SCHEMA, "kind": "architecture", "id": self.id, "wiring_id": self.graph.id}
        return head | self._settings()

    def _settings(self) -> dict[str, Any]:
        """Return everything that changes the function, as JSON values."""
        return {
            "backbone": self.backbone,
            "stem": self.stem,
            "depths": list(self.graph.depths),
            "widths": list(self.widths),
            "ganglia": {name: list(sources) for name, sources in self.graph.ganglia.items()},
            "stage_inputs": list(self.stage_inputs),
            "reductions": list(self.reductions),
            "layer_scale": list(self.layer_scale),
            "mixer": asdict(self.mixer),
            "expand": list(self.expand),
            "mlp_ratio": list(self.mlp_ratio),
            "mlp_act": self.mlp_act,
            "norm": self.norm,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], *, where: str = "architecture") -> Self:
        """Build an architecture from its written form.

        Raises: ArchitectureError naming unknown or missing fields, or an id that is not its own.
        """
        given = dict(value) if isinstance(value, Mapping) else {}
        if given.pop("schema", None) != SCHEMA or given.pop("kind", None) != "architecture":
            raise ArchitectureError(f"{where}: not an architecture of schema {SCHEMA}")
        said, wiring_id = given.pop("id", ""), given.pop("wiring_id", "")
        known = {f.name for f in fields(cls)} - {"graph"} | {"depths", "ganglia"}
        wrong = [f"unknown field {n!r}.{did_you_mean(n, known)}" for n in given if n not in known]
        wrong += [f"field {n!r} is missing" for n in ("depths", "widths") if n not in given]
        if wrong:
            raise ArchitectureError.of(where, wrong)
        try:
            graph = ConnectivityGraph.from_ganglia(given.pop("depths"), given.pop("ganglia", {}))
            mixer = mixer_settings(given.get("backbone", "mamba"), given.pop("mixer", {}))
            out = cls(graph=graph, mixer=mixer, **given)
        except (SparxError, TypeError, ValueError) as cause:
            raise ArchitectureError(f"{where}: {cause}") from cause
        if (said and said != out.id) or (wiring_id and wiring_id != graph.id):
            fix = "the file was edited; delete the fields 'id' and 'wiring_id' to accept that"
            raise ArchitectureError(f"{where}: says id {said}, but its content is {out.id}: {fix}")
        return out

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an architecture that `save` wrote, or the same fields as YAML (`.yaml`, `.yml`).

        Raises: ArchitectureError naming the file and what is wrong in it.
        """
        read = read_plain if Path(path).suffix.lower() in (".yaml", ".yml") else read_json
        return cls.from_dict(read(Path(path), ArchitectureError), where=str(path))

    def save(self, path: str | Path) -> None:
        """Write the architecture as JSON, in one step."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def from_official(cls, **arguments: Any) -> Self:
        """Translate the constructor arguments of the official SparX-Mamba, as they are.

        Arguments that belong to training or to the head (`num_classes`, `drop_path_rate` …) are
        accepted and left to `build`. Nothing passed in is changed.

        Raises: ArchitectureError where the official code fails for the configuration, with the
        reason; docs/architecture.md lists the cases.
        """
        return cls(**official.translate(arguments))

    def to_networkx(self, image_size: int | tuple[int, int] = 224) -> "networkx.MultiDiGraph[str]":
        """Return the wiring with shapes on its nodes and channels on its edges.

        Nodes: `channels`, `height`, `width`. Edges: the `channels` that travel along them.
        `sparx_nas.cost.to_networkx` adds what every layer costs.
        """
        plan = self.plan()
        sizes = map_sizes(plan, *image_sides(image_size))
        attributes: dict[str, dict[str, Any]] = {
            layer_name(i, layer): {"channels": stage.width, "height": height, "width": width}
            for i, (stage, (height, width)) in enumerate(zip(plan.stages, sizes, strict=True))
            for layer in range(len(stage.contexts) + 1)
        }
        out = self.graph.to_networkx(attributes)
        out.graph["architecture_id"] = self.id
        for source, _, edge in out.edges(data=True):
            edge["channels"] = attributes[source]["channels"]
        return out
