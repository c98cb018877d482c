"""Fronts, their probabilities and hypervolumes: by the definition, by counting, by moocore."""

import math

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.records import front_of, make_record

from se_search.analysis.pareto import (
    front_probability,
    hypervolume,
    is_non_dominated,
    mark_front,
    on_front,
    seed_sd,
    summarize,
)

COSTS = ("accuracy", "params")


def rows(elements):
    return st.integers(1, 4).flatmap(
        lambda m: st.lists(st.lists(elements, min_size=m, max_size=m), min_size=1, max_size=14)
    )


def is_beaten(row, other):
    """Tell whether ``other`` is nowhere worse and somewhere better (Deb et al. 2002)."""
    pairs = list(zip(other, row, strict=True))
    return all(theirs <= ours for theirs, ours in pairs) and any(a < b for a, b in pairs)


def front_names(records, objectives=COSTS):
    return [summary.key for summary in front_of(summarize(records, objectives))]


@given(
    rows(st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan]))
    | rows(st.sampled_from([-math.inf, 0.0, -0.0, 1e-300, 1.0, math.inf, math.nan]))
    | rows(st.floats(-1e9, 1e9))
)
def test_the_points_that_no_other_beats_are_marked(costs):
    finite = [row for row in costs if not any(map(math.isnan, row))]
    expected = [
        row in finite and not any(is_beaten(row, other) for other in finite) for row in costs
    ]
    assert is_non_dominated(np.array(costs)).tolist() == expected


def test_marking_leaves_the_costs_as_they_are():
    costs = np.array([[2.0, 1.0], [1.0, math.nan], [1.0, 1.0]])
    copy = costs.copy()
    is_non_dominated(costs)
    np.testing.assert_array_equal(costs, copy)


def test_no_points_have_no_front():
    assert is_non_dominated(np.empty((0, 2))).tolist() == []


def test_the_trials_of_a_candidate_are_pooled_over_seeds():
    accuracies = (0.5, 0.6, 0.7)
    records = [make_record("a", accuracy, seed=seed) for seed, accuracy in enumerate(accuracies)]
    (summary,) = summarize(records, COSTS)
    assert summary.num_replicates == 3
    assert summary.accuracy == pytest.approx(0.6)
    assert summary.accuracy_sd == pytest.approx(0.1)  # n - 1 in the denominator
    assert summary.loss == pytest.approx(0.4)


def test_one_seed_has_no_standard_deviation():
    (summary,) = summarize([make_record("a", 0.5)], COSTS)
    assert summary.accuracy_sd is None


def test_a_summary_has_the_costs_of_its_trials():
    (summary,) = summarize([make_record("a", 0.5, params=60, macs=700)], COSTS)
    assert (summary.params, summary.added_params, summary.added_params_pct) == (60, 10, 20.0)
    assert (summary.macs, summary.added_macs) == (700, 200)


def test_summaries_stand_in_the_order_of_first_training():
    records = [make_record("b", 0.1), make_record("a", 0.9), make_record("b", 0.2, seed=1)]
    assert [summary.key for summary in summarize(records, COSTS)] == ["b", "a"]


@pytest.mark.parametrize("state", ["FAIL", "RUNNING", "WAITING"])
def test_a_trial_that_is_not_complete_counts_for_nothing(state):
    records = [
        make_record("a", 0.5),
        make_record("a", 0.9, state=state, seed=1),
        make_record("b", 0.9, state=state),
        make_record("c", 0.9, state=state, epochs=400),
    ]
    (summary,) = summarize(records, COSTS)
    assert (summary.key, summary.num_replicates, summary.epochs) == ("a", 1, 4)


def test_trials_of_fewer_epochs_count_for_nothing():
    records = [
        make_record("a", 0.9, epochs=1),
        make_record("a", 0.5, epochs=4),
        make_record("b", 0.9, epochs=3),
    ]
    (summary,) = summarize(records, COSTS)
    assert (summary.key, summary.num_replicates, summary.accuracy) == ("a", 1, 0.5)


def test_a_candidate_is_on_the_front_by_its_mean_and_not_by_its_best_seed():
    lucky = [make_record("lucky", accuracy, seed=seed) for seed, accuracy in enumerate((0.9, 0.5))]
    steady = [make_record("steady", 0.8)]
    assert front_names(lucky + steady) == ["steady"]


def test_candidates_that_are_equal_in_everything_are_on_the_front_together():
    assert front_names([make_record("a", 0.5), make_record("b", 0.5)]) == ["a", "b"]


