"""What is believed of the front: against brute force, closed forms and simulated searches."""

import math
import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats
from support.made_up_trainings import (
    FACTORS,
    LEVELS,
    OBJECTIVES,
    make_trainings,
    records_of,
    text_of,
)
from support.records import make_record

from se_search.analysis.pareto import is_non_dominated
from se_search.surrogate import posterior_front as credible_front
from se_search.surrogate.features import Factors
from se_search.surrogate.gaussian_process import Kernel, Posterior, Trainings
from se_search.surrogate.posterior_front import (
    PosteriorFront,
    _areas,
    _attain,
    _condition,
    _fit_scale,
    _Groups,
    _sample_kernels,
    _undo,
    compute_posterior,
    fit_front,
)


def any_kernel(num_budgets=1, seed=0):
    fidelity_gaps = tuple(range(num_budgets - 1, -1, -1))
    kernel = Kernel(FACTORS, tuple(map(float, fidelity_gaps)))
    rng = np.random.default_rng(seed)
    return kernel.with_values(kernel.prior[:, 0] + 0.3 * rng.standard_normal(len(kernel.prior)))


def grouped(trainings, values):
    return _Groups.of(trainings, FACTORS.one_hot(trainings.codes), values)


# The model, training by training: repeats may be put together because it makes no difference.


@pytest.mark.parametrize("num_budgets", [1, 3])
def test_means_and_covariances_are_those_of_the_textbook(num_budgets):
    trainings, _, _ = make_trainings(0, 40, num_budgets)
    values = (trainings.accuracies - 0.8) / 0.01
    kernel = any_kernel(num_budgets)
    rows = FACTORS.one_hot(trainings.codes)
    members = np.unique(rows, axis=0)
    found_mean, found_covariance = _condition(kernel, grouped(trainings, values), members)
    # Rasmussen & Williams 2006, eq. 2.25 and 2.26.
    inverse = np.linalg.inv(kernel.among(rows, trainings.budgets))
    across = kernel.between(members, rows)
    np.testing.assert_allclose(found_mean, across @ inverse @ values, atol=1e-4)
    wanted = kernel.between(members, members) - across @ inverse @ across.T
    np.testing.assert_allclose(found_covariance, wanted, atol=1e-5)


def test_means_and_variances_are_those_that_the_search_goes_by():
    trainings, _, _ = make_trainings(1, 50, 2)
    values = (trainings.accuracies - 0.8) / 0.01
    kernel, rows = any_kernel(2), FACTORS.one_hot(trainings.codes)
    mean, covariance = _condition(kernel, grouped(trainings, values), rows)
    search = Posterior(kernel, rows.astype(np.float32), rows, trainings.budgets)
    np.testing.assert_allclose(mean, search.mean(values), atol=1e-3)
    np.testing.assert_allclose(np.diag(covariance), search.variance, atol=1e-4)


def test_the_likelihood_is_the_normal_density_of_all_trainings():
    trainings, _, _ = make_trainings(2, 40, 2)
    values = (trainings.accuracies - 0.8) / 0.01
    rows = FACTORS.one_hot(trainings.codes)
    kernels = [any_kernel(2, seed) for seed in range(4)]
    found = [grouped(trainings, values).log_likelihood(kernel) for kernel in kernels]
    wanted = [
        stats.multivariate_normal(cov=kernel.among(rows, trainings.budgets)).logpdf(values)
        for kernel in kernels
    ]
    np.testing.assert_allclose(np.diff(found), np.diff(wanted), rtol=1e-3, atol=1e-2)


class Conjugate:
    """Stands for trainings: the likelihood of a hyper-parameter is normal around 1."""

    def __init__(self, sd):
        self.sd = sd

    def log_likelihood(self, kernel):
        return float(-0.5 * ((kernel.values - 1.0) ** 2).sum() / self.sd**2)


