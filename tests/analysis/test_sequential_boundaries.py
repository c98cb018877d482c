"""Critical values of group-sequential normal tests: published ones, and scipy's integration."""

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.sequential_boundaries import nominal_levels, spent_share

LOOKS = (8, 12, 16, 20)


def test_five_equal_looks_have_the_published_critical_values():
    """Reboussin, DeMets, Kim and Lan 2000: Pocock's type, 5 % two-sided."""
    found = stats.norm.isf(nominal_levels((1, 2, 3, 4, 5), 0.025))
    assert found == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=2e-4)


@pytest.mark.parametrize("level", [0.025, 0.002])
def test_paths_cross_by_each_look_as_often_as_the_spending_function_allows(level):
    limits = stats.norm.isf(nominal_levels(LOOKS, level))
    for num in range(2, len(LOOKS) + 1):
        looks = np.array(LOOKS[:num])
        correlation = np.sqrt(np.minimum.outer(looks, looks) / np.maximum.outer(looks, looks))
        cdf = stats.multivariate_normal.cdf
        inside = cdf(limits[:num], np.zeros(num), correlation, abseps=1e-6, releps=1e-6, rng=0)
        assert 1 - inside == pytest.approx(level * spent_share(looks[-1] / LOOKS[-1]), abs=5e-6)


def test_the_first_look_spends_what_the_function_says_and_a_single_one_everything():
    first = 0.025 * np.log(1 + (np.e - 1) * 0.4)
    assert nominal_levels(LOOKS, 0.025)[0] == pytest.approx(first, rel=1e-9)
    assert nominal_levels((9,), 0.025) == (pytest.approx(0.025, rel=1e-9),)


def test_nothing_is_spent_at_the_beginning_and_everything_at_the_end():
    assert (spent_share(0), spent_share(1)) == (0, pytest.approx(1))
