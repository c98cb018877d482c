"""Expected hypervolume improvement, against integration, drawing, and moocore's hypervolume."""

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from se_search.search import acquisition
from se_search.search.acquisition import Staircase, expected_improvement

FLOOR, END = 0.2, 1.001


def hypervolume_of(costs, accuracies):
    """Return the hypervolume of points by moocore, which minimises."""
    points = np.column_stack([costs, -accuracies])
    reference = [END] * costs.shape[1] + [-FLOOR]
    return moocore.hypervolume(points, ref=reference)


def gain_of(costs, accuracies, cost, accuracy):
    before = hypervolume_of(costs, accuracies)
    return hypervolume_of(np.vstack([costs, cost]), np.append(accuracies, accuracy)) - before


def draw_points(num_points, num_costs, seed, ties=False):
    rng = np.random.default_rng(seed)
    costs = rng.uniform(0, 1, (num_points, num_costs))
    if ties:
        costs = costs.round(1)
    return costs, rng.uniform(0, 1, num_points)


@pytest.mark.parametrize(
    ("mean", "sd", "height"),
    [(0.0, 1.0, 0.0), (0.3, 0.5, 0.9), (2.0, 0.1, 1.0), (-3.0, 1.0, 0.5), (0.5, 2.0, -1.0)],
)
def test_improvement_is_the_integral_of_what_is_above(mean, sd, height):
    normal = norm(mean, sd)
    wanted, _ = quad(lambda x: (x - height) * normal.pdf(x), height, max(height, mean) + 12 * sd)
    assert expected_improvement(np.array([mean]), np.array([sd]), height)[0] == pytest.approx(
        wanted
    )


def test_improvement_of_what_is_known_is_the_difference_if_there_is_one():
    found = expected_improvement(np.array([0.4, 0.5, 0.7]), np.zeros(3), 0.5)
    assert found.tolist() == [0.0, 0.0, 0.7 - 0.5]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("num_costs", [1, 2])
def test_what_is_known_adds_the_difference_of_two_hypervolumes(num_costs, ties):
    costs, accuracies = draw_points(12, num_costs, 0, ties)
    new_costs, new = draw_points(60, num_costs, 1, ties)
    staircase = Staircase.over(costs, accuracies, FLOOR, END)
    found = staircase.expected_hypervolume_improvement(new_costs, new, np.zeros(60))
    wanted = [gain_of(costs, accuracies, *one) for one in zip(new_costs, new, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert 0 < np.count_nonzero(found) < 60


@pytest.mark.parametrize("num_costs", [1, 2])
def test_the_expectation_is_the_mean_gain_of_drawn_accuracies(num_costs):
    costs, accuracies = draw_points(8, num_costs, 2)
    new_costs, mean = draw_points(6, num_costs, 3)
    sd = np.linspace(0.05, 0.4, 6)
    staircase = Staircase.over(costs, accuracies, FLOOR, END)
    found = staircase.expected_hypervolume_improvement(new_costs, mean, sd)
    rng = np.random.default_rng(4)
    for number in range(6):
        draws = rng.normal(mean[number], sd[number], 3_000)
        gains = np.array([gain_of(costs, accuracies, new_costs[number], draw) for draw in draws])
        error = gains.std() / np.sqrt(len(gains))
        assert abs(found[number] - gains.mean()) < 4 * error + 1e-5, number


@pytest.mark.parametrize("num_costs", [1, 2])
def test_the_expectation_is_smooth_in_the_deviation_down_to_0(num_costs):
    costs, accuracies = draw_points(10, num_costs, 5)
    new_costs, mean = draw_points(30, num_costs, 6)
    staircase = Staircase.over(costs, accuracies, FLOOR, END)
    known = staircase.expected_hypervolume_improvement(new_costs, mean, np.zeros(30))
    nearly = staircase.expected_hypervolume_improvement(new_costs, mean, np.full(30, 1e-9))
    np.testing.assert_allclose(nearly, known, atol=1e-8)


@given(
    st.integers(1, 2),
    st.integers(1, 12),
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
@settings(max_examples=60)
def test_what_is_known_to_be_worse_and_no_cheaper_gains_exactly_nothing(num_costs, count, shares):
    costs, accuracies = draw_points(count, num_costs, count)
    accuracies = accuracies * (1 - FLOOR) + FLOOR
    best = int(np.argmax(accuracies))
    dearer = costs[best] + np.array(shares[:num_costs]) * (1 - costs[best])
    worse = np.array([accuracies[best] * shares[2]])
    staircase = Staircase.over(costs, accuracies, FLOOR, END)
    assert staircase.expected_hypervolume_improvement(
        dearer[None], worse, np.zeros(1)
    ).tolist() == [0.0]


@pytest.mark.parametrize("num_costs", [1, 2])
def test_the_order_of_the_points_changes_nothing(num_costs):
    costs, accuracies = draw_points(15, num_costs, 7, ties=True)
    new_costs, mean = draw_points(20, num_costs, 8)
    order = np.random.default_rng(9).permutation(15)
    found = [
        Staircase.over(costs[rows], accuracies[rows], FLOOR, END).expected_hypervolume_improvement(
            new_costs, mean, np.full(20, 0.1)
        )
        for rows in (np.arange(15), order)
    ]
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("num_costs", [1, 2])
def test_points_that_others_beat_change_nothing(num_costs):
    costs, accuracies = draw_points(40, num_costs, 10)
    beaten = np.array(
        [
            any((costs[j] <= costs[i]).all() and accuracies[j] > accuracies[i] for j in range(40))
            for i in range(40)
        ]
    )
    assert 0 < beaten.sum() < 40
    new_costs, mean = draw_points(20, num_costs, 11)
    found = [
        Staircase.over(costs[rows], accuracies[rows], FLOOR, END).expected_hypervolume_improvement(
            new_costs, mean, np.full(20, 0.2)
        )
        for rows in (slice(None), ~beaten)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)


@pytest.mark.parametrize("num_costs", [1, 2])
def test_without_points_all_above_the_floor_counts(num_costs):
    staircase = Staircase.over(np.zeros((0, num_costs)), np.zeros(0), FLOOR, END)
    found = staircase.expected_hypervolume_improvement(
        np.full((2, num_costs), 0.5), np.array([0.7, 0.1]), np.zeros(2)
    )
    np.testing.assert_allclose(found, [(END - 0.5) ** num_costs * (0.7 - FLOOR), 0.0])


@pytest.mark.parametrize("num_costs", [1, 2])
def test_a_large_pool_is_scored_as_each_of_its_candidates_is(num_costs, monkeypatch):
    monkeypatch.setattr(acquisition, "CHUNK", 60)
    costs, accuracies = draw_points(9, num_costs, 12)
    new_costs, mean = draw_points(30, num_costs, 13)
    sd = np.full(30, 0.1)
    staircase = Staircase.over(costs, accuracies, FLOOR, END)
    one_by_one = [
        staircase.expected_hypervolume_improvement(
            new_costs[n : n + 1], mean[n : n + 1], sd[n : n + 1]
        )[0]
        for n in range(30)
    ]
    np.testing.assert_allclose(
        staircase.expected_hypervolume_improvement(new_costs, mean, sd), one_by_one, rtol=1e-12
    )
