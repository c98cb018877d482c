"""Numbers stand near their points, and on nothing."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.figures import lines_of

from se_search.report.figures.point_numbers import number_points
from se_search.report.figures.style import add_axes, figure_style, new_figure


def number(points, feet=None, ends=None):
    """Return axes of 5 x 2.5 inches whose points are numbered."""
    with figure_style():
        axes = add_axes(new_figure(6, 3.5), 0.5, 0.5, 5, 2.5)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        numbers = [str(n) for n, _ in enumerate(points, start=1)]
        number_points(axes, points, numbers, feet or points, ends or points)
    return axes


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.9)), min_size=1, max_size=25))
def test_no_number_lies_on_another_or_on_a_point(points):
    axes = number(points)
    texts = axes.texts
    assert [text.get_text() for text in texts] == [str(n) for n in range(1, len(points) + 1)]
    renderer = axes.figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in texts]
    for one, other in combinations(boxes, 2):
        assert not one.padded(-1).overlaps(other.padded(-1))
    for x, y in axes.transData.transform(points):
        assert not any(box.contains(x, y) for box in boxes)


def test_a_point_alone_has_its_number_right_above_the_end_of_its_bar():
    axes = number([(0.5, 0.5)], feet=[(0.5, 0.3)], ends=[(0.5, 0.7)])
    x, y = axes.texts[0].get_position()
    assert x == pytest.approx(0.5)
    assert 0.7 < y < 0.8
    assert not lines_of(axes, "leader")


def test_a_number_that_stands_beside_its_bar_has_a_line_to_its_end():
    points = [(0.5 + n / 1000, 0.9) for n in range(9)]
    axes = number(points, feet=[(x, 0.1) for x, _ in points], ends=[(x, 0.99) for x, _ in points])
    leaders = lines_of(axes, "leader")
    assert leaders
    for _, end in leaders:
        assert any(end == pytest.approx((x, 0.99)) for x, _ in points)
