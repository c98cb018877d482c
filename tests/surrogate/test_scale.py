"""The scale of accuracies: its order, its inverse, and what outliers do to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from se_search.surrogate.scale import AccuracyScale
from se_search.surrogate.trainings import Trainings


def trainings_of(accuracies, budgets=None):
    accuracies = np.asarray(accuracies, float)
    budgets = np.zeros(len(accuracies), np.int64) if budgets is None else np.asarray(budgets)
    return Trainings(np.zeros((len(accuracies), 1), np.int16), budgets, accuracies)


ACCURACIES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(ACCURACIES, st.floats(0, 1), st.floats(0, 1))
def test_a_better_accuracy_is_never_lower_on_the_scale(accuracies, one, other):
    scale = AccuracyScale.fit(trainings_of(accuracies), 1, 20)
    low, high = scale.apply(np.array(sorted([one, other])), np.zeros(2, np.int64))
    assert low <= high


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=40, unique=True))
def test_undoing_is_the_inverse_above_the_floor_and_short_of_it_below(thousandths):
    accuracies = np.array(thousandths) / 1000
    scale = AccuracyScale.fit(trainings_of(accuracies), 1, 40)
    budgets = np.zeros(len(accuracies), np.int64)
    found = scale.undo(scale.apply(accuracies, budgets))
    floor = np.quantile(accuracies, 0.25)
    above = accuracies >= floor
    np.testing.assert_allclose(found[above], accuracies[above], atol=1e-9)
    assert (found[~above] > accuracies[~above] - 1e-12).all()
    assert scale.undo(np.array([scale.floor]))[0] == pytest.approx(floor)


def test_below_the_floor_distances_are_as_their_logarithms_and_begin_as_they_are():
    scale = AccuracyScale.fit(trainings_of(np.linspace(0.5, 0.9, 21)), 1, 21)
    floor, width = 0.6, 0.25 * (0.8 - 0.6)  # a quarter of the middle half
    below = np.array([1e-6, width, 10 * width])
    found = scale.undo(scale.apply(floor - below, np.zeros(3, np.int64)))
    np.testing.assert_allclose(found, floor - width * np.log1p(below / width))
    assert floor - found[0] == pytest.approx(1e-6, rel=1e-3)


def test_the_floor_is_set_by_the_first_trainings_alone():
    starts = np.linspace(0.5, 0.9, 8)
    few = AccuracyScale.fit(trainings_of(starts), 1, 8)
    more = AccuracyScale.fit(trainings_of([*starts, *np.full(50, 0.95)]), 1, 8)
    assert few.floors == more.floors


def test_full_accuracies_have_mean_0_and_standard_deviation_1():
    accuracies = np.random.default_rng(0).uniform(0.6, 0.9, 30)
    scale = AccuracyScale.fit(trainings_of(accuracies), 1, 30)
    standard = scale.apply(accuracies, np.zeros(30, np.int64))
    assert standard.mean() == pytest.approx(0, abs=1e-9)
    assert standard.std() == pytest.approx(1)


def test_each_budget_has_a_floor_of_its_own():
    short, full = np.linspace(0.1, 0.3, 9), np.linspace(0.7, 0.9, 9)
    scale = AccuracyScale.fit(trainings_of([*short, *full], np.repeat([0, 1], 9)), 2, 9)
    np.testing.assert_allclose(scale.floors, [0.15, 0.75])
    standard = scale.apply(full, np.ones(9, np.int64))
    assert standard.mean() == pytest.approx(0, abs=1e-9)


def test_poor_outliers_move_neither_the_order_of_the_good_ones_nor_their_distances_much():
    good = np.linspace(0.70, 0.74, 12)
    usual = AccuracyScale.fit(trainings_of([*good, 0.69, 0.68, 0.67]), 1, 20)
    broken = AccuracyScale.fit(trainings_of([*good, 0.10, 0.11, 0.12]), 1, 20)
    zeros = np.zeros(12, np.int64)
    apart = [np.ptp(scale.apply(good, zeros)) for scale in (usual, broken)]
    assert (np.diff(broken.apply(good, zeros)) > 0).all()
    assert apart[1] > 0.4 * apart[0]  # left as they are, they would be 0.14 of it
    assert np.ptp(good) / np.std([*good, 0.10, 0.11, 0.12]) < 0.2 * apart[0]


def test_one_training_has_a_scale():
    scale = AccuracyScale.fit(trainings_of([0.5]), 1, 8)
    assert scale.apply(np.array([0.5]), np.array([0])).tolist() == [0.0]
    assert np.isfinite(scale.floor)


def test_before_any_full_training_the_scale_is_that_of_the_short_ones():
    scale = AccuracyScale.fit(trainings_of([0.2, 0.3, 0.4], [0, 0, 0]), 2, 8)
    assert scale.undo(np.array([scale.floor]))[0] == pytest.approx(0.25)
    assert np.isfinite(scale.apply(np.array([0.5]), np.array([1]))).all()


def test_standardised_accuracies_are_the_accuracies_again():
    accuracies = np.concatenate([np.linspace(0.78, 0.82, 40), [0.1, 0.5, 0.7]])
    trainings = Trainings(np.zeros((43, 3), np.int16), np.zeros(43, np.int64), accuracies)
    scale = AccuracyScale.fit(trainings, 1, 20, fence=2.0)
    values = scale.apply(accuracies, trainings.budgets)
    np.testing.assert_allclose(scale.invert(values), accuracies, rtol=1e-6)
    assert np.ptp(values) < 10  # the worst one is 60 standard deviations of the rest away


@given(ACCURACIES, st.sampled_from([0.0, 2.0]))
def test_inverting_gives_back_any_accuracy(accuracies, fence):
    trainings = trainings_of(accuracies)
    scale = AccuracyScale.fit(trainings, 1, 20, fence)
    values = scale.apply(trainings.accuracies, trainings.budgets)
    np.testing.assert_allclose(scale.invert(values), accuracies, atol=1e-6)


def test_the_floor_lies_so_many_interquartile_ranges_below_the_lower_quartile():
    trainings = trainings_of(np.linspace(0.5, 0.9, 21))
    floors = [AccuracyScale.fit(trainings, 1, 21, fence).floors[0] for fence in (0.0, 1.0, 2.0)]
    assert floors == pytest.approx([0.6, 0.4, 0.2])


def test_the_spread_of_accuracies_whose_middle_half_is_one_value_is_that_of_the_better_ones():
    accuracies = [1 / 3] * 6 + [1 / 4, 5 / 12]  # of 12 validation images
    scale = AccuracyScale.fit(trainings_of(accuracies), 1, 20, fence=2.0)
    spread = 0.5 * np.std([1 / 3] * 6 + [5 / 12])
    assert scale.floors == pytest.approx([1 / 3 - 2 * spread])
    assert scale.width == pytest.approx(0.25 * spread)
