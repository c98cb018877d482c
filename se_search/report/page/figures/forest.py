"""Interactive forest plots, of effects and of confirmations: differences about a line at zero."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from se_search.report.figures import style
from se_search.report.figures.forest import Forest, ForestRow
from se_search.report.page.figures.chart import (
    DECIMALS,
    axis,
    error_bars,
    new_figure,
    plain,
    signed,
)
from se_search.report.page.palette import (
    BLUE,
    FAINT,
    GREY,
    INK,
    MUTED,
    PAPER,
    PURPLE,
)

ROW_HEIGHT, NARROW_ROW_HEIGHT = 27, 44  # pixels
SERIES_HEIGHT = 13  # pixels, of each further mark in a row where these lie below each other
FRAME = 100  # pixels, of the legend and of the axis
CHARACTER = 6.8  # pixels that one takes on average
# In the page what was found is blue; the figures for print have vermilion there.
COLORS = {style.VERMILION: BLUE, style.BLUE: PURPLE, style.GREY: GREY}
SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up"}


def draw_forest(forest: Forest) -> go.Figure:
    """Draw each difference as a mark with its interval, in rows about a line at zero.

    On a narrow screen the name of a row stands above its mark, and not beside it.
    """
    lines = _list_lines(forest)
    places = {id(line): number for number, line in enumerate(lines)}
    rows = [line for line in lines if isinstance(line, ForestRow)]
    wide, narrow = _annotate(lines, 15 if not forest.spread else 30)
    widest = max((len(row.texts[0]) for row in rows if row.texts), default=0)
    more = SERIES_HEIGHT * (len(forest.series) - 1) if forest.spread else 0
    figure = new_figure(
        FRAME + (ROW_HEIGHT + more) * max(1, len(lines)),
        narrow={
            "height": FRAME + (NARROW_ROW_HEIGHT + more) * max(1, len(lines)),
            "margin.l": 10,
            "margin.r": 10,
            "yaxis.showticklabels": False,
            "annotations": narrow,
        },
        annotations=wide,
        shapes=[
            _line(0, 1, INK, 1.2, along="y"),
            *(_line(places[id(row)] - 0.5, 1, FAINT, 1, along="x") for row in rows if row.group),
        ],
    )
    figure.update_layout(
        margin={"r": 16 + round(CHARACTER * widest), "t": 56},
        xaxis=axis(forest.axis, range=list(forest.x_range), tickformat=DECIMALS, side="bottom"),
        yaxis=axis(
            "",
            range=[len(lines) - 0.5, -0.5],
            tickvals=[places[id(row)] for row in rows],
            ticktext=[_name(row) for row in rows],
            showgrid=False,
            ticks="",
        ),
    )
    middle = (len(forest.series) - 1) / 2
    nothing: list[Any] = [None]  # a series without a mark is in the legend, too
    for index, series in enumerate(forest.series):
        own = [(row, row.estimates[index]) for row in rows]
        known = [(row, bar) for row, bar in own if bar is not None]
        color = COLORS.get(series.color, series.color)
        values = [bar.value for _, bar in known]
        heights = [places[id(row)] + forest.spread * (index - middle) for row, _ in known]
        figure.add_scatter(
            x=values or nothing,
            y=heights or nothing,
            error_x=error_bars(
                values, [bar.low for _, bar in known], [bar.high for _, bar in known], color
            ),
            mode="markers",
            marker={
                "size": 9,
                "symbol": SYMBOLS[series.marker],
                "color": color if series.is_filled else PAPER,
                "line": {"color": color, "width": 1.8},
            },
            customdata=[
                f"<b>{_name(row)}</b><br>{plain(series.label)}<br>"
                + _tell(bar.value, bar.low, bar.high)
                + "".join(
                    f"<br>{plain(heading)}: {plain(text)}"
                    for heading, text in zip(forest.columns, row.texts, strict=True)
                )
                for row, bar in known
            ],
            hovertemplate="%{customdata}<extra></extra>",
            name=plain(series.label),
            showlegend=True,
        )
    return figure


def _list_lines(forest: Forest) -> list[ForestRow | str]:
    lines: list[ForestRow | str] = []
    for section in forest.sections:
        if section.heading:
            lines.append(section.heading)
        lines += section.rows
    return lines


def _annotate(
    lines: list[ForestRow | str], above: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what is written beside the marks on a wide screen, and above them on a narrow one.

    Args:
        lines: rows and headings.
        above: how many pixels above the middle of its row a name stands on a narrow screen.
    """
    wide, narrow = [], []
    group = ""
    for number, line in enumerate(lines):
        common = {"y": number, "yref": "y", "xref": "paper", "showarrow": False}
        if isinstance(line, str):
            heading = {
                **common,
                "x": 0,
                "xanchor": "left",
                "text": f"<b>{plain(line)}</b>",
                "font": {"color": MUTED, "size": 12.5},
                "bgcolor": PAPER,
            }
            wide.append(heading)
            narrow.append(heading)
            continue
        group = line.group or group
        value = plain(line.texts[0]) if line.texts else ""
        wide.append(
            {
                **common,
                "x": 1.01,
                "xanchor": "left",
                "text": value,
                "font": {"color": INK, "size": 12},
            }
        )
        name = f"{plain(group)} {plain(line.name)}".strip()
        narrow.append(
            {
                **common,
                "x": 0,
                "xanchor": "left",
                "yshift": above,
                "text": f"{name}  <b>{value}</b>",
                "font": {"color": INK, "size": 11.5},
                "bgcolor": PAPER,
            }
        )
    return wide, narrow


def _name(row: ForestRow) -> str:
    return f"<b>{plain(row.group)}</b>  {plain(row.name)}" if row.group else plain(row.name)


def _tell(value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"{signed(value)} points"
    return f"{signed(value)} points (95 %: {signed(low)} to {signed(high)})"


def _line(at: float, end: float, color: str, width: float, *, along: str) -> dict[str, Any]:
    across = "x" if along == "y" else "y"
    return {
        "type": "line",
        f"{across}0": at,
        f"{across}1": at,
        f"{along}0": 0,
        f"{along}1": end,
        f"{along}ref": "paper",
        "line": {"color": color, "width": width},
        "layer": "below",
    }
