"""What the model says after trainings, against linear algebra and scikit-learn."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel as SklearnKernel
from support.made_up_kernels import (
    FOUR,
    covariance_by_hand,
    draw_codes,
    draw_values,
    make_case,
    make_factors,
)
from support.made_up_trainings import FACTORS, make_trainings

from se_search.surrogate.kernel import JITTER, Kernel, log2_fidelity_gaps
from se_search.surrogate.likelihood import fit_kernel
from se_search.surrogate.posterior import Posterior
from se_search.surrogate.trainings import Observations


def whole_pool(factors):
    sizes = [len(levels) for levels in factors.levels]
    codes = np.indices(sizes).reshape(len(sizes), -1).T
    return factors.one_hot(codes).astype(np.float32)


def posterior_by_algebra(kernel, pool, rows, budgets, values):
    inverse = np.linalg.inv(kernel.among(rows, budgets))
    cross = kernel.between(pool.astype(float), rows)
    prior = kernel.between(pool.astype(float), pool.astype(float))
    return cross @ inverse @ values, prior - cross @ inverse @ cross.T


def test_mean_and_variance_are_those_of_linear_algebra():
    kernel, rows, positions, values = make_case()
    pool = whole_pool(kernel.factors)
    posterior = Posterior(kernel, pool, rows, positions)
    mean, covariance = posterior_by_algebra(kernel, pool, rows, positions, values)
    np.testing.assert_allclose(posterior.mean(values), mean, atol=1e-4)
    np.testing.assert_allclose(posterior.variance, np.diag(covariance), atol=1e-4)


class _Given(SklearnKernel):
    """The formula by hand as a kernel of scikit-learn's, over codes, without a noise term."""

    def __init__(self, kernel=None):
        self.kernel = kernel

    def __call__(self, left, right=None, eval_gradient=False):
        right = left if right is None else right
        return np.array(
            [
                [covariance_by_hand(self.kernel, one, other)[0] for other in right.astype(int)]
                for one in left.astype(int)
            ]
        )

    def diag(self, rows):
        return np.array([covariance_by_hand(self.kernel, one, one)[0] for one in rows.astype(int)])

    def is_stationary(self):
        return False


def test_with_one_budget_scikit_learn_says_so_too():
    factors = make_factors(3)
    kernel = draw_values(Kernel(factors, log2_fidelity_gaps((4,))), 1)
    codes, pool = draw_codes(factors, 15, 0), draw_codes(factors, 20, 1)
    codes[1] = codes[0]
    values = np.random.default_rng(0).standard_normal(15)
    theirs = GaussianProcessRegressor(
        _Given(kernel), alpha=float(kernel.noise[0]) + JITTER, optimizer=None
    ).fit(codes, values)
    mean, sd = theirs.predict(pool, return_std=True)
    ours = Posterior(
        kernel,
        factors.one_hot(pool).astype(np.float32),
        factors.one_hot(codes),
        np.zeros(15, np.int64),
    )
    np.testing.assert_allclose(ours.mean(values), mean, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(ours.variance), sd, atol=1e-4)


def test_trainings_appended_one_by_one_give_what_a_block_gives():
    kernel, rows, positions, values = make_case(count=90)
    pool = whole_pool(kernel.factors)
    block = Posterior(kernel, pool, rows, positions)
    one_by_one = Posterior(kernel, pool, rows[:3], positions[:3])
    for row, budget in zip(rows[3:], positions[3:], strict=True):
        one_by_one.append(row, int(budget))
    assert len(one_by_one) == 90
    np.testing.assert_allclose(one_by_one.mean(values), block.mean(values), atol=2e-4)
    np.testing.assert_allclose(one_by_one.variance, block.variance, atol=2e-4)


@pytest.mark.parametrize("num_base", [3, 10])
def test_taken_away_and_appended_again_is_the_same_to_the_bit(num_base):
    kernel, rows, positions, values = make_case()
    pool = whole_pool(kernel.factors)

    def append(posterior, numbers):
        for number in numbers:
            posterior.append(rows[number], int(positions[number]))

    straight = Posterior(kernel, pool, rows[:num_base], positions[:num_base])
    append(straight, range(num_base, 14))
    detour = Posterior(kernel, pool, rows[:num_base], positions[:num_base])
    append(detour, [19, 18, 17])
    detour.truncate(num_base)
    append(detour, [*range(num_base, 12), 17, 18])
    detour.truncate(12)
    append(detour, [12, 13])
    np.testing.assert_array_equal(detour.mean(values[:14]), straight.mean(values[:14]))
    np.testing.assert_array_equal(detour.variance, straight.variance)


def test_a_running_training_leaves_the_mean_and_lowers_the_variance():
    kernel, rows, positions, values = make_case(count=10)
    pool = whole_pool(kernel.factors)
    posterior = Posterior(kernel, pool, rows, positions)
    mean, variance = posterior.mean(values), posterior.variance
    own = 77
    posterior.append(pool[own].astype(float), 2)
    np.testing.assert_array_equal(posterior.mean(values), mean)
    assert (posterior.variance <= variance).all()
    assert posterior.variance[own] < 0.5 * variance[own]


