"""What noisy trainings say of candidates: against brute force, closed forms and simulations."""

import math

import numpy as np
import pytest
from scipy import stats
from se_search.surrogate.candidate_posterior import (
    FENCE,
    NOISE_SHARE,
    NUM_STARTS,
    compute_posterior,
)
from support.made_up_trainings import FACTORS, LEVELS, make_trainings

from se_search.analysis.pareto import is_non_dominated
from se_search.surrogate.features import Factors
from se_search.surrogate.kernel import Kernel
from se_search.surrogate.likelihood import fit_kernel
from se_search.surrogate.scale import AccuracyScale
from se_search.surrogate.trainings import Observations, Trainings


def test_the_probability_of_two_candidates_is_that_of_the_better_one_being_dearer():
    factors = Factors((LEVELS[:2],))
    codes = np.array([[0], [1]] * 5, np.int16)
    accuracies = 0.8 + 0.01 * np.random.default_rng(0).standard_normal(10)
    costs = 10.0 + codes
    trainings = Trainings(codes, np.zeros(10, np.int64), accuracies)
    found = compute_posterior(factors, trainings, [4], costs, num_draws=200_000, num_kernels=0)
    cheap, dear = found.draws.T
    gap = found.estimates[1] - found.estimates[0]
    sd = math.sqrt(found.sds @ found.sds - 2 * np.cov(cheap, dear)[0, 1])
    assert found.probabilities[0] == 1
    assert found.probabilities[1] == pytest.approx(stats.norm.cdf(gap / sd), abs=0.005)


def test_estimates_and_probabilities_are_those_of_brute_force_over_a_tiny_space():
    trainings, _, costs = make_trainings(3, 30)
    found = compute_posterior(FACTORS, trainings, [4], costs, num_kernels=0)
    rows = FACTORS.one_hot(trainings.codes)
    scale = AccuracyScale.fit(trainings, 1, NUM_STARTS, FENCE)
    values = scale.apply(trainings.accuracies, trainings.budgets)
    prior = Kernel(FACTORS, (0.0,), noise_share=NOISE_SHARE)
    kernel = fit_kernel(prior, Observations.pooled(trainings, rows, values))
    inverse = np.linalg.inv(kernel.among(rows, trainings.budgets))
    members = rows[found.members]
    across = kernel.between(members, rows)
    mean = scale.undo(across @ inverse @ values)
    covariance = kernel.between(members, members) - across @ inverse @ across.T
    np.testing.assert_allclose(found.estimates, mean, atol=1e-6)
    np.testing.assert_allclose(found.sds, np.sqrt(np.diag(covariance)) * scale.sd, rtol=1e-3)
    rng = np.random.default_rng(99)
    draws = rng.multivariate_normal(mean, covariance * scale.sd**2, size=4_000)
    own = costs[found.members]
    marks = [is_non_dominated(np.column_stack([own, -draw])) for draw in draws]
    np.testing.assert_allclose(found.probabilities, np.mean(marks, axis=0), atol=0.04)
    np.testing.assert_allclose(found.lows, mean - 1.96 * found.sds, atol=0.2 * found.sds.max())
    np.testing.assert_allclose(found.highs, mean + 1.96 * found.sds, atol=0.2 * found.sds.max())


def test_the_probabilities_add_up_to_the_mean_size_of_the_front():
    trainings, _, costs = make_trainings(4, 40)
    found = compute_posterior(FACTORS, trainings, [4], costs, num_draws=1_000)
    own = costs[found.members]
    sizes = [is_non_dominated(np.column_stack([own, -draw])).sum() for draw in found.draws]
    assert found.probabilities.sum() == pytest.approx(np.mean(sizes))


def test_intervals_hold_the_truth_about_95_times_of_100():
    inside = []
    for seed in range(12):
        trainings, truth, costs = make_trainings(100 + seed, 60)
        found = compute_posterior(FACTORS, trainings, [4], costs)
        own = truth[found.members]
        inside += list((found.lows <= own) & (own <= found.highs))
    assert 0.90 < np.mean(inside) < 0.99


