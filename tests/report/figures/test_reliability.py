"""The figure of reliability: shares against probabilities, with intervals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from support.figures import check_texts, points_of, words_of

from se_search.report.figures.reliability import draw_reliability, prepare_reliability


def prepare(panels):
    return prepare_reliability(panels, "a title", "a note")


def test_bins_stand_at_their_probability_and_share():
    bins = {50: [(0.1, 0.2, 10), (0.8, 0.75, 20)], 100: [(0.5, 0.4, 30)]}
    figure = draw_reliability(prepare({"simulated": bins}))
    check_texts(figure)
    (axes,) = figure.axes
    containers = {c.get_label(): c.lines[0] for c in axes.containers}
    assert containers["50 trainings"].get_xydata().tolist() == [[0.1, 0.2], [0.8, 0.75]]
    assert containers["100 trainings"].get_xydata().tolist() == [[0.5, 0.4]]
    assert len({line.get_marker() for line in containers.values()}) == 2
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted probability", "share on the front")


def test_calibrated_probabilities_lie_on_the_diagonal_that_is_drawn():
    (axes,) = draw_reliability(prepare({"a": {50: [(0.5, 0.5, 9)]}})).axes
    assert points_of(axes, "calibrated") == [(0, 0), (1, 1)]


@given(st.integers(1, 500), st.data())
def test_intervals_are_wilsons(count, data):
    hits = data.draw(st.integers(0, count))
    prepared = prepare({"a": {50: [(0.5, hits / count, count)]}})
    (one,) = prepared.panels["a"][50]
    wanted = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    assert (one.low, one.high) == pytest.approx((wanted.low, wanted.high), abs=1e-4)


def test_a_share_of_none_or_all_has_a_bar_that_is_no_longer_than_the_axis():
    prepared = prepare({"a": {50: [(0.0, 0.0, 3), (1.0, 1.0, 3)]}})
    none, every = prepared.panels["a"][50]
    assert (none.low, every.high) == pytest.approx((0, 1), abs=1e-9)
    assert none.high > 0.3
    assert every.low < 0.7
    check_texts(draw_reliability(prepared))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_group_has_a_panel(count):
    groups = {f"a group with a long name, number {n}": {50: [(0.5, 0.5, 9)]} for n in range(count)}
    figure = draw_reliability(prepare(groups))
    check_texts(figure)
    assert len(figure.axes) == count
    assert {"50 trainings", "calibrated"} <= set(words_of(figure))
