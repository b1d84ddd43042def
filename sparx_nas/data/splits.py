"""Which images train, which choose, which judge: fixed by a seed, stratified by class."""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Picks = NDArray[np.int64]

TEST_STREAM, VAL_STREAM, LIMIT_STREAM = 1, 2, 3
"""Second seeds, so that the draws of one seed are independent."""


def take_stratified(labels: Labels, count: int, *, seed: int, stream: int) -> tuple[Picks, Picks]:
    """Draw `count` of the images, each class in its share, and return (drawn, rest), ascending.

    The total is exact and a class is off its share by less than one image.
    """
    order = stratified(labels, seed=seed, stream=stream)
    return np.sort(order[:count]), np.sort(order[count:])


def stratified(labels: Labels, *, seed: int, stream: int) -> Picks:
    """Return all images in an order of which every beginning has each class in its share.

    Every image gets its place within its shuffled class as a fraction, and these are sorted.
    """
    rng = np.random.default_rng([seed, stream])
    shuffled = rng.permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    order: Picks = shuffled[np.argsort(place[shuffled], kind="stable")]
    return order


def share(fraction: float, total: int) -> int:
    """Return how many of `total` images a fraction is: rounded half up, at least 1."""
    return max(1, int(fraction * total + 0.5))
