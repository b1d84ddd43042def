"""Networks built from an `Architecture`."""

from sparx_nas.ground.timm_import import prepare_timm

prepare_timm()

from sparx_nas.models.backbone import SparxBackbone, build  # noqa: E402  (timm is ready now)
from sparx_nas.models.dense import DenseBackbone  # noqa: E402
from sparx_nas.models.dense_weights import load_classification, load_dense  # noqa: E402
from sparx_nas.models.registry import architecture_of  # noqa: E402
from sparx_nas.models.saved import load_network, save_network  # noqa: E402

__all__ = [
    "DenseBackbone",
    "SparxBackbone",
    "architecture_of",
    "build",
    "load_classification",
    "load_dense",
    "load_network",
    "save_network",
]
