"""What the model says of a pool after many trainings, against the posterior of all of them."""

import numpy as np
import pytest
from support.made_up_kernels import draw_codes, draw_values, make_design, make_factors

from se_search.surrogate.kernel import Kernel, log2_fidelity_gaps
from se_search.surrogate.many_posterior import STEP, ManyPosterior
from se_search.surrogate.posterior import Posterior

FACTORS = make_factors(3)
POOL = np.indices((4, 4, 4)).reshape(3, -1).T.astype(np.int16)


def make_case(count, budgets=(1, 4)):
    """Return a kernel, and the pool, in which every candidate is a pivot; trainings and values."""
    kernel = draw_values(Kernel(FACTORS, log2_fidelity_gaps(budgets)), 3)
    rng = np.random.default_rng(5)
    design = make_design(
        FACTORS,
        draw_codes(FACTORS, count, 1),
        rng.integers(len(budgets), size=count),
        rng.integers(4, size=count),
    )
    pool = FACTORS.one_hot(POOL)
    return kernel, pool, design, rng.standard_normal(count)


def take(design, begin, end):
    return design.take(slice(begin, end))


@pytest.mark.parametrize("num_running", [0, 3, 70])
@pytest.mark.parametrize("num_finished", [STEP, STEP + 1, 2 * STEP + 30])
def test_where_every_candidate_is_a_pivot_it_is_the_posterior_of_all_trainings(
    num_finished, num_running
):
    kernel, pool, design, values = make_case(num_finished + num_running)
    finished, running = take(design, 0, num_finished), take(design, num_finished, None)
    many = ManyPosterior(kernel, pool, pool.astype(np.float32), finished)
    found = many.look_ahead(values[:num_finished], running)
    exact = Posterior(kernel, pool, finished).look_ahead(values[:num_finished], running)
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_a_search_that_was_broken_off_gets_the_numbers_of_an_undisturbed_one_to_the_bit():
    kernel, pool, design, values = make_case(2 * STEP + 20)
    pool = pool.astype(np.float32)
    undisturbed = ManyPosterior(kernel, pool[:20], pool, take(design, 0, STEP))
    for count in range(STEP, 2 * STEP + 10):
        finished, running = take(design, 0, count), take(design, count, count + 10)
        undisturbed.finish(finished)
        found = undisturbed.look_ahead(values[:count], running)
    continued = ManyPosterior(kernel, pool[:20], pool, finished)
    assert np.array_equal(found, continued.look_ahead(values[:count], running))


def test_draws_are_of_all_trainings_but_the_last():
    kernel, pool, design, values = make_case(STEP + 5)
    members = np.array([3, 9, 40])
    many = ManyPosterior(kernel, pool, pool.astype(np.float32), design)
    drawn = many.sample(members, values, 20_000, np.random.default_rng(0))
    mean, covariance = Posterior(kernel, pool, take(design, 0, STEP)).moments(
        members, values[:STEP]
    )
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.05 * covariance.max())
