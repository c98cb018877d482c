"""What the model says after trainings, against linear algebra and scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel as SklearnKernel
from support.made_up_kernels import (
    FOUR,
    covariance_by_hand,
    draw_codes,
    draw_values,
    hyper,
    make_case,
    make_design,
    make_factors,
)

from se_search.surrogate.kernel import JITTER, Kernel, log2_fidelity_gaps
from se_search.surrogate.likelihood import fit_kernel
from se_search.surrogate.posterior import Posterior
from se_search.surrogate.trainings import Design, Observations


def whole_pool(factors):
    sizes = [len(levels) for levels in factors.levels]
    codes = np.indices(sizes).reshape(len(sizes), -1).T
    return factors.one_hot(codes).astype(np.float32)


def one(design, number):
    return design.take(slice(number, number + 1))


def posterior_by_algebra(kernel, pool, design, values):
    """Rasmussen & Williams 2006, eq. 2.25 and 2.26, of what candidates are without replicates."""
    inverse = np.linalg.inv(kernel.among(design))
    cross = kernel.between(pool.astype(float), design.rows)
    prior = kernel.between(pool.astype(float), pool.astype(float))
    return cross @ inverse @ values, prior - cross @ inverse @ cross.T


def gains_of(kernel, pool, design, values):
    """Return means and variances of gains over the pool's first candidate."""
    return Posterior(kernel, pool.astype(np.float64), design).gains(values)


@pytest.mark.parametrize("num_budgets", [1, 3])
def test_mean_and_variance_are_those_of_linear_algebra(num_budgets):
    kernel, design, values = make_case(budgets=(1, 2, 4)[-num_budgets:])
    pool = whole_pool(kernel.factors)
    posterior = Posterior(kernel, pool, design)
    mean, covariance = posterior_by_algebra(kernel, pool, design, values)
    np.testing.assert_allclose(posterior.mean(values), mean, atol=1e-4)
    np.testing.assert_allclose(posterior.variance, np.diag(covariance), atol=1e-4)


def test_gains_are_differences_of_linear_algebras_posterior():
    kernel, design, values = make_case()
    pool = whole_pool(kernel.factors)
    mean, covariance = posterior_by_algebra(kernel, pool, design, values)
    found = gains_of(kernel, pool, design, values)
    own = np.diag(covariance)
    np.testing.assert_allclose(found[0], mean - mean[0], atol=1e-5)
    np.testing.assert_allclose(found[1], own + own[0] - 2 * covariance[0], atol=1e-5)


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


def test_without_replicates_and_with_one_budget_scikit_learn_says_so_too():
    factors = make_factors(3)
    kernel = draw_values(Kernel(factors, log2_fidelity_gaps((4,)), has_replicates=False), 1)
    codes, pool = draw_codes(factors, 15, 0), draw_codes(factors, 20, 1)
    codes[1] = codes[0]
    values = np.random.default_rng(0).standard_normal(15)
    theirs = GaussianProcessRegressor(
        _Given(kernel), alpha=float(kernel.noise[0]) + JITTER, optimizer=None
    ).fit(codes, values)
    mean, sd = theirs.predict(pool, return_std=True)
    ours = Posterior(kernel, factors.one_hot(pool).astype(np.float32), make_design(factors, codes))
    np.testing.assert_allclose(ours.mean(values), mean, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(ours.variance), sd, atol=1e-4)


def test_trainings_appended_one_by_one_give_what_a_block_gives():
    kernel, design, values = make_case(count=90)
    pool = whole_pool(kernel.factors)
    block = Posterior(kernel, pool, design)
    one_by_one = Posterior(kernel, pool, design.take(slice(3)))
    for number in range(3, 90):
        one_by_one.append(one(design, number))
    assert len(one_by_one) == 90
    np.testing.assert_allclose(one_by_one.mean(values), block.mean(values), atol=2e-4)
    np.testing.assert_allclose(one_by_one.variance, block.variance, atol=2e-4)


@pytest.mark.parametrize("num_running", [1, 7])
def test_variances_after_trainings_that_run_are_those_of_all_of_them(num_running):
    kernel, design, values = make_case()
    pool = whole_pool(kernel.factors).astype(np.float64)
    finished = len(design) - num_running
    posterior = Posterior(kernel, pool, design.take(slice(finished)))
    mean, variance = posterior.look_ahead(values[:finished], design.take(slice(finished, None)))
    _, covariance = posterior_by_algebra(kernel, pool, design, values)
    np.testing.assert_allclose(variance, np.diag(covariance), atol=1e-7)
    np.testing.assert_allclose(mean, posterior.mean(values[:finished]), atol=1e-12)


@pytest.mark.parametrize("num_base", [3, 10])
def test_taken_away_and_appended_again_is_the_same_to_the_bit(num_base):
    kernel, design, values = make_case()
    pool = whole_pool(kernel.factors)

    def append(posterior, numbers):
        for number in numbers:
            posterior.append(one(design, number))

    straight = Posterior(kernel, pool, design.take(slice(num_base)))
    append(straight, range(num_base, 14))
    detour = Posterior(kernel, pool, design.take(slice(num_base)))
    append(detour, [19, 18, 17])
    detour.truncate(num_base)
    append(detour, [*range(num_base, 12), 17, 18])
    detour.truncate(12)
    append(detour, [12, 13])
    np.testing.assert_array_equal(detour.mean(values[:14]), straight.mean(values[:14]))
    np.testing.assert_array_equal(detour.variance, straight.variance)
    assert detour.same_as(design) == 14


