"""Architectures with a name: the published ones, plain ones of other sources, and ours.

SparX-Mamba, VMamba, Swin and PVT v2 are as published. SparX-Swin, SparX-PVT and SparX-Conv are this
project's designs, for no tables or code of the paper's own are known to it: docs/families.md says
what was chosen and why. Layers are counted from 1 here, as everywhere in what people read.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.families import PvtSettings, Stem, SwinSettings
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.architecture.patterns import plain, sparx
from sparx_nas.ground.errors import ArchitectureError, did_you_mean

Four = tuple[int, int, int, int]
SPARX_RELEASE = "https://github.com/LMMMEng/SparX/releases/download/v1/"
VMAMBA_RELEASE = "https://github.com/MzeroMiko/VMamba/releases/download/%23v2cls/"


@dataclass(frozen=True, kw_only=True)
class Named:
    """An architecture with a name.

    `drop_path` is the rate of stochastic depth of its full training, `crop_pct` the share of the
    side that evaluation at 224 px crops, both as published (or as those of the same size). `url` is
    where its source released weights for ImageNet-1K, `timm` the model of timm that it equals.
    """

    name: str
    make: Callable[[], Architecture]
    about: str
    drop_path: float
    crop_pct: float = 0.9
    url: str = ""
    timm: str = ""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Depths and widths of a size, and where the published rule puts its ganglia.

    `stride`, and `start` from 1; a start beyond the depth means no ganglia. `window` of stage 3.
    """

    depths: Four
    widths: Four
    stride: Four = (1, 1, 1, 1)
    start: Four = (99, 99, 99, 99)
    window: int | None = 3

    def graph(self, *, ganglia: bool) -> ConnectivityGraph:
        """Return the wiring of the rule, or that without ganglia."""
        if not ganglia:
            return plain(self.depths)
        starts = [start - 1 for start in self.start]
        window = (None, None, self.window, None)
        return sparx(self.depths, stride=self.stride, start=starts, window=window)


MAMBA = {
    "t": Shape(
        depths=(2, 2, 7, 2), widths=(96, 192, 320, 512), stride=(1, 1, 2, 1), start=(99, 2, 1, 1)
    ),
    "s": Shape(
        depths=(2, 2, 17, 2), widths=(96, 192, 328, 544), stride=(1, 1, 3, 1), start=(99, 2, 1, 1)
    ),
    "b": Shape(
        depths=(2, 2, 21, 3), widths=(120, 240, 396, 636), stride=(1, 1, 3, 2), start=(99, 2, 1, 3)
    ),
}
SWIN = {
    "t": MAMBA["t"],
    "s": replace(MAMBA["s"], widths=(96, 192, 352, 544)),
    "b": replace(MAMBA["b"], widths=(128, 256, 416, 640)),
}
PVT = {
    "b0": Shape(
        depths=(2, 2, 2, 2), widths=(32, 64, 128, 224), stride=(1, 1, 2, 1), start=(99, 2, 1, 1)
    ),
    "b1": Shape(
        depths=(2, 2, 2, 2), widths=(64, 128, 256, 448), stride=(1, 1, 2, 1), start=(99, 2, 1, 1)
    ),
    "b2": Shape(
        depths=(3, 4, 6, 3), widths=(64, 128, 256, 448), stride=(1, 1, 2, 1), start=(99, 4, 1, 3)
    ),
    "b3": Shape(
        depths=(3, 4, 18, 3), widths=(64, 128, 256, 512), stride=(1, 1, 3, 1), start=(99, 4, 1, 3)
    ),
}
"""Shapes with ganglia. A size's plain version has the same shape in SparX-Mamba, and that of the
source in Swin and PVT."""

PLAIN_SWIN = {
    "t": Shape(depths=(2, 2, 6, 2), widths=(96, 192, 384, 768)),
    "s": Shape(depths=(2, 2, 18, 2), widths=(96, 192, 384, 768)),
    "b": Shape(depths=(2, 2, 18, 2), widths=(128, 256, 512, 1024)),
}
PLAIN_PVT = {
    "b0": Shape(depths=(2, 2, 2, 2), widths=(32, 64, 160, 256)),
    "b1": Shape(depths=(2, 2, 2, 2), widths=(64, 128, 320, 512)),
    "b2": Shape(depths=(3, 4, 6, 3), widths=(64, 128, 320, 512)),
    "b3": Shape(depths=(3, 4, 18, 3), widths=(64, 128, 320, 512)),
    "b4": Shape(depths=(3, 8, 27, 3), widths=(64, 128, 320, 512)),
    "b5": Shape(depths=(3, 6, 40, 3), widths=(64, 128, 320, 512)),
}
VMAMBA = {
    "tiny": (Shape(depths=(2, 2, 8, 2), widths=(96, 192, 384, 768)), 1.0),
    "small": (Shape(depths=(2, 2, 15, 2), widths=(96, 192, 384, 768)), 2.0),
    "base": (Shape(depths=(2, 2, 15, 2), widths=(128, 256, 512, 1024)), 2.0),
}
"""VMamba's releases: T[s1l8], S[s2l15], B[s2l15], with D / C of their scans."""
RATES = {"t": 0.2, "s": 0.3, "b": 0.5, "b0": 0.1, "b1": 0.1, "b2": 0.1, "b3": 0.3}
RATES |= {"b4": 0.3, "b5": 0.3, "tiny": 0.2, "small": 0.3, "base": 0.6}
VMAMBA_FILES = {
    "tiny": "vssm1_tiny_0230s_ckpt_epoch_264.pth",
    "small": "vssm_small_0229_ckpt_epoch_222.pth",
    "base": "vssm_base_0229_ckpt_epoch_237.pth",
}
WORDS = {"t": "tiny", "s": "small", "b": "base"}
SWIN_HEAD, PVT_HEAD, PVT_B0_HEAD = 32, 64, 32
"""Channels of an attention's head."""


