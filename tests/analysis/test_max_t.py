"""P values that allow for a family of estimates: against closed forms of normal distributions."""

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.max_t import max_t_p_values

NUM_DRAWS = 200_000


def draw(covariance, means):
    return np.random.default_rng(0).multivariate_normal(means, covariance, NUM_DRAWS)


def test_p_values_of_independent_estimates_are_those_of_sidak():
    sds, distances = np.array([1.0, 2.0, 0.5, 3.0]), np.array([0.0, 1.5, -2.5, 3.5])
    found = max_t_p_values(draw(np.diag(sds**2), sds * distances))
    assert found == pytest.approx(1 - (1 - 2 * stats.norm.sf(np.abs(distances))) ** 4, abs=0.004)


def test_estimates_that_go_together_pay_nothing_for_being_many():
    found = max_t_p_values(draw(np.ones((6, 6)) + 1e-9 * np.eye(6), np.linspace(0, 3, 6)))
    assert found == pytest.approx(2 * stats.norm.sf(np.linspace(0, 3, 6)), abs=0.004)


def test_without_any_effect_one_family_in_twenty_has_a_p_value_below_a_twentieth():
    rng = np.random.default_rng(1)
    root = np.linalg.cholesky(0.5 * np.eye(8) + 0.5)
    least = [
        max_t_p_values(root @ rng.standard_normal(8) + rng.standard_normal((2_000, 8)) @ root.T)
        for _ in range(600)
    ]
    assert np.mean(np.min(least, axis=1) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_an_estimate_that_does_not_vary_is_certain():
    draws = np.column_stack([np.zeros(999), np.ones(999), np.linspace(-1, 1, 999)])
    assert max_t_p_values(draws) == pytest.approx([1, 0.001, 1], abs=0.0011)


def test_no_estimates_have_no_p_values():
    assert max_t_p_values(np.zeros((5, 0))).shape == (0,)