@pytest.mark.parametrize("sd", [0.5, 1.0, 1e6])
def test_hyper_parameters_are_drawn_from_their_posterior(monkeypatch, sd):
    monkeypatch.setattr(credible_front, "NUM_KERNELS", 400)
    kernel = any_kernel()
    drawn = _sample_kernels(kernel, Conjugate(sd), np.random.default_rng(0))
    mean, prior_sd = credible_front._prior(kernel).T
    precision = prior_sd**-2 + sd**-2
    centre = (mean * prior_sd**-2 + sd**-2) / precision
    z = (np.array([one.values for one in drawn]) - centre) * np.sqrt(precision)
    assert abs(z.mean(axis=0)).max() < 0.35
    assert z.std() == pytest.approx(1, abs=0.08)
    assert stats.kstest(z[::4].ravel(), "norm").pvalue > 0.001


# What is believed of candidates.


def fix_kernel(monkeypatch):
    monkeypatch.setattr(credible_front, "_sample_kernels", lambda kernel, *_: [kernel])


def test_the_probability_of_two_candidates_is_that_of_the_better_one_being_dearer(monkeypatch):
    fix_kernel(monkeypatch)
    factors = Factors((LEVELS[:2],))
    codes = np.array([[0], [1]] * 5, np.int16)
    accuracies = 0.8 + 0.01 * np.random.default_rng(0).standard_normal(10)
    costs = 10.0 + codes
    trainings = Trainings(codes, np.zeros(10, np.int64), accuracies)
    found = compute_posterior(factors, trainings, [4], costs, num_draws=200_000)
    cheap, dear = found.draws.T
    gap = found.estimates[1] - found.estimates[0]
    sd = math.sqrt(found.sds @ found.sds - 2 * np.cov(cheap, dear)[0, 1])
    assert found.probabilities[0] == 1
    assert found.probabilities[1] == pytest.approx(stats.norm.cdf(gap / sd), abs=0.005)


def test_estimates_and_probabilities_are_those_of_brute_force_over_a_tiny_space(monkeypatch):
    fix_kernel(monkeypatch)
    trainings, _, costs = make_trainings(3, 30)
    found = compute_posterior(FACTORS, trainings, [4], costs)
    rows = FACTORS.one_hot(trainings.codes)
    scale = _fit_scale(trainings, 1)
    values = scale.apply(trainings.accuracies, trainings.budgets)
    kernel = Kernel(FACTORS, (0.0,)).fit(rows, trainings.budgets, values)
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
    assert found.num_seeds.tolist() == [300] * 4


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


def test_standardised_accuracies_are_the_accuracies_again():
    accuracies = np.concatenate([np.linspace(0.78, 0.82, 40), [0.1, 0.5, 0.7]])
    trainings = Trainings(np.zeros((43, 3), np.int16), np.zeros(43, np.int64), accuracies)
    scale = _fit_scale(trainings, 1)
    values = scale.apply(accuracies, trainings.budgets)
    np.testing.assert_allclose(_undo(scale, values), accuracies, rtol=1e-6)
    assert np.ptp(values) < 10  # the worst one is 60 standard deviations of the rest away


# Hypervolume and band, from draws.


def test_hypervolume_is_the_area_or_volume_that_is_counted_cell_by_cell():
    rng = np.random.default_rng(0)
    for num_costs, size in product((1, 2), (1, 2, 7)):
        costs = rng.integers(0, 8, (size, num_costs)) / 8
        draw = rng.integers(1, 9, size) / 8
        middles = (np.arange(8) + 0.5) / 8
        cells = list(product(middles, repeat=num_costs + 1))
        hit = [
            any((costs[i] <= cell[:-1]).all() and draw[i] >= cell[-1] for i in range(size))
            for cell in cells
        ]
        found = _areas(costs, draw[None], 0.0)
        assert found[0] == pytest.approx(np.mean(hit))


