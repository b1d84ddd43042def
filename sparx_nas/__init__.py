"""sparx_nas: which layers of a vision backbone should talk to each other, and what does it cost?

The names below load on first use, so that `import sparx_nas` is quick and imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparx_nas.architecture import Architecture as Architecture
    from sparx_nas.architecture import patterns as patterns
    from sparx_nas.architecture.graph import ConnectivityGraph as ConnectivityGraph
    from sparx_nas.architecture.graph import measures as measures
    from sparx_nas.cost import CostEstimate as CostEstimate
    from sparx_nas.cost import estimate as estimate
    from sparx_nas.cost import to_networkx as to_networkx
    from sparx_nas.ground.errors import SparxError as SparxError
    from sparx_nas.models import build as build
    from sparx_nas.run_store import load_run as load_run
    from sparx_nas.space import SearchSpace as SearchSpace
    from sparx_nas.space import load_space as load_space
    from sparx_nas.trial import table as table
    from sparx_nas.trial.values import Run as Run

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "architecture",
    "ConnectivityGraph": "architecture.graph",
    "CostEstimate": "cost",
    "Run": "trial.values",
    "SearchSpace": "space",
    "SparxError": "ground.errors",
    "build": "models",
    "estimate": "cost",
    "load_run": "run_store",
    "load_space": "space",
    "measures": "architecture.graph",
    "patterns": "architecture.patterns",
    "table": "trial.table",
    "to_networkx": "cost",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sparx_nas' has no attribute {name!r}")
    home = import_module(f"sparx_nas.{_HOMES[name]}")
    value = home if home.__name__.endswith(f".{name}") else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
