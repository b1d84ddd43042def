"""What no network can have: the checks behind `Architecture`, on its plain fields."""

import math
from collections.abc import Iterator, Sequence
from operator import index

from sparx_nas.architecture.families import ConvSettings, MambaSettings, PvtSettings, SwinSettings
from sparx_nas.architecture.fields import Fields
from sparx_nas.architecture.plan import StagePlan
from sparx_nas.ground.errors import ArchitectureError

ACTIVATIONS = ("silu", "gelu", "relu")
PER_STAGE = ("widths", "expand", "mlp_ratio", "layer_scale", "reductions", "stage_inputs")


def architecture_mistakes(a: Fields) -> list[str]:
    """List every setting that cannot be built."""
    stages = len(a.graph.stages)
    found = [
        f"{name} has {len(getattr(a, name))} entries for {stages} stages"
        for name in PER_STAGE
        if len(getattr(a, name)) != stages
    ]
    choices: tuple[tuple[str, object, Sequence[str]], ...] = (
        ("stem", a.stem, a.family.stems),
        ("norm", a.norm, ("group", "layer")),
        ("mlp_act", a.mlp_act, ACTIVATIONS),
        *(("stage_inputs", place, ("first", "window")) for place in a.stage_inputs),
    )
    found += [
        f"{name} is {value!r}; it is one of {', '.join(known)}"
        for name, value, known in choices
        if value not in known
    ]
    found += _mixer_mistakes(a)
    if not found:
        for i in range(stages):
            found += _stage_mistakes(a, i)
    return found


def check_proxy(in_chans: int, num_classes: int, width: float, stem_stride: int) -> None:
    """Refuse settings of a build that no network can have.

    Raises: ArchitectureError listing them.
    """
    found = [
        f"{name} is {value}; it is a whole number, 1 or more"
        for name, value in (("in_chans", in_chans), ("num_classes", num_classes))
        if type(value) is not int or value < 1
    ]
    if not 0 < width <= 16:
        found.append(f"width is {width}; it multiplies the widths and lies in (0, 16]")
    if stem_stride not in (1, 2, 4):
        found.append(f"stem_stride is {stem_stride}; it is 4, 2 or 1")
    if found:
        raise ArchitectureError.of("build", found)


def check_inner(stages: Sequence[StagePlan]) -> None:
    """Refuse stages whose mixer is left without channels once their widths are scaled.

    Raises: ArchitectureError listing them.
    """
    least = [3 if any(s.contexts) else 1 if s.contexts else 0 for s in stages]
    found = [
        f"stage {i} has width {stage.width} and {stage.inner} channels to mix; {needed} are needed"
        for i, (stage, needed) in enumerate(zip(stages, least, strict=True), 1)
        if stage.inner < needed
    ]
    if found:
        raise ArchitectureError.of("build", found, hint="a larger width or expand")


def image_sides(image_size: int | Sequence[int]) -> tuple[int, int]:
    """Return (height, width) of a side or a pair.

    Raises: ArchitectureError for a side below 1.
    """
    given = image_size if isinstance(image_size, Sequence) else (image_size, image_size)
    try:
        sides = [0 if isinstance(side, bool) else index(side) for side in given]
    except TypeError:
        sides = []
    if len(sides) != 2 or min(sides) < 1:
        raise ArchitectureError(f"image_size is {image_size!r}; it is a side or (height, width)")
    return sides[0], sides[1]


def _finite(value: object) -> bool:
    """Tell whether a value is a number that can be reckoned with."""
    return isinstance(value, int | float) and math.isfinite(value)


def _mixer_mistakes(a: Fields) -> Iterator[str]:
    """Yield what is out of range in the settings of the mixer."""
    m = a.mixer
    kind = type(a.family.settings)
    if not isinstance(m, kind):
        yield f"mixer is {type(m).__name__}; a {a.backbone} backbone has {kind.__name__}"
        return
    if isinstance(m, MambaSettings | ConvSettings) and m.act not in ACTIVATIONS:
        yield f"mixer.act is {m.act!r}; it is one of {', '.join(ACTIVATIONS)}"
    if isinstance(m, MambaSettings):
        yield from _scan_mistakes(m)
        return
    if isinstance(m, ConvSettings):
        if type(m.kernel) is not int or m.kernel < 1 or m.kernel % 2 == 0:
            yield f"mixer.kernel is {m.kernel!r}; it is odd, for an even one shrinks the map"
        return
    if isinstance(m, SwinSettings) and (type(m.window) is not int or m.window < 1):
        yield f"mixer.window is {m.window!r}; it is a whole number, 1 or more"
    yield from _by_stage_mistakes(a, "heads", m.heads)
    if isinstance(m, PvtSettings):
        yield from _by_stage_mistakes(a, "spatial_reductions", m.spatial_reductions)