def mamba(size: str, *, ganglia: bool, backbone: str = "mamba") -> Architecture:
    """Return SparX-Mamba of a size, with or without its ganglia, or the same of convolutions."""
    shape = MAMBA[size]
    stem: Stem = "v1" if size == "t" else "v2"
    graph = shape.graph(ganglia=ganglia)
    return Architecture(graph=graph, widths=shape.widths, backbone=backbone, stem=stem)


def swin(shape: Shape, *, ganglia: bool) -> Architecture:
    """Return a Swin of a shape, 32 channels a head."""
    heads = tuple(width // SWIN_HEAD for width in shape.widths)
    graph, settings = shape.graph(ganglia=ganglia), SwinSettings(heads=heads)
    return Architecture(graph=graph, widths=shape.widths, backbone="swin", mixer=settings)


def pvt(size: str, shape: Shape, *, ganglia: bool) -> Architecture:
    """Return a PVT v2 of a shape, 32 channels a head in b0 and 64 in the others."""
    heads = tuple(width // (PVT_B0_HEAD if size == "b0" else PVT_HEAD) for width in shape.widths)
    early = 4.0 if size == "b5" else 8.0
    return Architecture(
        graph=shape.graph(ganglia=ganglia),
        widths=shape.widths,
        backbone="pvt",
        mixer=PvtSettings(heads=heads),
        mlp_ratio=(early, early, 4.0, 4.0),
    )


def vmamba(size: str) -> Architecture:
    """Return a released VMamba (v05, no gate)."""
    shape, expand = VMAMBA[size]
    graph = shape.graph(ganglia=False)
    return Architecture(graph=graph, widths=shape.widths, backbone="vmamba", expand=(expand,) * 4)


def named(name: str) -> Architecture:
    """Return the architecture of a name, such as sparx_mamba_t.

    Raises: ArchitectureError listing near names if there is none.
    """
    if name not in NAMED:
        near = did_you_mean(name, NAMED)
        raise ArchitectureError(
            f"no architecture is called {name!r}.{near}", hint=f"known are {', '.join(NAMED)}"
        )
    return NAMED[name].make()


def _mambas() -> Iterator[Named]:
    """List SparX-Mamba with and without ganglia, and its control of convolutions."""
    for size, word in WORDS.items():
        rate, crop = RATES[size], 0.9 if size == "t" else 0.95
        title = f"SparX-Mamba-{size.upper()}"
        yield Named(
            name=f"sparx_mamba_{size}",
            make=partial(mamba, size, ganglia=True),
            about=f"{title} as published",
            drop_path=rate,
            crop_pct=crop,
            url=f"{SPARX_RELEASE}sparx_mamba_{word}_in1k.pth",
        )
        yield Named(
            name=f"plain_mamba_{size}",
            make=partial(mamba, size, ganglia=False),
            about=f"{title} without ganglia",
            drop_path=rate,
            crop_pct=crop,
        )
    for prefix, ganglia in (("sparx", True), ("plain", False)):
        make = partial(mamba, "t", ganglia=ganglia, backbone="conv")
        about = f"SparX-Mamba-T{'' if ganglia else ' without ganglia'}, convolutions for its scan"
        yield Named(name=f"{prefix}_conv_t", make=make, about=about, drop_path=0.2)


def _swins() -> Iterator[Named]:
    """List Swin with ganglia, our design, and as published."""
    for size, word in WORDS.items():
        upper, rate = size.upper(), RATES[size]
        make = partial(swin, SWIN[size], ganglia=True)
        about = f"Swin-{upper} with ganglia, this project's design"
        yield Named(name=f"sparx_swin_{size}", make=make, about=about, drop_path=rate)
        yield Named(
            name=f"plain_swin_{size}",
            make=partial(swin, PLAIN_SWIN[size], ganglia=False),
            about=f"Swin-{upper} as published",
            drop_path=rate,
            timm=f"swin_{word}_patch4_window7_224",
        )


def _pvts() -> Iterator[Named]:
    """List PVT v2 with ganglia, our design, and as published."""
    for size, shape in PVT.items():
        make = partial(pvt, size, shape, ganglia=True)
        about = f"PVT v2 {size} with ganglia, this project's design"
        yield Named(name=f"sparx_pvt_v2_{size}", make=make, about=about, drop_path=RATES[size])
    for size, shape in PLAIN_PVT.items():
        yield Named(
            name=f"plain_pvt_v2_{size}",
            make=partial(pvt, size, shape, ganglia=False),
            about=f"PVT v2 {size} as published",
            drop_path=RATES[size],
            timm=f"pvt_v2_{size}",
        )


def _vmambas() -> Iterator[Named]:
    """List VMamba as released."""
    for size, file in VMAMBA_FILES.items():
        yield Named(
            name=f"vmamba_{size}",
            make=partial(vmamba, size),
            about=f"VMamba-{size[0].upper()} as released (v05, no gate)",
            drop_path=RATES[size],
            url=VMAMBA_RELEASE + file,
        )


NAMED: Mapping[str, Named] = {
    entry.name: entry for entry in (*_mambas(), *_swins(), *_pvts(), *_vmambas())
}
"""Everything that has a name; the networks of timm.create_model are called the same."""
