"""The hypervolume, against areas that are counted square by square, and against moocore."""

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from se_search.analysis.pareto import hypervolume

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=15)


def count_squares(points, reference):
    """Count the unit squares between the reference point and the points."""
    squares = {
        (x, y)
        for cost, accuracy in points
        for x in range(cost, reference[0])
        for y in range(reference[1], accuracy)
    }
    return len(squares)


def columns(points):
    costs, accuracies = np.array(points, float).reshape(-1, 2).T
    return costs, accuracies


@given(POINTS, st.tuples(st.integers(1, 14), st.integers(0, 10)))
def test_the_hypervolume_is_the_number_of_unit_squares_that_are_dominated(points, reference):
    assert hypervolume(*columns(points), reference) == count_squares(points, reference)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30),
)
def test_the_hypervolume_is_that_of_moocore(points):
    costs, accuracies = columns(points)
    expected = moocore.hypervolume(np.column_stack([costs, -accuracies]), ref=[0.9, -0.1])
    assert hypervolume(costs, accuracies, (0.9, 0.1)) == pytest.approx(expected, abs=1e-12)


def test_a_point_at_the_reference_contributes_nothing():
    assert hypervolume(np.array([1.0, 0.2]), np.array([0.9, 0.5]), (1.0, 0.5)) == 0
