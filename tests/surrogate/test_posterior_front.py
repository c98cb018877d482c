"""The front of a run's trials: against brute force, closed forms and plain statistics."""

import json
import math
import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats
from se_search.surrogate.candidate_posterior import compute_posterior
from support.made_up_trainings import (
    FACTORS,
    OBJECTIVES,
    SPACE,
    make_trainings,
    record_of,
    records_of,
    text_of,
)
from support.records import make_record

from se_search.surrogate.posterior_front import PosteriorFront, _areas, _attain, fit_front


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
    front = fit_front(records, SPACE, OBJECTIVES, 4)
    steps = front.attainment["params"]
    logs = np.log([step.cost for step in steps])
    widths = np.diff(logs) / (logs[-1] - logs[0])
    middle = widths @ [step.median for step in steps[:-1]]
    assert front.reference == min(record.accuracy for record in records)
    assert front.reference + front.hypervolume.median == pytest.approx(middle, abs=5e-4)
    assert front.hypervolume.low < front.hypervolume.median < front.hypervolume.high


def test_luck_makes_the_hypervolume_of_plain_means_too_great():
    records = records_of(*make_trainings(9, 60)[::2])
    front = fit_front(records, SPACE, OBJECTIVES, 4)
    assert front.plain_hypervolume > front.hypervolume.median


# The front of a study's trials.


def test_the_posterior_of_trials_is_that_of_their_codes():
    trainings, _, costs = make_trainings(10, 60)
    front = fit_front(records_of(trainings, costs), SPACE, OBJECTIVES, 4)
    posterior = compute_posterior(FACTORS, trainings, [4], costs)
    assert len(front.candidates) == len(posterior.members)
    found = np.array([(c.estimate, c.low, c.high) for c in front.candidates])
    wanted = np.column_stack([posterior.estimates, posterior.lows, posterior.highs])
    np.testing.assert_array_equal(found, wanted)
    for candidate, member in zip(front.candidates, posterior.members, strict=True):
        assert candidate.summary.candidate == text_of(trainings.codes[member])


@pytest.mark.parametrize("objectives", [OBJECTIVES, ("accuracy", "macs", "params")])
def test_the_order_of_the_records_makes_no_difference(objectives):
    trainings, _, costs = make_trainings(11, 40, num_budgets=2)
    records = records_of(trainings, costs, epochs=(1, 4))
    shuffled = records.copy()
    random.Random(0).shuffle(shuffled)
    assert fit_front(records, SPACE, objectives, 4) == fit_front(shuffled, SPACE, objectives, 4)


def test_trials_that_have_not_ended_well_make_no_difference():
    records = records_of(*make_trainings(12, 30)[::2])
    others = [
        replace(records[0], number=100 + i, state=state, accuracy=None, loss=None)
        for i, state in enumerate(("FAIL", "RUNNING", "WAITING"))
    ]
    assert fit_front([*others, *records], SPACE, OBJECTIVES, 4) == fit_front(
        records, SPACE, OBJECTIVES, 4
    )


def test_the_front_is_that_of_the_estimates_cheapest_first():
    front = fit_front(records_of(*make_trainings(13, 60)[::2]), SPACE, OBJECTIVES, 4)
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
    for count in (4, 40):
        front = fit_front(records_of(*make_trainings(14, count)[::2]), SPACE, OBJECTIVES, 4)
        assert PosteriorFront.from_json(json.loads(json.dumps(front.to_json()))) == front


# Too little for a model.


def test_a_few_trainings_have_means_and_say_why():
    records = [make_record(f"s2:{i}", 0.5 + 0.1 * i, params=100 + i) for i in range(7)]
    front = fit_front(records, SPACE, OBJECTIVES, 4)
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
    front = fit_front(records, SPACE, OBJECTIVES, 4)
    squares = sum(np.var(values) * len(values) for values in groups.values())
    sd = math.sqrt(squares / 3)
    for candidate, values in zip(front.candidates, groups.values(), strict=True):
        error = sd / math.sqrt(len(values))
        low, high = stats.t.interval(0.95, 3, np.mean(values), error)
        assert (candidate.low, candidate.high) == pytest.approx((low, min(high, 1)))
        assert candidate.estimate_sd == pytest.approx(error)


def test_many_trainings_of_one_candidate_need_no_model():
    records = [make_record("a", 0.5 + 0.01 * i, seed=i) for i in range(10)]
    front = fit_front(records, SPACE, OBJECTIVES, 4)
    assert front.reason == "fewer than two candidates have a full training"
    (candidate,) = front.front
    low, high = stats.t.interval(0.95, 9, 0.545, stats.sem([r.accuracy for r in records]))
    assert (candidate.low, candidate.high) == pytest.approx((low, high))


def test_without_trials_there_is_no_front():
    front = fit_front([], SPACE, OBJECTIVES, 4)
    assert (front.candidates, front.front, front.seed_sd) == ((), [], None)


def test_equal_accuracies_are_no_trouble():
    records = [record_of(i % 5, 0.5, params=100 + i % 5, seed=i // 5) for i in range(20)]
    front = fit_front(records, SPACE, OBJECTIVES, 4)
    assert [c.estimate for c in front.candidates] == pytest.approx([0.5] * 5)
    assert all(c.low <= 0.5 + 1e-9 and c.high >= 0.5 - 1e-9 for c in front.candidates)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_intervals_stay_between_0_and_1(accuracy):
    rng = np.random.default_rng(0)
    records = [
        record_of(i, abs(accuracy - 0.003 * rng.random()), params=100 + i) for i in range(12)
    ]
    front = fit_front(records, SPACE, OBJECTIVES, 4)
    assert all(0 <= c.low <= c.estimate <= c.high <= 1 for c in front.candidates)
