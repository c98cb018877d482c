"""Numbers beside points, each where there is room for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from se_search.report.figures.style import GREY, RESOLUTION, SMALL_SIZE, line_height, text_width

Floats = NDArray[np.float64]
Points = Sequence[tuple[float, float]]

DOT, CAP, BAR = 0.04, 0.03, 0.01  # half the width of a marker and of a bar, inches
BESIDE = 0.03  # inches from which on a line leads to a number


def number_points(
    axes: Axes, points: Points, numbers: Sequence[str], feet: Points, ends: Points
) -> None:
    """Write a number to each point, as near above the ends of their bars as there is room.

    No number lies on another, on a point or on a bar. A thin grey line leads to those that stand
    beside their bar.

    Args:
        axes: with its limits and its scale.
        points: (x, y).
        numbers: of the points.
        feet: lower ends of the points' bars; a point that has none is its own.
        ends: upper ends of the points' bars; a point that has none is its own.
    """
    dots, lows, highs = (
        axes.transData.transform(each) / RESOLUTION for each in (points, feet, ends)
    )
    inside = np.concatenate([axes.bbox.min, axes.bbox.max]) / RESOLUTION
    placed = [
        *np.column_stack([dots - DOT, dots + DOT]),
        *np.column_stack([lows - BAR, highs + np.array([BAR, 0.005])]),
        *np.column_stack([highs - np.array([CAP, 0.01]), highs + np.array([CAP, 0.005])]),
    ]
    height = line_height(SMALL_SIZE)
    for number, end in zip(numbers, highs, strict=True):
        half = np.array([text_width(number, SMALL_SIZE) + 0.03, height]) / 2
        middle = _find_room(end, half, placed, inside)
        placed.append(np.concatenate([middle - half, middle + half]))
        corners = axes.transData.inverted().transform([middle * RESOLUTION, end * RESOLUTION])
        (x, y), (end_x, end_y) = corners
        axes.text(x, y, number, ha="center", va="center", size=SMALL_SIZE, zorder=5)
        if abs(middle[0] - end[0]) > BESIDE:
            axes.plot([x, end_x], [y, end_y], color=GREY, lw=0.3, zorder=3.5, label="leader")


def _find_room(end: Floats, half: Floats, placed: Sequence[Floats], inside: Floats) -> Floats:
    """Return the middle of the nearest free box above a point.

    All in inches. If nothing is free within reach, the box lies right above the point.

    Args:
        end: the point.
        half: half the box's width and height.
        placed: left, bottom, right and top of each box that is taken.
        inside: left, bottom, right and top of the plot.
    """
    boxes = np.array(placed)
    nearest = end + np.array([0, half[1]])
    for offset in _OFFSETS:
        middle = np.asarray(nearest + offset)
        low, high = middle - half, middle + half
        if (low < inside[:2]).any() or (high > inside[2:]).any():
            continue
        if not ((low < boxes[:, 2:]) & (high > boxes[:, :2])).all(axis=1).any():
            return middle
    return np.asarray(nearest)


_REACH = 30
# Near ones first; up is better than down, and both are better than sideways.
_OFFSETS = sorted(
    ((0.045 * column, 0.03 * row) for column, row in product(range(-_REACH, _REACH + 1), repeat=2)),
    key=lambda offset: 1.6 * abs(offset[0]) + abs(offset[1]) * (1 if offset[1] > 0 else 2),
)