@pytest.mark.parametrize(
    ("objectives", "front"),
    [
        (("accuracy", "params"), ["few params", "middle", "best"]),
        (("accuracy", "macs"), ["few macs", "middle", "best"]),
        (("accuracy", "params", "macs"), ["few params", "few macs", "middle", "best"]),
        (("macs", "accuracy"), ["few macs", "middle", "best"]),
    ],
)
def test_the_front_is_of_the_objectives_that_are_asked_for(objectives, front):
    records = [
        make_record("best", 0.9, params=90, macs=900),
        make_record("middle", 0.7, params=70, macs=700),
        make_record("beaten", 0.6, params=80, macs=800),
        make_record("few macs", 0.5, params=85, macs=100),
        make_record("few params", 0.5, params=10, macs=950),
    ]
    assert sorted(front_names(records, objectives)) == sorted(front)


def test_the_front_is_sorted_by_parameters_and_then_by_multiply_adds():
    records = [
        make_record("c", 0.9, params=90, macs=300),
        make_record("b", 0.7, params=70, macs=200),
        make_record("a", 0.7, params=70, macs=100),
        make_record("d", 0.95, params=95, macs=50),
    ]
    assert front_names(records, ("accuracy", "params")) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("records", [[], [make_record("a", 0.5, state="FAIL")]])
def test_without_complete_trials_there_is_nothing_to_summarize(records):
    assert summarize(records, COSTS) == []
    assert front_of([]) == []


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 4), st.integers(0, 2)), max_size=20
    )
)
def test_the_front_of_any_trials_is_that_of_the_means(trials):
    costs = dict(zip("abcdef", [50, 50, 60, 70, 80, 80], strict=True))
    records = [
        make_record(name, right / 4, params=costs[name], epochs=epochs)
        for name, right, epochs in trials
    ]
    longest = max((epochs for *_, epochs in trials), default=0)
    right = {}
    for name, count, epochs in trials:
        if epochs == longest:
            right.setdefault(name, []).append(count)
    points = {name: (-sum(counts) / len(counts), costs[name]) for name, counts in right.items()}
    expected = {
        name
        for name, point in points.items()
        if not any(is_beaten(point, other) for other in points.values())
    }
    assert set(front_names(records)) == expected


def test_the_seed_noise_is_that_of_all_accuracies_pooled_over_candidates():
    groups = {"a": [0.81, 0.83, 0.84], "b": [0.90, 0.91], "c": [0.5]}
    records = [
        make_record(key, accuracy, seed=seed)
        for key, accuracies in groups.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    found = seed_sd(summarize(records, ("accuracy", "params")))
    residuals = sum(np.var(values) * len(values) for values in groups.values())
    assert found == pytest.approx((residuals / (6 - 3)) ** 0.5)


def test_the_seed_noise_is_not_known_without_a_repeat():
    assert seed_sd(summarize([make_record("a", 0.5)], ("accuracy", "params"))) is None


# --- the probability of being on the front ----------------------------------------


def on_front_by_definition(costs, samples):
    """Mark who has no rival that is as cheap in every cost, and more accurate."""
    no_dearer = (costs[:, None] <= costs[None]).all(axis=2)
    return np.array([~(no_dearer & (draw[:, None] > draw[None])).any(axis=0) for draw in samples])


@given(st.integers(1, 3), st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=60)
def test_marks_are_those_of_the_definition_draw_by_draw_also_with_ties_in_cost(
    num_costs, count, num_different, seed
):
    rng = np.random.default_rng(seed)
    costs = rng.integers(num_different, size=(count, num_costs)).astype(float)
    samples = rng.standard_normal((20, count))
    np.testing.assert_array_equal(on_front(costs, samples), on_front_by_definition(costs, samples))


def test_the_probability_is_the_share_of_draws():
    rng = np.random.default_rng(0)
    costs, samples = rng.uniform(size=(9, 2)), rng.standard_normal((50, 9))
    wanted = on_front_by_definition(costs, samples).mean(axis=0)
    np.testing.assert_allclose(front_probability(costs, samples), wanted)


@pytest.mark.parametrize("num_costs", [1, 2])
def test_a_front_of_no_candidates_is_empty(num_costs):
    assert on_front(np.zeros((0, num_costs)), np.zeros((3, 0))).shape == (3, 0)


@pytest.mark.parametrize("num_costs", [1, 2])
def test_the_only_candidate_is_on_the_front(num_costs):
    assert front_probability(np.ones((1, num_costs)), np.zeros((3, 1))).tolist() == [1.0]


def test_two_alike_at_one_cost_have_the_front_half_the_time_each():
    samples = np.random.default_rng(0).standard_normal((20_000, 2))
    found = front_probability(np.ones((2, 1)), samples)
    np.testing.assert_allclose(found, [0.5, 0.5], atol=0.02)
    assert found.sum() == pytest.approx(1.0)


def test_the_dearer_of_two_is_on_the_front_as_often_as_it_is_better():
    """P(N(0.5, 1) > N(0, 1)) in closed form."""
    from scipy.stats import norm

    samples = np.random.default_rng(1).normal([0.0, 0.5], 1.0, (20_000, 2))
    found = front_probability(np.array([[1.0], [2.0]]), samples)
    np.testing.assert_allclose(found, [1.0, norm.cdf(0.5 / np.sqrt(2))], atol=0.015)


# --- the hypervolume ------------------------------------------------------------

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=15)


