"""What a backbone is, without torch: its wiring, its family, its shapes."""

from sparx_nas.architecture.design import Architecture

__all__ = ["Architecture"]
