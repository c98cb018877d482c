"""The figure of samplers: hypervolume against trials, a panel for each table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from se_search.report.figures.style import (
    CYCLE,
    MARGIN,
    ONE_COLUMN,
    TEXT_SIZE,
    TWO_COLUMNS,
    Header,
    add_axes,
    figure_style,
    new_figure,
    plain_ticks,
    shorten,
    write_axis_name,
)

Floats = NDArray[np.float64]

PLOT_HEIGHT = 1.75
ABOVE, BELOW, LEFT, GAP = 0.24, 0.42, 0.58, 0.3
NUM_MARKERS = 8
BAND = 0.15  # opacity


@dataclass(frozen=True)
class NamedCurve:
    """A sampler's hypervolume after each trial: ``(trials,)`` means and interval ends."""

    name: str
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class CurvesFigure:
    """What the figure of samplers shows.

    Attributes:
        panels: the curves by the panel's title; samplers are in one order in all panels.
        y_range: of all panels, so that tables can be compared.
    """

    title: str
    note: str
    panels: Mapping[str, Sequence[NamedCurve]]
    y_range: tuple[float, float]

    @property
    def names(self) -> list[str]:
        """The samplers of all panels."""
        return list(dict.fromkeys(c.name for curves in self.panels.values() for c in curves))


def prepare_curves(
    panels: Mapping[str, Mapping[str, tuple[Floats, Floats, Floats]]], title: str, note: str
) -> CurvesFigure:
    """Return what the figure shows of samplers.

    Args:
        panels: by the panel's title and the sampler: means and interval ends, ``(trials,)`` each.
        title: stands above.
        note: stands below the title.
    """
    named = {
        table: [NamedCurve(name, *curve) for name, curve in curves.items()]
        for table, curves in panels.items()
    }
    curves = [curve for own in named.values() for curve in own]
    # The steep rise of the first tenth of the trials would squash all that follows.
    low = min(float(curve.low[len(curve.low) // 10]) for curve in curves)
    high = max(float(curve.high.max()) for curve in curves)
    pad = 0.04 * (high - low) or 0.01
    return CurvesFigure(title, note, named, (max(0.0, low - pad), high + pad))


def draw_curves(prepared: CurvesFigure) -> Figure:
    """Draw hypervolume against trials, with bands, panels side by side in rows of two."""
    with figure_style():
        looks = dict(zip(prepared.names, _looks(len(prepared.names)), strict=True))
        handles = [
            Line2D([], [], color=color, marker=marker, ls=style, lw=1.1, ms=3, label=name)
            for name, (color, marker, style) in looks.items()
        ]
        columns = min(2, len(prepared.panels))
        whole = TWO_COLUMNS if columns == 2 else ONE_COLUMN
        header = Header(whole, prepared.title, prepared.note, handles)
        rows = -(-len(prepared.panels) // columns)
        panel_height = ABOVE + PLOT_HEIGHT + BELOW
        figure = new_figure(whole, header.height + rows * panel_height)
        header.draw(figure)
        width = (whole - LEFT - 2 * MARGIN - GAP * (columns - 1)) / columns
        for number, (title, curves) in enumerate(prepared.panels.items()):
            row, column = divmod(number, columns)
            top = header.height + row * panel_height + ABOVE
            axes = add_axes(figure, LEFT + column * (width + GAP), top, width, PLOT_HEIGHT)
            axes.set_title(shorten(title, width), loc="left", size=TEXT_SIZE, pad=3)
            axes.set_ylim(prepared.y_range)
            axes.set_xlim(0, max(2, *(len(curve.mean) for curve in curves)))
            for axis in (axes.xaxis, axes.yaxis):
                locator, formatter = plain_ticks(6)
                axis.set_major_locator(locator)
                axis.set_major_formatter(formatter)
            axes.grid(True)
            axes.set_xlabel("trials")
            if column == 0:
                write_axis_name(axes, "share of the hypervolume", LEFT - 0.1)
            else:
                axes.tick_params(labelleft=False)
            for curve in curves:
                color, marker, style = looks[curve.name]
                trials = np.arange(1, len(curve.mean) + 1)
                axes.fill_between(trials, curve.low, curve.high, color=color, alpha=BAND, lw=0)
                axes.plot(
                    trials,
                    curve.mean,
                    color=color,
                    ls=style,
                    lw=1.1,
                    marker=marker,
                    ms=3,
                    markevery=max(1, len(trials) // NUM_MARKERS),
                    label=curve.name,
                )
        return figure


def _looks(count: int) -> list[tuple[str, str, Any]]:
    """Return a colour, a marker and a line style for each of some curves."""
    return [CYCLE[index % len(CYCLE)] for index in range(count)]