def count_squares(points, reference):
    """Count the unit squares between the reference point and the points."""
    squares = {
        (x, y)
        for cost, accuracy in points
        for x in range(cost, reference[0])
        for y in range(reference[1], accuracy)
    }
    return len(squares)


def columns_of(points):
    costs, accuracies = np.array(points, float).reshape(-1, 2).T
    return costs, accuracies


@given(POINTS, st.tuples(st.integers(1, 14), st.integers(0, 10)))
def test_the_hypervolume_is_the_number_of_unit_squares_that_are_dominated(points, reference):
    assert hypervolume(*columns_of(points), reference) == count_squares(points, reference)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30),
)
def test_the_hypervolume_is_that_of_moocore(points):
    costs, accuracies = columns_of(points)
    expected = moocore.hypervolume(np.column_stack([costs, -accuracies]), ref=[0.9, -0.1])
    assert hypervolume(costs, accuracies, (0.9, 0.1)) == pytest.approx(expected, abs=1e-12)


def test_a_point_at_the_reference_contributes_nothing():
    assert hypervolume(np.array([1.0, 0.2]), np.array([0.9, 0.5]), (1.0, 0.5)) == 0


@st.composite
def fronts_with_floors(draw):
    """Draw accuracies that all differ, whole costs with ties, and floors, some of them 0."""
    count, num_costs = draw(st.integers(1, 9)), draw(st.integers(1, 2))
    accuracies = draw(st.permutations(range(count)))
    a_cost = st.lists(st.integers(1, 12), min_size=num_costs, max_size=num_costs)
    costs = draw(st.lists(a_cost, min_size=count, max_size=count))
    floors = draw(st.lists(st.integers(0, 4), min_size=num_costs, max_size=num_costs))
    return np.array(accuracies, float), np.array(costs, float), np.array(floors, float)


@given(fronts_with_floors())
def test_no_member_is_there_only_for_a_difference_below_the_floor(case):
    accuracies, costs, floors = case
    marks = mark_front(accuracies, costs, floors.tolist())
    members = np.flatnonzero(marks)
    for one in members:
        for other in members:
            if accuracies[other] > accuracies[one]:
                assert (costs[other] > costs[one] + floors).any()
    for left_out in np.flatnonzero(~marks):  # a member is better, and costs no more that counts
        assert any(
            accuracies[other] > accuracies[left_out]
            and (costs[other] <= costs[left_out] + floors).all()
            for other in members
        )


@given(fronts_with_floors())
def test_without_floors_the_front_is_that_of_the_definition(case):
    accuracies, costs, floors = case
    exact = is_non_dominated(np.column_stack([-accuracies, costs]))
    assert mark_front(accuracies, costs).tolist() == exact.tolist()
    assert mark_front(accuracies, costs, (0 * floors).tolist()).tolist() == exact.tolist()
    # Where costs are whole numbers, half of one is a floor that no difference is below.
    assert mark_front(accuracies, costs, [0.5] * len(floors)).tolist() == exact.tolist()


def test_a_chain_of_small_differences_leaves_one_member_for_each_floor():
    costs = np.arange(10.0)[:, None]  # 1 apart, and each dearer one is more accurate
    marks = mark_front(np.arange(10.0), costs, [1.5])
    assert np.flatnonzero(marks).tolist() == [1, 3, 5, 7, 9]


def test_in_each_draw_the_front_with_a_floor_is_that_of_its_accuracies():
    rng = np.random.default_rng(3)
    costs, samples = rng.uniform(0, 10, (12, 1)), rng.normal(size=(50, 12))
    marks = on_front(costs, samples, [1.0])
    assert all(
        mark_front(draw, costs, [1.0]).tolist() == row.tolist()
        for draw, row in zip(samples, marks, strict=True)
    )
    np.testing.assert_allclose(front_probability(costs, samples, [1.0]), marks.mean(axis=0))
