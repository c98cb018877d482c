"""The hyper-parameters, against numeric derivatives, scipy's densities and known posteriors."""

import numpy as np
import pytest
from scipy import stats
from support.made_up_kernels import (
    draw_codes,
    draw_values,
    hyper,
    make_case,
    make_design,
    make_factors,
)
from support.scored_designs import make_scored_case

from se_search.surrogate.kernel import MAX_SLOTS_WITH_OWN_SCALE, Kernel, log2_fidelity_gaps
from se_search.surrogate.likelihood import (
    MAX_FITTED,
    Likelihood,
    choose_fitted,
    draw_kernels,
    fit_kernel,
)
from se_search.surrogate.trained_candidates import pack_rows
from se_search.surrogate.trainings import Design, Observations


@pytest.mark.parametrize("num_slots", [2, MAX_SLOTS_WITH_OWN_SCALE + 1])
@pytest.mark.parametrize("budgets", [(4,), (1, 4), (1, 2, 4)])
@pytest.mark.parametrize("has_replicates", [True, False])
def test_the_likelihoods_gradient_is_the_numeric_derivative(num_slots, budgets, has_replicates):
    kernel, design, values = make_case(num_slots, budgets, 15, has_replicates=has_replicates)
    likelihood = Likelihood(kernel, Observations(design, values))
    at = kernel.values
    _, gradient = likelihood(at)
    assert ("interaction" in kernel.names) == has_replicates
    step = 1e-5
    for number, name in enumerate(kernel.names):
        move = step * np.eye(len(at))[number]
        numeric = (likelihood(at + move)[0] - likelihood(at - move)[0]) / (2 * step)
        assert gradient[number] == pytest.approx(numeric, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("budgets", [(4,), (1, 4)])
@pytest.mark.parametrize("has_replicates", [True, False])
def test_the_gradient_with_scores_is_the_numeric_derivative(budgets, has_replicates):
    kernel, design, values = make_scored_case(
        budgets=budgets, count=15, has_replicates=has_replicates, least_noise=1e-3
    )
    likelihood = Likelihood(kernel, Observations(design, values))
    at = kernel.values
    _, gradient = likelihood(at)
    assert "rung_slope_1" in kernel.names
    step = 1e-5
    for number, name in enumerate(kernel.names):
        move = step * np.eye(len(at))[number]
        numeric = (likelihood(at + move)[0] - likelihood(at - move)[0]) / (2 * step)
        assert gradient[number] == pytest.approx(numeric, rel=1e-4, abs=1e-5), name


def test_the_likelihood_is_the_normal_density_times_the_prior():
    kernel, design, values = make_case(count=12)
    other = draw_values(kernel, 9)

    def by_scipy(kernel):
        density = stats.multivariate_normal(np.zeros(12), kernel.among(design)).logpdf(values)
        return -density - stats.norm.logpdf(kernel.values, *kernel.prior.T).sum()

    likelihood = Likelihood(kernel, Observations(design, values))
    difference = likelihood(kernel.values)[0] - likelihood(other.values)[0]
    assert difference == pytest.approx(by_scipy(kernel) - by_scipy(other))


def test_the_density_without_the_prior_is_scipys_up_to_a_constant():
    kernel, design, values = make_case(count=12)
    kernels = [draw_values(kernel, seed) for seed in range(3)]
    likelihood = Likelihood(kernel, Observations(design, values))
    found = [likelihood.log_density(each) for each in kernels]
    wanted = [stats.multivariate_normal(cov=each.among(design)).logpdf(values) for each in kernels]
    np.testing.assert_allclose(np.diff(found), np.diff(wanted))


def test_hyper_parameters_come_back_from_data_drawn_from_the_model():
    factors = make_factors(3)
    kernel = Kernel(factors, log2_fidelity_gaps((1, 4)))
    truth = dict(zip(kernel.names, kernel.prior[:, 0], strict=True))
    truth |= {"variance_main": np.log(2.0), "noise_0": np.log(0.3), "noise_1": np.log(0.03)}
    truth |= {"level_0": np.log(0.05), "level_1": np.log(3.0), "interaction": np.log(0.5)}
    drawn_from = kernel.with_values(np.array([truth[name] for name in kernel.names]))
    # Each candidate twice with both budgets, in four of twelve replicates.
    codes = np.repeat(draw_codes(factors, 36, 4), 4, axis=0)
    numbers = np.arange(len(codes))
    design = make_design(factors, codes, numbers // 2 % 2, (numbers * 5) % 12)
    values = np.random.default_rng(5).multivariate_normal(np.zeros(144), drawn_from.among(design))
    fitted = hyper(fit_kernel(kernel, Observations(design, values)))
    for name in ("noise_0", "noise_1", "level_1", "interaction"):
        assert 0.4 < np.sqrt(fitted[name] / np.exp(truth[name])) < 2.5, name
    assert fitted["variance_main"] > fitted["variance_product"]
    assert fitted["level_0"] < 0.4 * fitted["level_1"]


def test_fitting_raises_the_density_and_ends_where_it_is_flat():
    kernel, design, values = make_case(count=30)
    kernel = Kernel(kernel.factors, kernel.fidelity_gaps)
    likelihood = Likelihood(kernel, Observations(design, values))
    fitted = fit_kernel(kernel, Observations(design, values))
    before, at_start = likelihood(kernel.values)
    after, at_end = likelihood(fitted.values)
    assert after < before
    assert np.abs(at_end).max() < 0.05 * np.abs(at_start).max()


def test_of_many_observations_some_are_fitted_evenly_spread_with_their_own_replicates():
    _, design, values = make_case(count=20)
    some = Observations(design, values).some(5)
    at = [int(number) for number in np.linspace(0, 19, 5)]
    np.testing.assert_array_equal(some.values, values[at])
    np.testing.assert_array_equal(some.design.rows, design.rows[at])
    np.testing.assert_array_equal(some.design.replicates, design.replicates[at])
    assert Observations(design, values).some(20).values is values


@pytest.mark.parametrize("sd", [1.0, 2.0, 1e6])
def test_hyper_parameters_are_drawn_from_their_posterior(sd):
    """With a normal density around 1 and the normal prior the posterior is known."""
    kernel = draw_values(Kernel(make_factors(3), (0.0,)), 0)

    def log_density(kernel):
        return float(-0.5 * ((kernel.values - 1.0) ** 2).sum() / sd**2)

    drawn = draw_kernels(kernel, log_density, 1_000, np.random.default_rng(0))
    mean, prior_sd = kernel.prior.T
    precision = prior_sd**-2 + sd**-2
    centre = (mean * prior_sd**-2 + sd**-2) / precision
    z = (np.array([one.values for one in drawn]) - centre) * np.sqrt(precision)
    assert abs(z.mean(axis=0)).max() < 0.4  # successive draws are alike
    assert z.std() == pytest.approx(1, abs=0.08)
    assert stats.kstest(z[::4].ravel(), "norm").pvalue > 0.001


# Of which trainings the hyper-parameters are learnt.


def test_of_many_trainings_half_are_all_those_of_candidates_that_were_trained_repeatedly():
    factors = make_factors(4)
    codes = draw_codes(factors, 256, 0)
    codes = np.vstack([codes, np.repeat(draw_codes(factors, 900, 1), 2, axis=0)])
    design = make_design(factors, codes)
    seen = Observations(design, np.arange(len(codes), dtype=float))
    chosen = choose_fitted(seen, most_exact=500)
    keys = [row.tobytes() for row in design.rows]
    counts = {key: keys.count(key) for key in keys}
    own = [row.tobytes() for row in chosen.design.rows]
    whole = sum(own.count(key) == counts[key] for key in own if counts[key] > 1)
    assert len(chosen) == MAX_FITTED
    assert whole > MAX_FITTED // 3
    assert np.array_equal(chosen.values, np.sort(chosen.values))


def test_up_to_the_number_of_exact_trainings_those_fitted_are_spread_evenly():
    _, design, _ = make_case(count=2_000)
    seen = Observations(design, np.arange(2_000.0))
    assert np.array_equal(choose_fitted(seen).values, seen.some(MAX_FITTED).values)


def test_scores_of_trained_candidates_are_fitted_first_and_fill_400_up():
    kernel, design, _ = make_case(count=150, budgets=(4,))
    pool = kernel.factors.one_hot(np.indices((4, 4, 4, 4)).reshape(4, -1).T)
    is_trained = np.isin(pack_rows(pool), pack_rows(design.rows))
    none = np.zeros(len(pool), np.int64)
    scores = Design(pool, none, none, none, none + 1)
    both = Observations(scores.followed_by(design), np.arange(len(pool) + 150.0))
    chosen = choose_fitted(both)
    kept = chosen.values[~chosen.design.is_training]
    assert len(kept) == 200
    assert set(np.flatnonzero(is_trained)) <= set(kept)
    np.testing.assert_array_equal(
        chosen.values[chosen.design.is_training], len(pool) + np.arange(150)
    )
    assert len(choose_fitted(both, most_exact=500)) == 350
