"""Exact cost of a backbone from its plan alone: no torch, no model, any input size."""

from sparx_nas.cost.estimate import CostEstimate, LayerCost, count, layer_costs

__all__ = ["CostEstimate", "LayerCost", "count", "layer_costs"]
