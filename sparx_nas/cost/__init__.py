"""Exact cost of a backbone from its plan alone: no torch, no model, any input size."""

from sparx_nas.cost.estimating import estimate, to_networkx
from sparx_nas.cost.total import CostEstimate, LayerCost, count, layer_costs

__all__ = ["CostEstimate", "LayerCost", "count", "estimate", "layer_costs", "to_networkx"]
