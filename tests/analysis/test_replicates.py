"""Trainings by seed: how two candidates' are paired, and which parts are refused."""

import math

import numpy as np
import pytest

from se_search.analysis.replicates import (
    Replicates,
    paired_differences,
    paired_rows,
    shared_replicates,
)
from se_search.errors import RunError

A = Replicates((8, 2, 5), np.array([0.5, 0.9, 0.7]))
B = Replicates((5, 8, 9, 2), np.array([0.1, 0.6, 0.3, 0.2]))


def test_the_shared_seeds_are_those_of_both_in_ascending_order():
    assert shared_replicates(A, B) == (2, 5, 8)


def test_each_difference_is_of_one_seed():
    assert paired_differences(A, B) == pytest.approx([0.9 - 0.2, 0.7 - 0.1, 0.5 - 0.6])


def test_paired_rows_point_at_the_shared_seeds():
    rows_a, rows_b = paired_rows(A, B)
    assert [A.seeds[row] for row in rows_a] == [B.seeds[row] for row in rows_b] == [2, 5, 8]


def test_without_a_shared_seed_there_is_no_difference():
    assert len(paired_differences(A, Replicates((1,), np.array([0.5])))) == 0


def test_differences_of_equal_numbers_of_images_are_equal():
    # 0.912 - 0.911 and 0.812 - 0.811 differ in their last digits.
    a, b = (
        Replicates((0, 1), np.array([0.912, 0.812])),
        Replicates((0, 1), np.array([0.911, 0.811])),
    )
    first, second = paired_differences(a, b)
    assert first == second


def test_the_mean_is_over_the_seeds():
    assert A.mean == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (((1, 2, 1), np.array([0.1, 0.2, 0.3])), r"seeds \[1\] stand twice"),
        (((1, 2), np.array([0.1])), r"shape \(1,\) for 2 seeds"),
        (((1, 2), np.array([91.2, 90.0])), "not all shares, 0 to 1"),
        (((1, 2), np.array([0.1, math.nan])), "not all shares, 0 to 1"),
        (((1, 2), np.zeros(2), np.zeros((3, 5), bool)), r"bool of shape \(3, 5\) for 2 seeds"),
        (((1, 2), np.zeros(2), np.zeros((2, 5))), "float64 of shape"),
        (((1, 2), np.zeros(2), np.zeros((2, 0), bool)), "no images"),
        (((1, 2), np.array([0.0, 0.5]), np.zeros((2, 5), bool)), "0.000000 where.* is 0.500000"),
    ],
)
def test_parts_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(RunError, match=message):
        Replicates(*fields)
