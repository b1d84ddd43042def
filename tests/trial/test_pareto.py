"""Fronts and hypervolumes against their definitions."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparx_nas.trial.pareto import dominates, hypervolume, minimised, pareto_front
from sparx_nas.trial.values import Objective

GRID = st.integers(0, 4).map(float)


def points(dimensions):
    return st.lists(st.tuples(*[GRID] * dimensions), max_size=12)


@given(st.integers(1, 3).flatmap(points))
def test_the_front_is_what_nothing_dominates(cloud):
    front = pareto_front(cloud)
    assert front == sorted(front)
    for i, point in enumerate(cloud):
        beaten = any(
            all(a <= b for a, b in zip(other, point, strict=True)) and other != point
            for other in cloud
        )
        assert (i in front) == (not beaten)


@given(points(2), st.randoms())
def test_the_front_does_not_depend_on_the_order(cloud, rng):
    shuffled = list(cloud)
    rng.shuffle(shuffled)
    first, second = ([c[i] for i in pareto_front(c)] for c in (cloud, shuffled))
    assert sorted(first) == sorted(second)


def test_equal_points_are_all_kept_and_do_not_dominate_each_other():
    assert pareto_front([(1.0, 2.0), (1.0, 2.0), (0.0, 3.0), (1.0, 3.0)]) == [0, 1, 2]
    assert not dominates((1.0,), (1.0,))
    assert pareto_front([]) == []


@given(st.integers(1, 3).flatmap(points))
def test_hypervolume_counts_the_cells_that_are_dominated(cloud):
    """On a grid of whole numbers the volume is the number of unit cells above some point."""
    if not cloud:
        assert hypervolume(cloud, (4.0, 4.0)) == 0
        return
    dimensions = len(cloud[0])
    cells = sum(
        any(all(x <= c for x, c in zip(p, cell, strict=True)) for p in cloud)
        for cell in itertools.product(range(4), repeat=dimensions)
    )
    assert hypervolume(cloud, (4.0,) * dimensions) == pytest.approx(cells)


def test_hypervolume_known_by_hand():
    assert hypervolume([(1.0, 3.0), (2.0, 1.0)], (4.0, 4.0)) == pytest.approx(3 * 1 + 2 * 3 - 2 * 1)
    assert hypervolume([(1.0, 1.0, 1.0)], (2.0, 3.0, 4.0)) == pytest.approx(6)
    assert hypervolume([(4.0, 0.0), (5.0, -1.0)], (4.0, 4.0)) == 0


@given(points(2), st.tuples(GRID, GRID))
def test_another_point_never_takes_volume_away(cloud, extra):
    reference = (5.0, 5.0)
    assert hypervolume([*cloud, extra], reference) >= hypervolume(cloud, reference)
    front = [cloud[i] for i in pareto_front(cloud)]
    assert hypervolume(front, reference) == pytest.approx(hypervolume(cloud, reference))


def test_directions_turn_into_minimised_axes():
    objectives = [Objective(name="top1", direction="max"), Objective(name="macs", direction="min")]
    assert minimised([0.8, 5.0], objectives) == (-0.8, 5.0)
    with pytest.raises(ValueError, match="zip"):
        minimised([0.8], objectives)


def test_three_axes_and_hundreds_of_points_take_no_time():
    rng = random.Random(0)
    cloud = [(rng.random(), rng.random(), rng.random()) for _ in range(300)]
    assert 0.5 < hypervolume(cloud, (1.0, 1.0, 1.0)) < 1
