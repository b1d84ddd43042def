"""Exact cost of a backbone from its plan alone: no torch, no model, any input size."""

from sparx_nas.cost.estimating import CostEstimate, estimate, to_networkx

__all__ = ["CostEstimate", "estimate", "to_networkx"]