def test_the_band_is_the_quantiles_of_the_best_accuracy_at_each_cost_or_less():
    rng = np.random.default_rng(0)
    costs = np.array([30.0, 10.0, 20.0, 20.0, 40.0])
    draws = rng.standard_normal((500, 5))
    steps = _attain(costs, draws)
    assert [step.cost for step in steps] == [10, 20, 30, 40]
    for step in steps:
        best = draws[:, costs <= step.cost].max(axis=1)
        wanted = np.quantile(best, [0.5, 0.025, 0.975])
        assert [step.median, step.low, step.high] == pytest.approx(wanted)


def test_hypervolume_is_the_best_accuracy_averaged_over_the_logarithm_of_the_cost():
    records = records_of(*make_trainings(8, 40)[::2])
    front = fit_front(records, OBJECTIVES, 4)
    steps = front.attainment["params"]
    logs = np.log([step.cost for step in steps])
    widths = np.diff(logs) / (logs[-1] - logs[0])
    middle = widths @ [step.median for step in steps[:-1]]
    assert front.reference == min(record.accuracy for record in records)
    assert front.reference + front.hypervolume.median == pytest.approx(middle, abs=5e-4)
    assert front.hypervolume.low < front.hypervolume.median < front.hypervolume.high


def test_luck_makes_the_hypervolume_of_plain_means_too_great():
    records = records_of(*make_trainings(9, 60)[::2])
    front = fit_front(records, OBJECTIVES, 4)
    assert front.plain_hypervolume > front.hypervolume.median


# The front of a study's trials.


def test_what_is_believed_of_trials_is_what_is_believed_of_their_codes():
    trainings, _, costs = make_trainings(10, 60)
    front = fit_front(records_of(trainings, costs), OBJECTIVES, 4)
    posterior = compute_posterior(FACTORS, trainings, [4], costs)
    assert len(front.candidates) == len(posterior.members)
    found = np.array([(c.estimate, c.low, c.high) for c in front.candidates])
    wanted = np.column_stack([posterior.estimates, posterior.lows, posterior.highs])
    # Levels are numbered in another order, so the search for hyper-parameters rounds otherwise.
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    for candidate, member in zip(front.candidates, posterior.members, strict=True):
        assert candidate.summary.candidate == text_of(trainings.codes[member])


@pytest.mark.parametrize("objectives", [OBJECTIVES, ("accuracy", "macs", "params")])
def test_the_order_of_the_records_makes_no_difference(objectives):
    trainings, _, costs = make_trainings(11, 40, num_budgets=2)
    records = records_of(trainings, costs, epochs=(1, 4))
    shuffled = records.copy()
    random.Random(0).shuffle(shuffled)
    assert fit_front(records, objectives, 4) == fit_front(shuffled, objectives, 4)


def test_trials_that_have_not_ended_well_make_no_difference():
    records = records_of(*make_trainings(12, 30)[::2])
    others = [
        replace(records[0], number=100 + i, state=state, accuracy=None, loss=None)
        for i, state in enumerate(("FAIL", "RUNNING", "WAITING"))
    ]
    assert fit_front([*others, *records], OBJECTIVES, 4) == fit_front(records, OBJECTIVES, 4)


def test_the_front_is_that_of_the_estimates_cheapest_first():
    front = fit_front(records_of(*make_trainings(13, 60)[::2]), OBJECTIVES, 4)
    points = [(c.estimate, c.summary.params) for c in front.candidates]
    for candidate, (estimate, params) in zip(front.candidates, points, strict=True):
        is_beaten = any(
            other >= estimate and cost <= params and (other, cost) != (estimate, params)
            for other, cost in points
        )
        assert candidate.on_front == (not is_beaten)
    prices = [candidate.summary.params for candidate in front.front]
    assert prices == sorted(prices)
    assert all(c.probability_on_front >= 0.05 for c in front.credible_set)
    assert {c.summary.key for c in front.unlisted} == {
        c.summary.key for c in front.candidates if c.probability_on_front >= 0.05 and not c.on_front
    }


