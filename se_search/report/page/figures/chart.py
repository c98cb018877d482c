"""What all interactive figures have in common: fonts, axes, intervals, and names that are safe."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from se_search.report.page.palette import FAINT, INK, LINE, MUTED, PAPER, SURFACE
from se_search.terminal import one_line

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
MINUS = "\N{MINUS SIGN}"
# Of axes of points. As many digits as are needed would write 0 as -2.22e-17, where ticks add up.
DECIMALS = ".4~f"
NARROW = "narrow"  # what a figure changes on a screen that is narrow, in its layout's ``meta``


def plain(text: str) -> str:
    """Return a name as plotly shows it: in one line, and nothing in it is read as HTML."""
    return html.escape(one_line(text), quote=False)


def signed(value: float, decimals: int = 2) -> str:
    """Write a difference with its sign; what rounds to zero is ``+0.00``."""
    return f"{value:+z.{decimals}f}".replace("-", MINUS)


def new_figure(height: int, narrow: dict[str, Any] | None = None, **layout: Any) -> go.Figure:
    """Return an empty figure, as wide as what it stands in and ``height`` pixels tall.

    Args:
        height: in pixels.
        narrow: changes of the layout, by their paths as ``xaxis.nticks``, for a narrow screen.
        layout: further settings of plotly's.
    """
    figure = go.Figure()
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        autosize=True,
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        margin={"l": 62, "r": 16, "t": 42, "b": 52},
        hoverlabel={"bgcolor": SURFACE, "bordercolor": LINE, "font": {"color": INK, "size": 13}},
        hovermode="closest",
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "bgcolor": PAPER,
            "font": {"color": MUTED, "size": 12.5},
        },
        meta={NARROW: narrow or {}},
        **layout,
    )
    return figure


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return the settings of an axis with a name, which says the unit."""
    return {
        "title": {"text": title, "font": {"size": 13, "color": MUTED}, "standoff": 10},
        "gridcolor": FAINT,
        "linecolor": LINE,
        "tickfont": {"color": MUTED, "size": 12},
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        **more,
    }


def error_bars(
    values: Sequence[float],
    lows: Sequence[float | None],
    highs: Sequence[float | None],
    color: str,
    thickness: float = 1.6,
) -> dict[str, Any]:
    """Return bars from ``lows`` to ``highs``; where an end is not known there is none."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [
            0.0 if high is None else max(0.0, high - value)
            for value, high in zip(values, highs, strict=True)
        ],
        "arrayminus": [
            0.0 if low is None else max(0.0, value - low)
            for value, low in zip(values, lows, strict=True)
        ],
        "color": color,
        "thickness": thickness,
        "width": 0,
    }
