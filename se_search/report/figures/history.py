"""The figure of a run's history: what it had found by then, beside candidates at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from se_search.report.figures.history_axis import Against, measure
from se_search.report.figures.style import (
    BLUE,
    GREY,
    MARGIN,
    TWO_COLUMNS,
    Header,
    add_axes,
    figure_style,
    new_figure,
    plain_ticks,
    write_axis_name,
)
from se_search.surrogate.history import History
from se_search.surrogate.posterior_front import MedianInterval

PLOT_HEIGHT = 2.4
ABOVE, BELOW, LEFT = 0.12, 0.46, 0.5
BAND = 0.15  # opacity
NOTE = "Bands are 95 % intervals. Both curves are of one model, that of all trainings of the run."


@dataclass(frozen=True, slots=True)
class HistoryCurve:
    """The best gain at a cost or less, on average, of what had been trained by then.

    Attributes:
        name: of the curve.
        is_search: whether it is of the run; otherwise it is of candidates drawn at random.
        gains: after each point; shares.
    """

    name: str
    is_search: bool
    gains: tuple[MedianInterval, ...]


@dataclass(frozen=True, slots=True)
class HistoryFigure:
    """What the figure of a history shows.

    Attributes:
        title: stands above.
        axis: name of the horizontal axis, with its unit.
        xs: position of each point.
        curves: what is drawn, the lowest first.
    """

    title: str
    axis: str
    xs: tuple[float, ...]
    curves: tuple[HistoryCurve, ...]


def prepare_history(
    history: History, against: Against = "trainings", title: str = ""
) -> HistoryFigure:
    """Return what the figure shows.

    Args:
        history: of the run.
        against: the number of trainings, or their wall time added up.
        title: stands above; empty: nothing does.
    """
    xs, axis = measure(history, against)
    found = tuple(point.found for point in history.points)
    at_random = tuple(point.at_random for point in history.points)
    return HistoryFigure(
        title,
        axis,
        tuple(xs),
        (
            HistoryCurve("candidates at random", False, at_random),
            HistoryCurve("this search", True, found),
        ),
    )


def draw_history(prepared: HistoryFigure) -> Figure:
    """Draw two curves with their bands, in steps: a gain holds until the next training ends."""
    with figure_style():
        handles = [Line2D([], [], **_look(curve), label=curve.name) for curve in prepared.curves]
        header = Header(TWO_COLUMNS, prepared.title, NOTE, handles)
        figure = new_figure(TWO_COLUMNS, header.height + ABOVE + PLOT_HEIGHT + BELOW)
        header.draw(figure)
        axes = add_axes(
            figure, LEFT, header.height + ABOVE, TWO_COLUMNS - LEFT - 2 * MARGIN, PLOT_HEIGHT
        )
        for curve in prepared.curves:
            lows, medians, highs = (
                [100 * getattr(gain, end) for gain in curve.gains]
                for end in ("low", "median", "high")
            )
            look = _look(curve)
            axes.fill_between(
                prepared.xs, lows, highs, step="post", color=look["color"], alpha=BAND, lw=0
            )
            axes.step(prepared.xs, medians, where="post", label=curve.name, **look)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        for each in (axes.xaxis, axes.yaxis):
            locator, formatter = plain_ticks(6)
            each.set_major_locator(locator)
            each.set_major_formatter(formatter)
        axes.grid(visible=True, axis="y")
        axes.set_xlabel(prepared.axis)
        write_axis_name(axes, "mean best gain, points", LEFT - 0.1)
        return figure


def _look(curve: HistoryCurve) -> dict[str, Any]:
    if curve.is_search:
        return {"color": BLUE, "ls": "-", "lw": 1.4}
    return {"color": GREY, "ls": "--", "lw": 1.2}
