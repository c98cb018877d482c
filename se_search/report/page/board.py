"""The figures of a page for Optuna's dashboard, where they stand without a word beside them."""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go

from se_search.report.figures.forest import Forest
from se_search.report.page.contents import Page
from se_search.report.page.draw import draw_figures
from se_search.report.page.palette import INK

HEIGHT = 450  # pixels that optuna-dashboard 0.21 has for a figure
MOST_ROWS = 18  # that can be read there
TITLE_HEIGHT, LEGEND_ROW = 34, 22  # pixels; some legends take a row more here
LEGEND_SIZE = 11  # pixels of its letters, so that two columns fit into half a window of 1280
# What the figures are of, in the order in which they are to be read, by the beginnings of their
# names. Half a window must hold a title and plotly's buttons; the history against time is left out.
TITLES = {
    "front-": "The front: gain and its cost (95 %)",
    "places": "Gain of SE by place (95 %)",
    "effects": "Effects of places and widths (95 %)",
    "found-trainings": "History: what has been found",
    "certainty-trainings": "History: what may be missed",
    "confirmed": "Confirmation in fresh replicates (95 %)",
}


def draw_board(page: Page) -> dict[str, go.Figure]:
    """Return the figures of a dashboard, with titles, by their names, in reading order."""
    drawn = draw_figures(replace(page, effects=page.effects and shorten(page.effects)))
    figures = {}
    for beginning, title in TITLES.items():
        for name, data in drawn.items():
            if name.startswith(beginning):
                figure = figures[name] = go.Figure(data)
                figure.update_layout(
                    height=HEIGHT,
                    margin={"t": figure.layout.margin.t + TITLE_HEIGHT},
                    title={
                        "text": f"<b>{title}</b>",
                        "font": {"size": 15, "color": INK},
                        "x": 0,
                        "xanchor": "left",
                        "y": 1,
                        "yref": "container",
                        "yanchor": "top",
                        "pad": {"t": 12, "l": 12},
                    },
                )
                if beginning in ("front-", "confirmed"):
                    figure.layout.margin.t += LEGEND_ROW
                    figure.layout.legend.font.size = LEGEND_SIZE
    return figures


def shorten(forest: Forest) -> Forest:
    """Return a forest plot of at most ``MOST_ROWS`` rows: of each place the first one, if need be.

    A plot that is shortened says so on its axis.
    """
    if sum(len(section.rows) for section in forest.sections) <= MOST_ROWS:
        return forest
    left, sections = MOST_ROWS, []
    for section in forest.sections:
        rows = tuple(row for row in section.rows if row.group)[:left]
        left -= len(rows)
        if rows:
            sections.append(replace(section, rows=rows))
    return replace(forest, sections=tuple(sections), axis=f"{forest.axis}; the report has all rows")
