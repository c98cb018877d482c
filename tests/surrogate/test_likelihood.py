"""The hyper-parameters, against numeric derivatives, scipy's densities and known posteriors."""

import numpy as np
import pytest
from scipy import stats
from support.made_up_kernels import draw_codes, draw_values, hyper, make_case, make_factors
from support.made_up_trainings import FACTORS, make_trainings

from se_search.surrogate.kernel import MAX_SLOTS_WITH_OWN_SCALE, Kernel, log2_fidelity_gaps
from se_search.surrogate.likelihood import Likelihood, draw_kernels, fit_kernel
from se_search.surrogate.trainings import Observations


def any_kernel(num_budgets=1, seed=0):
    fidelity_gaps = tuple(range(num_budgets - 1, -1, -1))
    kernel = Kernel(FACTORS, tuple(map(float, fidelity_gaps)))
    rng = np.random.default_rng(seed)
    return kernel.with_values(kernel.prior[:, 0] + 0.3 * rng.standard_normal(len(kernel.prior)))


@pytest.mark.parametrize("num_slots", [2, MAX_SLOTS_WITH_OWN_SCALE + 1])
@pytest.mark.parametrize("budgets", [(4,), (1, 4), (1, 2, 4)])
def test_the_likelihoods_gradient_is_the_numeric_derivative(num_slots, budgets):
    kernel, rows, positions, values = make_case(num_slots, budgets, count=15)
    likelihood = Likelihood(kernel, Observations.single(rows, positions, values))
    at = kernel.values
    _, gradient = likelihood(at)
    step = 1e-5
    for number, name in enumerate(kernel.names):
        move = step * np.eye(len(at))[number]
        numeric = (likelihood(at + move)[0] - likelihood(at - move)[0]) / (2 * step)
        assert gradient[number] == pytest.approx(numeric, rel=1e-4, abs=1e-5), name


def test_the_likelihood_is_the_normal_density_times_the_prior():
    from scipy.stats import multivariate_normal, norm

    kernel, rows, positions, values = make_case(count=12)
    other = draw_values(kernel, 9)

    def by_scipy(kernel):
        density = multivariate_normal(np.zeros(12), kernel.among(rows, positions)).logpdf(values)
        return -density - norm.logpdf(kernel.values, *kernel.prior.T).sum()

    likelihood = Likelihood(kernel, Observations.single(rows, positions, values))
    difference = likelihood(kernel.values)[0] - likelihood(other.values)[0]
    assert difference == pytest.approx(by_scipy(kernel) - by_scipy(other))


def test_hyper_parameters_come_back_from_data_drawn_from_the_model():
    factors = make_factors(3)
    kernel = Kernel(factors, log2_fidelity_gaps((1, 4)))
    truth = dict(zip(kernel.names, kernel.prior[:, 0], strict=True))
    truth |= {"variance_main": np.log(2.0), "noise_0": np.log(0.2), "noise_1": np.log(0.02)}
    drawn_from = kernel.with_values(np.array([truth[name] for name in kernel.names]))
    # Each candidate twice with both budgets.
    rows = factors.one_hot(np.repeat(draw_codes(factors, 28, 4), 4, axis=0))
    budgets = np.arange(len(rows)) // 2 % 2
    covariance = drawn_from.among(rows, budgets)
    values = np.random.default_rng(5).multivariate_normal(np.zeros(len(rows)), covariance)
    fitted = hyper(fit_kernel(kernel, Observations.single(rows, budgets, values)))
    for name in ("noise_0", "noise_1"):
        assert 0.5 < fitted[name] / np.exp(truth[name]) < 2, name
    assert fitted["variance_main"] > fitted["variance_product"]


def test_fitting_raises_the_density_and_ends_where_it_is_flat():
    kernel, rows, positions, values = make_case(count=30)
    kernel = Kernel(kernel.factors, kernel.fidelity_gaps)
    likelihood = Likelihood(kernel, Observations.single(rows, positions, values))
    fitted = fit_kernel(kernel, Observations.single(rows, positions, values))
    before, at_start = likelihood(kernel.values)
    after, at_end = likelihood(fitted.values)
    assert after < before
    assert np.abs(at_end).max() < 0.05 * np.abs(at_start).max()


def pooled(trainings, values):
    return Observations.pooled(trainings, FACTORS.one_hot(trainings.codes), values)


def test_pooled_trainings_are_as_likely_as_one_by_one():
    trainings, _, _ = make_trainings(2, 40, 2)
    values = (trainings.accuracies - 0.8) / 0.01
    rows = FACTORS.one_hot(trainings.codes)
    kernels = [any_kernel(2, seed) for seed in range(4)]
    seen = pooled(trainings, values)
    assert len(seen) < 40
    found = [Likelihood(kernels[0], seen).log_density(kernel) for kernel in kernels]
    wanted = [
        stats.multivariate_normal(cov=kernel.among(rows, trainings.budgets)).logpdf(values)
        for kernel in kernels
    ]
    np.testing.assert_allclose(np.diff(found), np.diff(wanted), rtol=1e-3, atol=1e-2)


def test_the_gradient_for_pooled_trainings_is_the_numeric_derivative():
    trainings, _, _ = make_trainings(3, 30, 2)
    likelihood = Likelihood(any_kernel(2), pooled(trainings, (trainings.accuracies - 0.8) / 0.01))
    at = likelihood.kernel.values
    _, gradient = likelihood(at)
    step = 1e-5
    for number, name in enumerate(likelihood.kernel.names):
        move = step * np.eye(len(at))[number]
        numeric = (likelihood(at + move)[0] - likelihood(at - move)[0]) / (2 * step)
        assert gradient[number] == pytest.approx(numeric, rel=1e-4, abs=1e-5), name


def test_the_density_and_the_gradients_function_are_one():
    trainings, _, _ = make_trainings(4, 30, 2)
    likelihood = Likelihood(any_kernel(2), pooled(trainings, (trainings.accuracies - 0.8) / 0.01))
    for seed in range(3):
        kernel = any_kernel(2, seed)
        mean, sd = kernel.prior.T
        prior = -0.5 * (((kernel.values - mean) / sd) ** 2).sum()
        assert -likelihood(kernel.values)[0] == pytest.approx(
            likelihood.log_density(kernel) + prior
        )


@pytest.mark.parametrize("sd", [0.5, 1.0, 1e6])
def test_hyper_parameters_are_drawn_from_their_posterior(sd):
    """With a normal density around 1 and the normal prior the posterior is known."""
    kernel = any_kernel()

    def log_density(kernel):
        return float(-0.5 * ((kernel.values - 1.0) ** 2).sum() / sd**2)

    drawn = draw_kernels(kernel, log_density, 400, np.random.default_rng(0))
    mean, prior_sd = kernel.prior.T
    precision = prior_sd**-2 + sd**-2
    centre = (mean * prior_sd**-2 + sd**-2) / precision
    z = (np.array([one.values for one in drawn]) - centre) * np.sqrt(precision)
    assert abs(z.mean(axis=0)).max() < 0.35
    assert z.std() == pytest.approx(1, abs=0.08)
    assert stats.kstest(z[::4].ravel(), "norm").pvalue > 0.001
