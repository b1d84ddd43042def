"""Real images: digits, Fashion-MNIST, CIFAR, image folders and timm's data sets."""

from sparx_nas.data.catalog import DATA_NAMES, divide, find_data, open_data
from sparx_nas.data.dataset import DataSet
from sparx_nas.data.dividing import Divided, Part
from sparx_nas.data.source import Found

__all__ = [
    "DATA_NAMES",
    "DataSet",
    "Divided",
    "Found",
    "Part",
    "divide",
    "find_data",
    "open_data",
]