def test_a_front_is_the_same_to_the_bit_after_json():
    import json

    for count in (4, 40):
        front = fit_front(records_of(*make_trainings(14, count)[::2]), OBJECTIVES, 4)
        assert PosteriorFront.from_json(json.loads(json.dumps(front.to_json()))) == front


def test_candidates_of_an_unknown_kind_are_drawn_towards_the_mean_of_all():
    """A one-way analysis of variance: what is learnt of one says nothing of another."""
    rng = np.random.default_rng(0)
    records = [
        make_record(f"row{i}", 0.8 + 0.01 * rng.standard_normal(), params=100 + i)
        for i in range(12)
    ]
    front = fit_front(records, OBJECTIVES, 4)
    means = np.array([c.summary.accuracy for c in front.candidates])
    estimates = np.array([c.estimate for c in front.candidates])
    shares = (estimates - means.mean()) / (means - means.mean())
    assert (np.argsort(means) == np.argsort(estimates)).all()
    assert 0 < np.median(shares) < 1


# Too little for a model.


def test_a_few_trainings_have_means_and_say_why():
    records = [make_record(f"s2:{i}", 0.5 + 0.1 * i, params=100 + i) for i in range(7)]
    front = fit_front(records, OBJECTIVES, 4)
    assert front.reason == "fewer than 8 trainings have ended"
    assert [c.estimate for c in front.candidates] == [r.accuracy for r in records]
    assert {(c.low, c.high, c.probability_on_front) for c in front.candidates} == {
        (None, None, None)
    }
    assert [c.on_front for c in front.candidates] == [c.summary.on_front for c in front.candidates]
    assert front.credible_set == []
    assert front.hypervolume is None


def test_without_a_model_the_interval_is_students_of_the_pooled_seeds():
    groups = {"a": [0.81, 0.83, 0.84], "b": [0.90, 0.91], "c": [0.5]}
    records = [
        make_record(key, accuracy, seed=seed)
        for key, accuracies in groups.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    front = fit_front(records, OBJECTIVES, 4)
    squares = sum(np.var(values) * len(values) for values in groups.values())
    sd = math.sqrt(squares / 3)
    for candidate, values in zip(front.candidates, groups.values(), strict=True):
        error = sd / math.sqrt(len(values))
        low, high = stats.t.interval(0.95, 3, np.mean(values), error)
        assert (candidate.low, candidate.high) == pytest.approx((low, min(high, 1)))
        assert candidate.estimate_sd == pytest.approx(error)


def test_many_trainings_of_one_candidate_need_no_model():
    records = [make_record("a", 0.5 + 0.01 * i, seed=i) for i in range(10)]
    front = fit_front(records, OBJECTIVES, 4)
    assert front.reason == "fewer than two candidates have a full training"
    (candidate,) = front.front
    low, high = stats.t.interval(0.95, 9, 0.545, stats.sem([r.accuracy for r in records]))
    assert (candidate.low, candidate.high) == pytest.approx((low, high))


def test_without_trials_there_is_no_front():
    front = fit_front([], OBJECTIVES, 4)
    assert (front.candidates, front.front, front.seed_sd) == ((), [], None)


def test_equal_accuracies_are_no_trouble():
    records = [make_record(f"s2:{i % 5}", 0.5, params=100 + i % 5, seed=i // 5) for i in range(20)]
    front = fit_front(records, OBJECTIVES, 4)
    assert [c.estimate for c in front.candidates] == pytest.approx([0.5] * 5)
    assert all(c.low <= 0.5 + 1e-9 and c.high >= 0.5 - 1e-9 for c in front.candidates)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_intervals_stay_between_0_and_1(accuracy):
    rng = np.random.default_rng(0)
    records = [
        make_record(f"s2:{i}", abs(accuracy - 0.003 * rng.random()), params=100 + i)
        for i in range(12)
    ]
    front = fit_front(records, OBJECTIVES, 4)
    assert all(0 <= c.low <= c.estimate <= c.high <= 1 for c in front.candidates)
