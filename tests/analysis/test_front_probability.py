"""Shares of draws in which a candidate is on the front, against moocore draw by draw."""

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from se_search.analysis.pareto import front_probability, on_front


def on_front_by_moocore(costs, samples):
    return np.array(
        [
            moocore.is_nondominated(np.column_stack([costs, -draw]), keep_weakly=True)
            for draw in samples
        ]
    )


@given(st.integers(1, 3), st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=60)
def test_marks_are_moocores_draw_by_draw_also_with_ties_in_cost(
    num_costs, count, num_different, seed
):
    rng = np.random.default_rng(seed)
    costs = rng.integers(num_different, size=(count, num_costs)).astype(float)
    samples = rng.standard_normal((20, count))
    np.testing.assert_array_equal(on_front(costs, samples), on_front_by_moocore(costs, samples))


def test_the_probability_is_the_share_of_draws():
    rng = np.random.default_rng(0)
    costs, samples = rng.uniform(size=(9, 2)), rng.standard_normal((50, 9))
    wanted = on_front_by_moocore(costs, samples).mean(axis=0)
    np.testing.assert_allclose(front_probability(costs, samples), wanted)


@pytest.mark.parametrize("num_costs", [1, 2])
def test_the_only_candidate_is_on_the_front(num_costs):
    assert front_probability(np.ones((1, num_costs)), np.zeros((3, 1))).tolist() == [1.0]


def test_two_alike_at_one_cost_have_the_front_half_the_time_each():
    samples = np.random.default_rng(0).standard_normal((20_000, 2))
    found = front_probability(np.ones((2, 1)), samples)
    np.testing.assert_allclose(found, [0.5, 0.5], atol=0.02)
    assert found.sum() == pytest.approx(1.0)


def test_the_dearer_of_two_is_on_the_front_as_often_as_it_is_better():
    """P(N(0.5, 1) > N(0, 1)) in closed form."""
    from scipy.stats import norm

    samples = np.random.default_rng(1).normal([0.0, 0.5], 1.0, (20_000, 2))
    found = front_probability(np.array([[1.0], [2.0]]), samples)
    np.testing.assert_allclose(found, [1.0, norm.cdf(0.5 / np.sqrt(2))], atol=0.015)