def test_replicated_seeds_shrink_the_variance_as_noise_over_their_number():
    """Of a candidate whose prior is far wider than the noise."""
    factors = make_factors(2)
    kernel = Kernel(factors, (0.0,))
    kernel = kernel.with_values(
        np.where([name == "noise_0" for name in kernel.names], np.log(0.01), kernel.values)
    )
    row = factors.one_hot(np.array([[1, 2]]))
    for count in (4, 16):
        posterior = Posterior(
            kernel, row.astype(np.float32), np.repeat(row, count, axis=0), np.zeros(count, int)
        )
        assert posterior.variance[0] == pytest.approx(0.01 / count, rel=0.05)


def test_same_as_counts_the_trainings_up_to_the_first_other_one():
    kernel, rows, positions, _ = make_case(count=8)
    posterior = Posterior(kernel, whole_pool(kernel.factors), rows, positions)
    assert posterior.same_as(rows, positions) == 8
    assert posterior.same_as(rows[:5], positions[:5]) == 5
    assert posterior.same_as(np.vstack([rows, rows]), np.tile(positions, 2)) == 8
    other = positions.copy()
    other[3] = (other[3] + 1) % 3
    assert posterior.same_as(rows, other) == 3
    assert posterior.same_as(rows[::-1], positions) == 0


def test_samples_have_the_moments_of_the_posterior():
    kernel, rows, positions, values = make_case()
    pool = whole_pool(kernel.factors)
    posterior = Posterior(kernel, pool, rows, positions)
    members = np.array([3, 50, 51, 200])
    samples = posterior.sample(members, values, 40_000, np.random.default_rng(0))
    mean, covariance = posterior_by_algebra(kernel, pool[members], rows, positions, values)
    assert samples.shape == (40_000, 4)
    np.testing.assert_allclose(samples.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.03)


@pytest.mark.parametrize("num_budgets", [1, 3])
def test_pooled_trainings_give_the_moments_of_the_textbook(num_budgets):
    trainings, _, _ = make_trainings(0, 40, num_budgets)
    values = (trainings.accuracies - 0.8) / 0.01
    kernel = draw_values(Kernel(FACTORS, tuple(float(i) for i in range(num_budgets))[::-1]), 0)
    rows = FACTORS.one_hot(trainings.codes)
    members = np.unique(rows, axis=0)
    seen = Observations.pooled(trainings, rows, values)
    posterior = Posterior(kernel, members, seen.rows, seen.budgets, seen.counts)
    found_mean, found_covariance = posterior.moments(np.arange(len(members)), seen.values)
    # Rasmussen & Williams 2006, eq. 2.25 and 2.26.
    inverse = np.linalg.inv(kernel.among(rows, trainings.budgets))
    across = kernel.between(members, rows)
    np.testing.assert_allclose(found_mean, across @ inverse @ values, atol=1e-4)
    wanted = kernel.between(members, members) - across @ inverse @ across.T
    np.testing.assert_allclose(found_covariance, wanted, atol=1e-5)


def test_single_and_double_precision_agree():
    kernel, rows, positions, values = make_case(count=60)
    pool = whole_pool(kernel.factors)
    single = Posterior(kernel, pool, rows, positions)
    double = Posterior(kernel, pool.astype(np.float64), rows, positions)
    assert (single.mean(values) != double.mean(values)).any()
    np.testing.assert_allclose(single.mean(values), double.mean(values), atol=1e-3)
    np.testing.assert_allclose(single.variance, double.variance, atol=1e-4)


# --- short trainings ---------------------------------------------------------------------------


def truth_of(codes):
    gain = np.array([0.0, 1.0, 0.5, -0.5])
    return gain[codes].sum(axis=1)


@pytest.mark.parametrize(
    "bias",
    [lambda codes: np.full(len(codes), -3.0), lambda codes: 1.5 * (codes == 2).sum(axis=1)],
    ids=["constant", "of_a_level"],
)
def test_what_short_trainings_get_wrong_is_learnt_from_candidates_trained_both_ways(bias):
    rng = np.random.default_rng(0)
    codes = draw_codes(FOUR, 60, 1)
    short = truth_of(codes) + bias(codes) + rng.normal(0, 0.05, 60)
    both = codes[:25]
    full = truth_of(both) + rng.normal(0, 0.05, 25)
    rows = FOUR.one_hot(np.vstack([codes, both]))
    budgets = np.repeat([0, 1], [60, 25])
    values = np.append(short, full)
    mean, sd = full.mean(), values.std()
    fitted = fit_kernel(
        Kernel(FOUR, log2_fidelity_gaps((1, 4))),
        Observations.single(rows, budgets, (values - mean) / sd),
    )
    # Candidates that have had a short training only, and one that is wrong by far.
    members = codes[25:]
    pool = FOUR.one_hot(members).astype(np.float32)
    found = Posterior(fitted, pool, rows, budgets).mean((values - mean) / sd) * sd + mean
    error = np.abs(found - truth_of(members)).mean()
    assert error < 0.15
    assert error < 0.2 * np.abs(short[25:] - truth_of(members)).mean()