def test_estimates_are_nearer_to_the_truth_than_means():
    errors = []
    for seed in range(8):
        trainings, truth, costs = make_trainings(200 + seed, 60)
        found = compute_posterior(FACTORS, trainings, [4], costs)
        own = truth[found.members]
        errors.append([((values - own) ** 2).mean() for values in (found.estimates, found.means)])
    shrunken, plain = np.mean(errors, axis=0)
    assert shrunken < 0.6 * plain


def test_the_best_estimate_is_not_too_good_and_the_best_mean_is():
    surplus = []
    for seed in range(10):
        trainings, truth, costs = make_trainings(300 + seed, 60)
        found = compute_posterior(FACTORS, trainings, [4], costs)
        own = truth[found.members]
        surplus.append(
            [values.max() - own[values.argmax()] for values in (found.estimates, found.means)]
        )
    shrunken, plain = np.mean(surplus, axis=0)
    assert plain > 0.003
    assert abs(shrunken) < plain / 3


def test_with_hundreds_of_seeds_an_estimate_is_the_mean():
    rng = np.random.default_rng(0)
    trainings = Trainings(
        np.repeat([[0, 0, 0], [1, 2, 0], [3, 1, 2], [2, 2, 2]], 300, axis=0).astype(np.int16),
        np.zeros(1200, np.int64),
        np.repeat([0.80, 0.82, 0.81, 0.83], 300) + rng.normal(0, 0.01, 1200),
    )
    order = rng.permutation(1200)
    shuffled = Trainings(
        trainings.codes[order], trainings.budgets[order], trainings.accuracies[order]
    )
    found = compute_posterior(FACTORS, shuffled, [4], 100.0 + shuffled.codes.sum(axis=1)[:, None])
    np.testing.assert_allclose(found.estimates, found.means, atol=2e-4)
    np.testing.assert_allclose(found.sds, 0.01 / math.sqrt(300), rtol=0.15)
    assert found.num_replicates.tolist() == [300] * 4


def test_a_dominated_candidate_of_many_seeds_is_not_on_the_front():
    rng = np.random.default_rng(1)
    codes = np.repeat([[0, 0, 0], [0, 0, 1], [0, 1, 1]], 20, axis=0).astype(np.int16)
    accuracies = np.repeat([0.82, 0.80, 0.83], 20) + rng.normal(0, 0.005, 60)
    trainings = Trainings(codes, np.zeros(60, np.int64), accuracies)
    found = compute_posterior(FACTORS, trainings, [4], 10.0 + codes.sum(axis=1)[:, None])
    assert found.probabilities[0] == 1
    assert found.probabilities[1] < 0.01
    assert found.probabilities[2] > 0.9


def test_a_further_lucky_seed_makes_a_candidate_likelier():
    trainings, _, costs = make_trainings(5, 40)
    target = 7
    found = []
    for accuracy in (0.76, 0.80, 0.84):
        more = Trainings(
            np.vstack([trainings.codes, trainings.codes[target]]),
            np.append(trainings.budgets, 0),
            np.append(trainings.accuracies, accuracy),
        )
        posterior = compute_posterior(FACTORS, more, [4], np.vstack([costs, costs[target]]))
        row = posterior.members.tolist().index(target)
        found.append((posterior.estimates[row], posterior.probabilities[row]))
    assert sorted(found) == found
    assert found[0][0] < found[1][0] < found[2][0]


def test_a_short_training_tells_something_of_a_candidate():
    trainings, _, costs = make_trainings(6, 60, num_budgets=2)
    found = compute_posterior(FACTORS, trainings, [1, 4], costs)
    alone = trainings.budgets == 1
    only_full = Trainings(
        trainings.codes[alone], np.zeros(alone.sum(), np.int64), trainings.accuracies[alone]
    )
    without = compute_posterior(FACTORS, only_full, [4], costs[alone])
    assert len(found.members) == len(without.members)
    assert found.sds.mean() < without.sds.mean()


def test_an_outlier_does_not_widen_the_intervals_of_the_others():
    trainings, _, costs = make_trainings(7, 60)
    broken = trainings.accuracies.copy()
    broken[5] = 0.1
    usual, odd = (
        compute_posterior(FACTORS, Trainings(trainings.codes, trainings.budgets, a), [4], costs)
        for a in (trainings.accuracies, broken)
    )
    others = usual.members != 5
    assert np.median(odd.sds[others]) < 1.5 * np.median(usual.sds[others])
