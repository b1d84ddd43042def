"""The tables of a single file. A declaration without a value is given one when it is written."""

from sparx_nas.architecture.plan import BackbonePlan

PLAN: BackbonePlan
"""Every shape of the network, and who reads whom: row j of a stage's `contexts` lists the layers
that its layer j + 1 aggregates, 0 being the stage's input. An empty row is a normal layer."""

CLASSES: tuple[str, ...]
"""Names of the classes in the order of the logits; empty where nobody knows them."""

IMAGE_SIZE: tuple[int, int]
"""Height and width in pixels of the images it was trained for; any size will do."""

MEAN: tuple[float, ...]
STD: tuple[float, ...]
"""Of each channel, of pixels in [0, 1]."""

INTERPOLATION: str
CROP_PCT: float
CROP_MODE: str
"""An image is scaled so that a central part of `CROP_PCT` remains when `IMAGE_SIZE` is cut out:
"center" by its shorter side, "border" by its longer one, "squash" both sides apart. With "square"
its largest central square is scaled to `IMAGE_SIZE`."""
