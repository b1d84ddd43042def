"""Short trainings of candidates, measurement of their latency, scoring on held-out images."""

from sparx_nas.timm_import import prepare_timm

prepare_timm()

from sparx_nas.training.device import device_name, resolve_device  # noqa: E402
from sparx_nas.training.loop import Recipe, Training  # noqa: E402  (timm is ready now)
from sparx_nas.training.score import Score, evaluate, latency_ms  # noqa: E402

__all__ = ["Recipe", "Score", "Training", "device_name", "evaluate", "latency_ms", "resolve_device"]
