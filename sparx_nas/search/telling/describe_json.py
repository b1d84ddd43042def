"""What `--explain` says, for machines."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sparx_nas.space import SearchSpace
from sparx_nas.space.explain import Placed, explain


def space_json(space: SearchSpace, limits: Mapping[str, int]) -> str:
    """Explain a space within limits: genes, size, costs, where the published designs lie."""
    found = explain(space, limits=limits)
    return _text(
        {
            "space": space.name,
            "about": space.about,
            "space_id": space.fingerprint,
            "target": dict(space.target),
            "limits": dict(limits),
            "genes": {gene.name: list(gene.choices) for gene in found.genes},
            "dropped": {gene.name: gene.reason for gene in found.dropped},
            "genotypes": found.genotypes,
            "distinct": found.distinct,
            "distinct_is_exact": found.exact,
            "feasible": found.feasible,
            "feasible_share": found.feasible_share,
            "looked_at": found.looked_at,
            "ranges": {name: asdict(span) for name, span in found.ranges.items()},
            "baselines": {placed.name: _placed(placed) for placed in found.placed},
        }
    )


def _placed(placed: Placed) -> dict[str, Any]:
    """Say what a baseline is and costs."""
    return {
        "architecture_id": placed.architecture.id,
        "graph_id": placed.architecture.graph.id,
        "cost": placed.cost.to_dict(),
        "share_that_costs_less": dict(placed.below),
        "violations": list(placed.violations),
    }


def _text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
