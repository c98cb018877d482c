"""The interactive figures of a run's history: what it had found, and how sure it was, by then."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from se_search.report.figures.history_axis import Against, measure
from se_search.report.page.figures.chart import DECIMALS, axis, new_figure, signed
from se_search.report.page.palette import BLUE, GREY, INK, SEEN_THROUGH, VERMILION
from se_search.surrogate.history import History
from se_search.surrogate.posterior_front import MedianInterval

HEIGHT = 360
NAMES = {"params": "parameters", "macs": "MACs", "latency": "latency"}


def draw_found(history: History, against: Against = "trainings") -> go.Figure:
    """Draw the best gain at a cost or less, on average, beside that of a search at random.

    Bands are 95 % intervals. Both curves are of one model, that of all trainings of the run.

    Args:
        history: of the run.
        against: the number of trainings, or their wall time added up.
    """
    xs, name = measure(history, against)
    figure = new_figure(HEIGHT)
    figure.update_layout(
        xaxis=axis(name, rangemode="tozero", showgrid=False),
        yaxis=axis("hypervolume: mean best gain (points)", tickformat=DECIMALS, rangemode="tozero"),
    )
    curves = (
        ([p.at_random for p in history.points], GREY, "dash", "candidates at random"),
        ([p.found for p in history.points], BLUE, "solid", "this search"),
    )
    for series, color, _, _ in curves:
        _draw_band(figure, xs, series, color)
    for series, color, dash, label in curves:
        figure.add_scatter(
            x=xs,
            y=[100 * each.median for each in series],
            mode="lines",
            line={"color": color, "width": 2.4, "dash": dash, "shape": "hv"},
            customdata=[
                f"<b>{label}</b><br>{signed(100 * each.median)} points "
                f"(95 %: {signed(100 * each.low)} to {signed(100 * each.high)})<br>"
                f"after {point.num_trainings:,} trainings"
                for each, point in zip(series, history.points, strict=True)
            ],
            hovertemplate="%{customdata}<extra></extra>",
            name=label,
        )
    return figure


def draw_certainty(history: History, against: Against = "trainings") -> go.Figure:
    """Draw by how much a better candidate may have been missed, as far as was known by then.

    It is the 95 % upper limit by which another trained candidate is better than the one found best
    at its cost. The search is settled once it is below the tolerance.

    Args:
        history: of the run.
        against: the number of trainings, or their wall time added up.
    """
    xs, name = measure(history, against)
    known = [(x, p) for x, p in zip(xs, history.points, strict=True) if p.gap is not None]
    figure = new_figure(HEIGHT)
    figure.update_layout(
        xaxis=axis(name, range=[0, 1.03 * max(xs)], showgrid=False),
        yaxis=axis("may be missed (points, 95 % limit)", rangemode="tozero", tickformat=DECIMALS),
    )
    figure.add_scatter(
        x=[0, max(xs)],
        y=[100 * history.tolerance] * 2,
        mode="lines",
        line={"color": VERMILION, "width": 1.6, "dash": "dot"},
        hoverinfo="skip",
        name=f"settled below {100 * history.tolerance:g} points",
    )
    figure.add_scatter(
        x=[x for x, _ in known],
        y=[100 * (point.gap or 0.0) for _, point in known],
        mode="lines+markers",
        line={"color": INK, "width": 2},
        marker={"color": INK, "size": 5},
        customdata=[
            f"at most {100 * (point.gap or 0.0):.2f} points<br>"
            f"after {point.num_trainings:,} trainings"
            for _, point in known
        ],
        hovertemplate="%{customdata}<extra></extra>",
        name="what may be missed",
    )
    return figure


def _draw_band(
    figure: go.Figure, xs: Sequence[float], series: Sequence[MedianInterval], color: str
) -> None:
    line = {"shape": "hv", "width": 0, "color": color}
    common = {"x": xs, "mode": "lines", "line": line, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(y=[100 * each.low for each in series], **common)
    figure.add_scatter(
        y=[100 * each.high for each in series],
        fill="tonexty",
        fillcolor=color + SEEN_THROUGH,
        **common,
    )