def _by_stage_mistakes(a: Fields, name: str, values: Sequence[object]) -> Iterator[str]:
    """Yield what is wrong with a setting of the mixer that has one entry a stage."""
    if len(values) != len(a.graph.stages):
        yield f"mixer.{name} has {len(values)} entries for {len(a.graph.stages)} stages"
    for value in values:
        if type(value) is not int or value < 1:
            yield f"mixer.{name} has {value!r}; it is a whole number, 1 or more"


def _scan_mistakes(m: MambaSettings) -> Iterator[str]:
    """Yield what is out of range in the settings of a scan."""
    if type(m.state_dim) is not int or m.state_dim < 1:
        yield f"mixer.state_dim is {m.state_dim!r}; it is 1 or more"
    if m.dt_rank != "auto" and (type(m.dt_rank) is not int or m.dt_rank < 1):
        yield f"mixer.dt_rank is {m.dt_rank!r}; it is 'auto' or 1 or more"
    if type(m.conv_kernel) is not int or (m.conv_kernel > 1 and m.conv_kernel % 2 == 0):
        fix = "it is odd, for an even one shrinks the map, or 0 for none"
        yield f"mixer.conv_kernel is {m.conv_kernel!r}; {fix}"


def _stage_mistakes(a: Fields, i: int) -> Iterator[str]:
    """Yield what is out of range in one stage."""
    halves = i == 0 and a.stem not in ("patch", "overlap")
    stage, width, least = f"stage {i + 1}", a.widths[i], 2 if halves else 1
    if type(width) is not int or width < least:
        yield f"{stage} has width {width!r}; it is a whole number, {least} or more"
        return
    for name in ("expand", "mlp_ratio", "reductions", "layer_scale"):
        value = getattr(a, name)[i]
        if type(value) is bool or not (value is None or _finite(value)):
            yield f"{stage} has {name} {value!r}; it is a number"
            return
    if a.expand[i] is None or not a.expand[i] > 0 or int(width * a.expand[i]) < 1:
        yield f"{stage} has expand {a.expand[i]}; times width {width} it must be 1 or more"
    yield from _heads_mistakes(a, i)
    if a.mlp_ratio[i] is None or a.mlp_ratio[i] < 0:
        yield f"{stage} has mlp_ratio {a.mlp_ratio[i]}; it is 0 or more"
    if type(a.reductions[i]) is not int or a.reductions[i] < 1:
        yield f"{stage} has reductions {a.reductions[i]!r}; it is a whole number, 1 or more"
    if not a.graph.stages[i].ganglia:
        return
    if width < 4 or width % (width // 4):
        yield (
            f"{stage} has ganglia and width {width}, which its attention cannot split into "
            f"groups of {width // 4}; {_fitting_width(a, i)} would do"
        )
    if int(width * a.expand[i]) < 3:
        fix = f"times width {width} it must be 3 or more"
        yield f"{stage} has ganglia and expand {a.expand[i]}; {fix}"


def _heads_mistakes(a: Fields, i: int) -> Iterator[str]:
    """Yield why the attention of one stage cannot be split into its heads."""
    heads, width, stage = getattr(a.mixer, "heads", ()), a.widths[i], f"stage {i + 1}"
    if heads and a.expand[i] != 1:
        yield f"{stage} has expand {a.expand[i]}; attention keeps the width, so it is 1"
    if heads and width % heads[i]:
        fix = f"{_fitting_width(a, i)} would do"
        yield f"{stage} has width {width}, which its {heads[i]} heads do not divide; {fix}"


def _fitting_width(a: Fields, i: int) -> int:
    """Return the next width that the heads divide, and four groups of an aggregator if any."""
    heads, groups = getattr(a.mixer, "heads", ()), 4 if a.graph.stages[i].ganglia else 1
    step = math.lcm(heads[i] if heads else 1, groups)
    return a.widths[i] + -a.widths[i] % step
