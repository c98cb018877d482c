"""Forest plots: rows of differences with intervals about a line at zero."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.figures import check_texts, greyness, lines_of, shown_texts, words_of

from se_search.report.figures.forest import Bar, Forest, ForestRow, Section, Series, draw_forest
from se_search.report.figures.style import TWO_COLUMNS

ONE, TWO = Series("ours", "o", "#d55e00"), Series("theirs", "s", "#0072b2", is_filled=False)


def make_forest(*rows, series=(ONE,), **changes):
    forest = Forest(
        title="a title",
        note="a note",
        axis="difference (points)",
        zero="no SE",
        series=series,
        sections=(Section("", rows),),
        columns=("gain (95 %)",),
    )
    return replace(forest, **changes)


def row(value, low=None, high=None, name="stage2", **changes):
    return ForestRow(name, (Bar(value, low, high),), ("a text",), **changes)


def marks_of(figure):
    """Return each mark (x, y, marker, is filled) and each bar ((x, x), y) of a plot."""
    (axes,) = figure.axes
    marks, bars = [], []
    for line in axes.get_lines():
        if line.get_label() == "zero" or len(set(line.get_ydata())) > 1:
            continue
        xs, ys = line.get_data()
        if len(xs) == 1:
            is_filled = line.get_markerfacecolor() != "white"
            marks.append((float(xs[0]), float(ys[0]), line.get_marker(), is_filled))
        elif line.get_transform() == axes.transData:
            bars.append((tuple(map(float, xs)), float(ys[0])))
    return marks, bars


def test_each_difference_has_a_mark_at_its_value_and_a_bar_over_its_interval():
    figure = draw_forest(make_forest(row(0.5, -0.25, 1.25), row(-1.0, -1.5, -0.5)))
    check_texts(figure)
    marks, bars = marks_of(figure)
    assert marks == [(0.5, 0.0, "o", True), (-1.0, 1.0, "o", True)]
    assert bars == [((-0.25, 1.25), 0.0), ((-1.5, -0.5), 1.0)]


def test_a_difference_whose_interval_is_not_known_has_no_bar():
    assert marks_of(draw_forest(make_forest(row(0.5)))) == ([(0.5, 0.0, "o", True)], [])


def test_a_difference_that_is_not_known_has_no_mark_and_still_its_row():
    figure = draw_forest(make_forest(ForestRow("unknown", (None,), ("not known",)), row(1.0)))
    assert marks_of(figure)[0] == [(1.0, 1.0, "o", True)]
    assert {"unknown", "not known"} <= set(words_of(figure))


def test_the_line_at_zero_is_in_the_picture_and_named():
    figure = draw_forest(make_forest(row(50.0, 49.0, 51.0)))
    (axes,) = figure.axes
    (zero,) = lines_of(axes, "zero")
    assert {x for x, _ in zero} == {0.0}
    assert axes.get_xlim()[0] < 0 < 51 < axes.get_xlim()[1]
    (label,) = [box for box in shown_texts(figure) if box[0] == "no SE"]
    assert (label[1] + label[3]) / 2 == pytest.approx(axes.transData.transform((0, 0))[0], abs=2)


def test_series_of_one_row_lie_apart_and_differ_in_shape_filling_and_grey():
    both = ForestRow("a", (Bar(0.3, 0.0, 0.6), Bar(0.3, 0.0, 0.6)), ("",))
    marks, bars = marks_of(draw_forest(make_forest(both, series=(ONE, TWO), spread=0.3)))
    (_, y, marker, is_filled), (_, other_y, other_marker, is_other_filled) = marks
    assert other_y - y == pytest.approx(0.3)
    assert (marker, is_filled) != (other_marker, is_other_filled)
    assert abs(greyness(ONE.color) - greyness(TWO.color)) > 0.1
    assert [height for _, height in bars] == [y, other_y]


def test_the_axis_has_the_name_that_says_the_unit_and_signs_at_its_ticks():
    (axes,) = draw_forest(make_forest(row(0.5, -0.5, 1.0))).axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert axes.get_xlabel() == "difference (points)"
    assert {"0", "+0.5", "−0.5"} <= set(labels)


def test_without_rows_the_figure_says_so():
    figure = draw_forest(make_forest(sections=()))
    check_texts(figure)
    assert "nothing to compare yet" in words_of(figure)


def test_headings_and_groups_stand_before_their_rows():
    rows = (row(0.1, name="any SE", group="stage2"), row(0.2, name="width 4"))
    forest = make_forest(sections=(Section("gains", rows), Section("a long heading " * 9, rows)))
    figure = draw_forest(forest)
    check_texts(figure)
    heights = {text: (bottom + top) / 2 for text, _, bottom, _, top in shown_texts(figure)}
    assert heights["gains"] > heights["stage2"] == pytest.approx(heights["any SE"], abs=1)
    assert [(x, y) for x, y, *_ in marks_of(figure)[0]] == [(0.1, 1), (0.2, 2), (0.1, 4), (0.2, 5)]


def test_each_name_stands_beside_its_own_mark():
    figure = draw_forest(make_forest(*(row(n / 7, name=f"name {n}") for n in range(9))))
    (axes,) = figure.axes
    heights = {text: (bottom + top) / 2 for text, _, bottom, _, top in shown_texts(figure)}
    for number in range(9):
        assert heights[f"name {number}"] == pytest.approx(
            axes.transData.transform((0, number))[1], abs=4
        )


HARD = {
    "one row": [row(0.0)],
    "equal values": [row(0.5, 0.5, 0.5)] * 4,
    "many rows": [row(math.sin(n), math.sin(n) - 1, math.sin(n) + 1) for n in range(60)],
    "long names": [row(0.1, -1.0, 1.0, name="s2.1-2:identity16+max+bias " * 9)] * 3,
    "long groups": [row(0.1, name="width 4", group="mean of slots " * 9)] * 3,
    "huge": [row(4e5, -1e6, 1e6)],
    "tiny": [row(4e-7, -1e-6, 1e-6)],
}


@pytest.mark.parametrize("case", HARD)
def test_no_text_lies_on_another_or_is_cut_off(case):
    figure = draw_forest(make_forest(*HARD[case]))
    check_texts(figure)
    assert figure.get_figwidth() == TWO_COLUMNS


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.floats(-100, 100)] * 3), min_size=1, max_size=9))
def test_the_range_holds_zero_and_all_values_and_ends(values):
    forest = make_forest(*(row(*sorted(v)[1:2], min(v), max(v)) for v in values))
    low, high = forest.x_range
    assert low < min(0.0, *map(min, values))
    assert high > max(0.0, *map(max, values))


def test_a_difference_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not all finite"):
        _ = make_forest(row(math.nan)).x_range
