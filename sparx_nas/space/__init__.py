"""Search spaces: readable files in, architectures and genes out."""

from sparx_nas.space.catalogue import SpaceInfo, list_spaces, load_space, parse_space
from sparx_nas.space.search_space import SearchSpace
from sparx_nas.space.stage import Dropped, Gene

__all__ = [
    "Dropped",
    "Gene",
    "SearchSpace",
    "SpaceInfo",
    "list_spaces",
    "load_space",
    "parse_space",
]
