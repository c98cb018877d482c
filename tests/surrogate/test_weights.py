"""The model as a sum over weights, against linear algebra on a covariance of all trainings."""

import numpy as np
import pytest
from support.made_up_kernels import draw_codes, make_case, make_factors

from se_search.surrogate import weights as weights_module
from se_search.surrogate.kernel import Kernel
from se_search.surrogate.pivots import Pivots, choose_pivots
from se_search.surrogate.trained_candidates import TrainedCandidates
from se_search.surrogate.weights import WeightModel, WeightPosterior


def explain(kernel, pivots, design, values, rows):
    """Return means and covariances of candidates, by the weights."""
    trained = TrainedCandidates(design)
    posterior = WeightPosterior(
        WeightModel(Pivots(kernel, pivots), len(trained.replicates)), trained
    )
    mean, own = posterior.mean(values)
    explained = posterior.spread.explain(rows)
    whitened = explained.whiten()
    means = explained.apply(mean[:, None])[:, 0] + explained.offset(own)
    return means, whitened.T @ whitened + np.diag(explained.rest)


def posterior_by_algebra(among, cross, prior, values):
    """Rasmussen & Williams 2006, eq. 2.25 and 2.26."""
    solved = np.linalg.solve(among, cross.T).T
    return solved @ values, prior - solved @ cross.T


def rows_of(kernel, design, seed=7):
    """Return some candidates that have been trained, then some others; none twice."""
    others = kernel.factors.one_hot(draw_codes(kernel.factors, 15, seed))
    both = np.vstack([design.rows[:10], others])
    return both[np.sort(np.unique(both, axis=0, return_index=True)[1])]


@pytest.mark.parametrize(
    "options", [{}, {"budgets": (4,)}, {"has_replicates": False}, {"num_slots": 2}]
)
def test_where_every_candidate_is_a_pivot_the_posterior_is_that_of_the_whole_covariance(options):
    kernel, design, values = make_case(**options)
    rows = rows_of(kernel, design)
    every = np.unique(np.vstack([design.rows, rows]), axis=0)
    means, covariances = explain(kernel, every, design, values, rows)
    expected = posterior_by_algebra(
        kernel.among(design), _cross(kernel, rows, design), kernel.between(rows, rows), values
    )
    np.testing.assert_allclose(means, expected[0], atol=1e-5)
    np.testing.assert_allclose(covariances, expected[1], atol=1e-5)


def test_what_few_pivots_leave_of_a_candidate_is_its_own_in_all_of_its_trainings():
    kernel, design, values = make_case(count=30)
    rows = rows_of(kernel, design)
    pivots = choose_pivots(kernel, np.unique(design.rows, axis=0), 5)
    together = np.vstack([design.rows, rows])
    between = kernel.product(pivots, together)
    told = between.T @ np.linalg.solve(kernel.product(pivots, pivots), between)
    is_one = (together[:, None] == together[None]).all(axis=2)
    whole = kernel.product(together, together)
    change = np.where(is_one, whole, told) - whole
    count = len(design)
    expected = posterior_by_algebra(
        kernel.among(design) + change[:count, :count],
        _cross(kernel, rows, design) + change[count:, :count],
        kernel.between(rows, rows) + change[count:, count:],
        values,
    )
    means, covariances = explain(kernel, pivots, design, values, rows)
    np.testing.assert_allclose(means, expected[0], atol=1e-5)
    np.testing.assert_allclose(covariances, expected[1], atol=1e-5)


def test_of_very_many_replicates_the_variance_of_a_training_stays_as_it_is():
    kernel, design, _ = make_case(budgets=(4,))
    num_replicates = weights_module.MAX_LIKED // 4  # which leaves four directions to each
    pivots = Pivots(kernel, np.unique(design.rows, axis=0))
    model = WeightModel(pivots, num_replicates)
    blocks = np.arange(len(design))
    nuisance = model.describe_nuisance(design, blocks).toarray()
    loadings, left = model.describe(design.rows)
    every = np.hstack([nuisance, loadings])
    prior = np.linalg.inv(model.prior_precision())
    variances = np.einsum("ij,jk,ik->i", every, prior, every) + left + model.noise(design)
    np.testing.assert_allclose(variances, np.diag(kernel.among(design)), rtol=1e-4)


def test_draws_have_the_mean_and_the_covariance_of_the_posterior():
    kernel, design, values = make_case()
    trained = TrainedCandidates(design)
    pivots = Pivots(kernel, choose_pivots(kernel, trained.rows, 4))
    posterior = WeightPosterior(WeightModel(pivots, len(trained.replicates)), trained)
    mean, _ = posterior.mean(values)
    drawn = posterior.spread.draw(mean, 20_000, np.random.default_rng(0))
    covariance = np.linalg.inv(posterior.spread.factor @ posterior.spread.factor.T)
    sds = np.sqrt(np.diag(covariance))
    assert np.abs((drawn.mean(axis=1) - mean) / sds).max() < 5 / np.sqrt(20_000)
    correlation = np.cov(drawn) / np.outer(sds, sds)
    np.testing.assert_allclose(correlation, covariance / np.outer(sds, sds), atol=0.06)


def test_pivots_are_unlike_each_other_and_the_plain_network_is_the_first():
    factors = make_factors(3)
    kernel = Kernel(factors, (0.0,))
    rows = np.unique(factors.one_hot(draw_codes(factors, 200, 0)), axis=0)
    pivots = choose_pivots(kernel, rows, 6)
    assert factors.mark_plain(pivots).tolist() == [True] + 5 * [False]
    for count in range(1, 6):  # each is the one of which those before it leave most
        _, left = Pivots(kernel, pivots[:count]).project(rows)
        _, of_next = Pivots(kernel, pivots[:count]).project(pivots[count : count + 1])
        assert of_next[0] == pytest.approx(left.max(), rel=1e-3)


def test_candidates_are_found_by_their_levels():
    factors = make_factors(4)
    codes = draw_codes(factors, 60, 3)
    trained = TrainedCandidates(make_case(count=60)[1])
    rows = factors.one_hot(codes)
    wanted = [
        next((n for n, own in enumerate(trained.rows) if (own == row).all()), -1) for row in rows
    ]
    assert trained.find(rows).tolist() == wanted
    assert np.array_equal(trained.rows[trained.which], trained.design.rows)


def _cross(kernel, rows, design):
    """Return covariances of candidates in an average replicate with trainings."""
    return kernel.between(rows, design.rows)