def test_a_running_training_leaves_the_mean_and_lowers_the_variance():
    kernel, design, values = make_case(count=10)
    pool = whole_pool(kernel.factors)
    posterior = Posterior(kernel, pool, design)
    mean, variance = posterior.mean(values), posterior.variance
    own = 77
    posterior.append(Design(pool[own : own + 1].astype(float), np.array([2]), np.array([1])))
    np.testing.assert_array_equal(posterior.mean(values), mean)
    assert (posterior.variance <= variance).all()
    assert posterior.variance[own] < 0.8 * variance[own]


def test_same_as_counts_the_trainings_up_to_the_first_other_one():
    kernel, design, _ = make_case(count=8)
    posterior = Posterior(kernel, whole_pool(kernel.factors), design)
    assert posterior.same_as(design) == 8
    assert posterior.same_as(design.take(slice(5))) == 5
    assert posterior.same_as(design.followed_by(design)) == 8
    for changed in ("budgets", "replicates"):
        other = getattr(design, changed).copy()
        other[3] = (other[3] + 1) % 3
        assert posterior.same_as(replace(design, **{changed: other})) == 3
    assert posterior.same_as(replace(design, rows=design.rows[::-1])) == 0


def test_samples_have_the_moments_of_the_posterior():
    kernel, design, values = make_case()
    pool = whole_pool(kernel.factors)
    posterior = Posterior(kernel, pool, design)
    members = np.array([3, 50, 51, 200])
    samples = posterior.sample(members, values, 40_000, np.random.default_rng(0))
    mean, covariance = posterior_by_algebra(kernel, pool[members], design, values)
    assert samples.shape == (40_000, 4)
    np.testing.assert_allclose(samples.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.03)


def test_single_and_double_precision_agree():
    kernel, design, values = make_case(count=60)
    pool = whole_pool(kernel.factors)
    single = Posterior(kernel, pool, design)
    double = Posterior(kernel, pool.astype(np.float64), design)
    assert (single.mean(values) != double.mean(values)).any()
    np.testing.assert_allclose(single.mean(values), double.mean(values), atol=1e-3)
    np.testing.assert_allclose(single.variance, double.variance, atol=1e-4)


# --- replicates --------------------------------------------------------------------------------


def with_hyper(kernel, **values):
    """Return a kernel with some hyper-parameters, by their names."""
    known = hyper(kernel) | values
    return kernel.with_values(np.log([known[name] for name in kernel.names]))


def test_the_names_of_replicates_make_no_difference():
    kernel, design, values = make_case()
    pool = whole_pool(kernel.factors)
    other = replace(design, replicates=np.array([1_000_007, -3, 12])[design.replicates])
    for found, wanted in zip(
        gains_of(kernel, pool, design, values), gains_of(kernel, pool, other, values), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_a_level_that_may_be_anything_changes_no_gain():
    """Each replicate of a budget is then compared within itself alone."""
    kernel, design, values = make_case()
    kernel = with_hyper(kernel, level_0=1e7, level_1=1e7, level_2=1e7)
    pool = whole_pool(kernel.factors)
    lifted = values + 300.0 * ((design.replicates == 1) & (design.budgets == 2))
    found = gains_of(kernel, pool, design, lifted)
    wanted = gains_of(kernel, pool, design, values)
    np.testing.assert_allclose(found[0], wanted[0], atol=2e-2)
    np.testing.assert_array_equal(found[1], wanted[1])
    no_level = with_hyper(kernel, level_0=1e-7, level_1=1e-7, level_2=1e-7)
    moved = (
        gains_of(no_level, pool, design, lifted)[0] - gains_of(no_level, pool, design, values)[0]
    )
    assert np.abs(moved).max() > 10


def test_trainings_of_one_candidate_in_many_replicates_average_out_noise_and_interaction():
    """The variance of a gain is that of two means, however wide the prior of gains is."""
    factors = make_factors(1)
    kernel = with_hyper(Kernel(factors, (0.0,)), variance_main=1e4, interaction=0.5, noise_0=0.1)
    pool = factors.one_hot(np.array([[0], [1]]))
    liking = kernel.liking
    codes = np.tile([[0], [1]], (10, 1))
    numbers = np.arange(20) // 2
    # What a replicate does to one candidate less what it does to the other, and twice the noise.
    of_liking = liking[0, 0] + liking[1, 1] - 2 * liking[0, 1]
    for replicates, wanted in (
        (numbers, (of_liking + 0.2) / 10),
        (numbers % 2, of_liking / 2 + 0.2 / 10),
        (numbers * 0, of_liking + 0.2 / 10),
    ):
        design = make_design(factors, codes, replicates=replicates)
        _, variance = gains_of(kernel, pool, design, np.zeros(20))
        assert variance[1] == pytest.approx(wanted, rel=0.01)


def test_without_replicates_their_numbers_change_no_posterior():
    kernel, design, values = make_case(has_replicates=False)
    pool = whole_pool(kernel.factors)
    other = replace(design, replicates=np.arange(len(design)))
    found, wanted = (gains_of(kernel, pool, each, values) for each in (design, other))
    np.testing.assert_array_equal(found, wanted)


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
    design = make_design(
        FOUR, np.vstack([codes, both]), np.repeat([0, 1], [60, 25]), np.arange(85) % 4
    )
    values = np.append(short, full)
    mean, sd = full.mean(), values.std()
    fitted = fit_kernel(
        Kernel(FOUR, log2_fidelity_gaps((1, 4))),
        Observations(design, (values - mean) / sd),
    )
    # Candidates that have had a short training only, and one that is wrong by far.
    members = codes[25:]
    pool = FOUR.one_hot(members).astype(np.float32)
    found = Posterior(fitted, pool, design).mean((values - mean) / sd) * sd + mean
    error = np.abs(found - truth_of(members)).mean()
    assert error < 0.15
    assert error < 0.2 * np.abs(short[25:] - truth_of(members)).mean()
