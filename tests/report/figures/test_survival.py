"""The figure of survival: staircases of shares against trainings."""

import pytest
from support.figures import check_texts, lines_of, words_of

from se_search.report.figures.survival import draw_survival, prepare_survival


def prepare(panels, horizon=100):
    return prepare_survival(panels, horizon, "a title", "a note")


def test_a_staircase_begins_with_all_searches_and_ends_where_they_are_censored():
    figure = draw_survival(prepare({"gap": {"pareto": [(20, 0.6), (40, 0.1)]}}))
    check_texts(figure)
    (axes,) = figure.axes
    assert lines_of(axes, "pareto") == [[(0, 1), (20, 0.6), (40, 0.1), (100, 0.1)]]
    (line,) = [line for line in axes.get_lines() if line.get_label() == "pareto"]
    assert line.get_drawstyle() == "steps-post"  # a share holds until it changes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("trainings", "share of searches")


def test_a_line_marks_the_share_at_which_the_median_is_read():
    (axes,) = draw_survival(prepare({"gap": {"pareto": [(20, 0.6)]}})).axes
    ((left, right),) = lines_of(axes, "half")
    assert left[1] == right[1] == 0.5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_arm_has_one_look_in_all_panels_and_no_two_look_alike(count):
    arms = {f"arm {n}": [(10.0 * (n + 1), 0.5)] for n in range(6)}
    panels = {f"a panel with a long name, number {n}": arms for n in range(count)}
    figure = draw_survival(prepare(panels))
    check_texts(figure)
    assert len(figure.axes) == count
    assert set(arms) <= set(words_of(figure))
    looks = [
        {
            line.get_label(): (line.get_color(), line.get_linestyle())
            for line in axes.get_lines()
            if line.get_label() in arms
        }
        for axes in figure.axes
    ]
    assert all(own == looks[0] for own in looks)
    assert len({color for color, _ in looks[0].values()}) == 6
