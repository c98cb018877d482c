"""The scale of accuracies: its order, its inverse, and what outliers do to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from se_search.surrogate.scale import AccuracyScale
from se_search.surrogate.trainings import Trainings


def trainings_of(accuracies, budgets=None, replicates=None):
    accuracies = np.asarray(accuracies, float)
    none = np.zeros(len(accuracies), np.int64)
    return Trainings(
        np.zeros((len(accuracies), 1), np.int16),
        none if budgets is None else np.asarray(budgets),
        none if replicates is None else np.asarray(replicates),
        accuracies,
    )


def apply_fitted(accuracies, num_starts=20, fence=0.0, **options):
    """Return a scale, and the accuracies that it was fitted to on that scale."""
    trainings = trainings_of(accuracies, **options)
    scale = AccuracyScale.fit(trainings, int(trainings.budgets.max()) + 1, num_starts, fence)
    return scale, scale.apply(trainings)


ACCURACIES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(ACCURACIES)
def test_a_better_accuracy_of_a_replicate_is_never_lower_on_the_scale(accuracies):
    _, values = apply_fitted(accuracies)
    order = np.argsort(accuracies, kind="stable")
    assert (np.diff(values[order]) >= -1e-9).all()


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=40, unique=True))
def test_undoing_is_the_inverse_above_the_floor_and_short_of_it_below(thousandths):
    accuracies = np.array(thousandths) / 1000
    scale, values = apply_fitted(accuracies, 40)
    found = scale.undo(values)
    floor = np.quantile(accuracies, 0.25)
    above = accuracies >= floor
    np.testing.assert_allclose(found[above], accuracies[above], atol=1e-9)
    assert (found[~above] > accuracies[~above] - 1e-12).all()
    assert scale.undo(np.array([scale.floor]))[0] == pytest.approx(floor)


def test_below_the_floor_distances_are_as_their_logarithms_and_begin_as_they_are():
    accuracies = np.linspace(0.5, 0.9, 21)
    floor, width = 0.6, 0.25 * (0.8 - 0.6)  # a quarter of the middle half
    below = np.array([1e-6, width, 10 * width])
    trainings = trainings_of([*accuracies, *(floor - below), 1.0, 1.0, 1.0])  # one median
    scale = AccuracyScale.fit(trainings, 1, 21)
    found = scale.undo(scale.apply(trainings))[21:24]
    np.testing.assert_allclose(found, floor - width * np.log1p(below / width))
    assert floor - found[0] == pytest.approx(1e-6, rel=1e-3)


def test_the_floor_is_set_by_the_first_trainings_alone():
    starts = np.linspace(0.5, 0.9, 8)
    few, _ = apply_fitted(starts, 8)
    more, _ = apply_fitted([*starts, *np.full(50, 0.95)], 8)
    assert few.undo(few.floor) == pytest.approx(more.undo(more.floor))


def test_full_accuracies_have_mean_0_and_standard_deviation_1_within_replicates():
    rng = np.random.default_rng(0)
    replicates = np.arange(40) % 4
    accuracies = rng.uniform(0.6, 0.8, 40) + 0.05 * replicates
    _, values = apply_fitted(accuracies, fence=9.0, replicates=replicates)  # nothing compressed
    assert values.mean() == pytest.approx(0, abs=1e-9)
    own = [values[replicates == replicate] for replicate in range(4)]
    assert np.mean([np.var(each, ddof=1) for each in own]) == pytest.approx(1)


def test_each_budget_has_a_floor_of_its_own():
    short, full = np.linspace(0.1, 0.3, 9), np.linspace(0.7, 0.9, 9)
    scale, values = apply_fitted([*short, *full], 9, budgets=np.repeat([0, 1], 9))
    np.testing.assert_allclose(scale.floors, [-0.05, -0.05])  # of the medians 0.2 and 0.8
    assert scale.undo(scale.floor) == pytest.approx(0.75)
    assert values[9:].mean() == pytest.approx(0, abs=1e-9)
    found = scale.undo(values)
    np.testing.assert_allclose(found[2:9], short[2:])
    assert found[0] > short[0] + 0.01


def test_poor_outliers_move_neither_the_order_of_the_good_ones_nor_their_distances_much():
    good = np.linspace(0.70, 0.74, 12)
    usual, broken = (
        apply_fitted([*good, *poor])[1][:12] for poor in ((0.69, 0.68, 0.67), (0.10, 0.11, 0.12))
    )
    assert (np.diff(broken) > 0).all()
    assert np.ptp(broken) > 0.4 * np.ptp(usual)  # left as they are, they would be 0.14 of it
    assert np.ptp(good) / np.std([*good, 0.10, 0.11, 0.12]) < 0.2 * np.ptp(usual)


def test_one_training_has_a_scale():
    scale, values = apply_fitted([0.5], 8)
    assert values.tolist() == [0.0]
    assert np.isfinite(scale.floor)


def test_before_any_full_training_the_scale_is_that_of_the_short_ones():
    trainings = trainings_of([0.2, 0.3, 0.4])
    scale = AccuracyScale.fit(trainings, 2, 8)
    assert scale.undo(np.array([scale.floor]))[0] == pytest.approx(0.25)
    assert np.isfinite(scale.apply(trainings_of([0.2, 0.3, 0.4, 0.5], [0, 0, 0, 1]))).all()


def test_an_outlier_is_compressed_and_stretched_again_to_what_it_was():
    accuracies = np.concatenate([np.linspace(0.78, 0.82, 40), [0.1, 0.5, 0.7]])
    scale, values = apply_fitted(accuracies, fence=2.0)
    np.testing.assert_allclose(scale.invert(values), accuracies, rtol=1e-6)
    assert np.ptp(values) < 10  # the worst one is 60 standard deviations of the rest away


@given(ACCURACIES, st.sampled_from([0.0, 2.0]))
def test_inverting_gives_back_any_accuracy_of_a_single_replicate(accuracies, fence):
    scale, values = apply_fitted(accuracies, fence=fence)
    np.testing.assert_allclose(scale.invert(values), accuracies, atol=1e-6)


def test_the_floor_lies_so_many_interquartile_ranges_below_the_lower_quartile():
    accuracies = np.linspace(0.5, 0.9, 21)
    scales = [apply_fitted(accuracies, 21, fence)[0] for fence in (0.0, 1.0, 2.0)]
    assert [scale.undo(scale.floor) for scale in scales] == pytest.approx([0.6, 0.4, 0.2])


def test_the_spread_of_accuracies_whose_middle_half_is_one_value_is_that_of_the_better_ones():
    accuracies = [1 / 3] * 6 + [1 / 4, 5 / 12]  # of 12 validation images
    scale, _ = apply_fitted(accuracies, fence=2.0)
    spread = 0.5 * np.std([1 / 3] * 6 + [5 / 12])
    assert scale.undo(scale.floor) == pytest.approx(1 / 3 - 2 * spread)
    assert scale.width == pytest.approx(0.25 * spread)


# --- replicates --------------------------------------------------------------------------------


@pytest.mark.parametrize("fence", [0.0, 2.0])
def test_levels_of_replicates_move_all_of_their_trainings_alike_and_compress_none_more(fence):
    """One replicate is as a whole far below the floor of all."""
    rng = np.random.default_rng(1)
    replicates = np.arange(48) % 4
    accuracies = rng.normal(0.8, 0.01, 48)
    accuracies[7] = 0.6
    lifted = accuracies + np.array([0.0, -0.4, 0.02, 0.1])[replicates]
    usual, values = apply_fitted(accuracies, fence=fence, replicates=replicates)
    other, moved = apply_fitted(lifted, fence=fence, replicates=replicates)
    assert other.sd == pytest.approx(usual.sd)
    for replicate, level in enumerate([0.0, -0.4, 0.02, 0.1]):
        own = (moved - values)[replicates == replicate]
        np.testing.assert_allclose(own, own[0], atol=1e-6)
        centred = level - np.mean([0.0, -0.4, 0.02, 0.1])
        assert own[0] * usual.sd == pytest.approx(centred, abs=1e-9)


def test_a_replicate_of_one_training_is_seen_from_the_median_of_all():
    """As an accuracy that is far below everything else, be it for its replicate or not."""
    accuracies = np.append(np.linspace(0.78, 0.82, 20), 0.3)
    replicates = np.append(np.zeros(20, int), 1)
    scale, values = apply_fitted(accuracies, 21, 2.0, replicates=replicates)
    assert scale.undo(values)[-1] > 0.6


def test_where_no_two_trainings_share_a_replicate_the_scale_is_that_of_one_replicate():
    accuracies = np.random.default_rng(2).normal(0.8, 0.01, 30)
    scale, values = apply_fitted(accuracies, replicates=np.arange(30))
    _, of_one = apply_fitted(accuracies)
    # Nothing is known within replicates: the standard deviation is that of all, about their mean.
    np.testing.assert_allclose(values, of_one * np.sqrt(30 / 29))
    assert values.std() == pytest.approx(1)
    assert np.isfinite(scale.floor)
