"""Draws how samplers fare on tables: hypervolume against trials, a panel for each table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from se_search.report.figures.canvas import (
    FAINT,
    GREY,
    INK,
    Canvas,
    Color,
    linear_scale,
    spread_out,
)
from se_search.report.figures.pareto_front import tick_values

PANEL_WIDTH, PANEL_HEIGHT = 620, 420
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 56, 128, 56, 52
HEADER_HEIGHT = 66
ROW_HEIGHT = 16
BAND_OPACITY = 0.18
# Okabe and Ito (2008): told apart by colour-blind readers, too.
COLORS: tuple[Color, ...] = (
    (213, 94, 0),
    (0, 114, 178),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
)


@dataclass(frozen=True, slots=True)
class Curve:
    """A sampler's hypervolume after each trial: ``(trials,)`` means over runs and interval ends."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def draw_curves(
    path: Path, panels: Mapping[str, Mapping[str, Curve]], title: str, note: str
) -> None:
    """Draw hypervolume against trials, with bands, each curve's name at its end.

    Args:
        path: the PNG that is written.
        panels: curves by sampler, by the panel's title.
        title: stands above.
        note: stands below the title, smaller.
    """
    num_columns = min(2, len(panels))
    num_rows = -(-len(panels) // num_columns)
    canvas = Canvas(PANEL_WIDTH * num_columns, HEADER_HEIGHT + PANEL_HEIGHT * num_rows)
    canvas.text(20, 24, title, "lm", size=16)
    canvas.text(20, 48, note, "lm", size=11, color=GREY)
    low = min(_start(curve) for curves in panels.values() for curve in curves.values())
    high = max(curve.high.max() for curves in panels.values() for curve in curves.values())
    # All panels have one scale, so that tables can be compared.
    y_range = (max(0.0, low - 0.02), min(1.0, float(high)) + 0.005)
    for index, (name, curves) in enumerate(panels.items()):
        row, column = divmod(index, num_columns)
        left, top = PANEL_WIDTH * column, HEADER_HEIGHT + PANEL_HEIGHT * row
        _draw_panel(_Panel(canvas, left, top), name, curves, y_range)
    canvas.save(path)


@dataclass(frozen=True, slots=True)
class _Panel:
    canvas: Canvas
    x: int
    y: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the plot."""
        right = self.x + PANEL_WIDTH - MARGIN_RIGHT
        bottom = self.y + PANEL_HEIGHT - MARGIN_BOTTOM
        return self.x + MARGIN_LEFT, self.y + MARGIN_TOP, right, bottom


def _start(curve: Curve) -> float:
    """Return where a curve stands after a tenth of the trials: the steep rise is cut off."""
    return float(curve.low[len(curve.low) // 10])


def _draw_panel(
    panel: _Panel, name: str, curves: Mapping[str, Curve], y_range: tuple[float, float]
) -> None:
    left, top, right, bottom = panel.box
    num_trials = max(len(curve.mean) for curve in curves.values())
    x_of = linear_scale(0, num_trials, left, right)
    y_of = linear_scale(*y_range, bottom, top)
    _draw_axes(panel, x_of, y_of, num_trials, y_range, name)
    colored = list(zip(curves.items(), _cycle(len(curves)), strict=True))
    for (_, curve), color in colored:
        lower = _visible(curve.low, x_of, y_of, bottom)
        upper = _visible(curve.high, x_of, y_of, bottom)
        panel.canvas.area([*lower, *reversed(upper)], color, BAND_OPACITY)
    for (_, curve), color in colored:
        points = [point for point in _visible(curve.mean, x_of, y_of, bottom) if point[1] < bottom]
        panel.canvas.line(points, color, width=2)
    ranked = sorted(colored, key=lambda entry: -entry[0][1].mean[-1])
    ends = [y_of(float(curve.mean[-1])) for (_, curve), _ in ranked]
    heights = spread_out(ends, top, bottom, ROW_HEIGHT)
    for ((sampler, curve), color), end, height in zip(ranked, ends, heights, strict=True):
        panel.canvas.line([(right, end), (right + 12, height)], color)
        text = f"{sampler} {curve.mean[-1]:.3f}"
        panel.canvas.text(right + 16, height, text, "lm", size=12, color=color)


def _draw_axes(
    panel: _Panel,
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
    num_trials: int,
    y_range: tuple[float, float],
    name: str,
) -> None:
    left, top, right, bottom = panel.box
    for value in tick_values(0, num_trials, 8):
        panel.canvas.line([(x_of(value), top), (x_of(value), bottom)], FAINT)
        panel.canvas.text(x_of(value), bottom + 7, f"{value:g}", "mt")
    for value in tick_values(*y_range, 8):
        panel.canvas.line([(left, y_of(value)), (right, y_of(value))], FAINT)
        panel.canvas.text(left - 7, y_of(value), f"{value:.4g}", "rm")
    panel.canvas.line([(left, top), (left, bottom), (right, bottom)], INK)
    panel.canvas.text((left + right) / 2, bottom + 34, "trials", "mm", size=12)
    panel.canvas.text(left - 36, top - 30, name, "lm", size=14)
    panel.canvas.text(left - 36, top - 12, "share of the table's hypervolume", "lm", size=11)


def _visible(
    heights: NDArray[np.float64],
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
    bottom: float,
) -> list[tuple[float, float]]:
    """Return a curve's points, those below the plot moved to its edge."""
    return [
        (x_of(trial), min(y_of(height), bottom))
        for trial, height in enumerate(heights.tolist(), start=1)
    ]


def _cycle(count: int) -> list[Color]:
    return [COLORS[index % len(COLORS)] for index in range(count)]
