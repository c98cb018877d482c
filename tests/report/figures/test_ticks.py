"""Ticks are round, lie in their range, and their labels keep apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from se_search.report.figures.style import (
    MINUS,
    add_axes,
    figure_style,
    new_figure,
    text_width,
)
from se_search.report.figures.ticks import choose_ticks, log_ticks, round_ticks


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 100, ["0", "20", "40", "60", "80", "100"]),
        (-3, 3, [f"{MINUS}3", f"{MINUS}2", f"{MINUS}1", "0", "1", "2", "3"]),
        (86.96, 88.14, ["87.0", "87.2", "87.4", "87.6", "87.8", "88.0"]),
        (154.0, 171.0, ["155.0", "157.5", "160.0", "162.5", "165.0", "167.5", "170.0"]),
    ],
)
def test_ticks_of_known_ranges(low, high, labels):
    assert next(round_ticks(low, high))[1] == labels


@given(st.floats(-1e6, 1e6), st.floats(-4, 6))
def test_a_tick_has_the_value_that_its_label_says(low, exponent):
    span = max(10**exponent, abs(low) * 1e-4)
    for values, labels in round_ticks(low, low + span):
        assert all(low <= value <= low + span for value in values)
        assert [float(label.replace(MINUS, "-")) for label in labels] == pytest.approx(
            values, abs=span * 1e-6
        )
        assert len(set(labels)) == len(labels)


@given(st.floats(0, 8), st.floats(1, 8))
def test_logarithmic_ticks_are_one_two_or_five_times_a_power_of_ten(start, decades):
    low, high = 10**start, 10 ** (start + decades)
    suffixes = {" k": 1e3, " M": 1e6, " G": 1e9}
    for values, labels in log_ticks(low, high):
        assert all(low <= value <= high for value in values)
        for value, label in zip(values, labels, strict=True):
            assert f"{value:e}"[0] in "125"
            unit = next((size for suffix, size in suffixes.items() if suffix in label), 1)
            assert float(label.split()[0]) * unit == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("width", [1.0, 2.9, 6.0])
def test_chosen_labels_keep_apart_and_inside(width):
    with figure_style():
        axes = add_axes(new_figure(7, 2), 0.4, 0.4, width, 1)

    @settings(max_examples=30, deadline=None)
    @given(st.floats(1, 1e7), st.floats(1e-3, 10))
    def check(low, share):
        high = low * (1 + share)
        axes.set_xlim(low, high)
        values, labels = choose_ticks(axes, round_ticks(low, high), reach=0.05)
        assert labels
        halves = [text_width(label) / 2 for label in labels]
        places = [(value - low) / (high - low) * width for value in values]
        starts = [place - half for place, half in zip(places, halves, strict=True)]
        ends = [place + half for place, half in zip(places, halves, strict=True)]
        assert all(end < start for end, start in zip(ends[:-1], starts[1:], strict=True))
        assert starts[0] > -0.06
        assert ends[-1] < width + 0.06

    check()
