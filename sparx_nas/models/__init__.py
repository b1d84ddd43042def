"""Networks built from an `Architecture`."""

from sparx_nas.timm_import import prepare_timm

prepare_timm()

from sparx_nas.models.backbone import SparxBackbone, build  # noqa: E402  (timm is ready now)

__all__ = ["SparxBackbone", "build"]
