"""The fields of an `Architecture`: apart from it, so that what checks them need not know it."""

from dataclasses import dataclass
from typing import Any

from sparx_nas.architecture.families import FAMILIES, Family, MixerSettings, Norm, Stem
from sparx_nas.architecture.graph import ConnectivityGraph
from sparx_nas.architecture.patterns import StageInput

OF_THE_FAMILY: Any = None
"""Of a field that is left out: the family's own value is filled in."""


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What an `Architecture` is made of: all that changes the function, and nothing else.

    `backbone` is a name of `FAMILIES`, `mixer` the settings of that family's kind.

    Per stage: `widths` C, `expand` D / C of the mixer (1 in attention), `mlp_ratio` hidden / C of
    the FFN (the hidden width is C where that comes to 0), `layer_scale` initial value or None for
    none, `reductions` of the aggregator's queries and keys, `stage_inputs` where the stage's input
    stands in a context ("first", or "window": after the normal layers, as the official
    `cross_stage`). What is left out takes the value of the published models of the family.
    """

    graph: ConnectivityGraph
    widths: tuple[int, ...]
    backbone: str = "mamba"
    stem: Stem = OF_THE_FAMILY
    mixer: MixerSettings = OF_THE_FAMILY
    mlp_act: str = "gelu"
    norm: Norm = OF_THE_FAMILY
    expand: tuple[float, ...] = ()
    mlp_ratio: tuple[float, ...] = ()
    layer_scale: tuple[float | None, ...] = ()
    reductions: tuple[int, ...] = ()
    stage_inputs: tuple[StageInput, ...] = ()

    @property
    def family(self) -> Family:
        """What all backbones of this kind share."""
        return FAMILIES[self.backbone]
