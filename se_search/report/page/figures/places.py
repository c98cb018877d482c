"""The interactive figure of places: what SE in each stage or block gains, along the network."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from se_search.report.page.figures.chart import (
    DECIMALS,
    axis,
    error_bars,
    new_figure,
    plain,
    signed,
)
from se_search.report.page.palette import BLUE, GREY, LINE, PAPER, PURPLE, VERMILION
from se_search.report.places import PlaceGain, Verdict

HEIGHT = 340
LOOKS: dict[Verdict, tuple[str, str, str]] = {  # colour, symbol, name in the legend
    "helps": (BLUE, "triangle-up", "SE there surely helps"),
    "harms": (VERMILION, "triangle-down", "SE there surely harms"),
    "depends": (PURPLE, "diamond", "depends on the kind of SE"),
    "no effect known": (GREY, "circle", "no effect known"),
}
MANY = 12  # places: names of more are written upright
NARROW_CHARACTERS = 36  # of all names side by side on a narrow screen


def draw_places(places: Sequence[PlaceGain]) -> go.Figure:
    """Draw the gain of SE in each place with its 95 % interval, in the order of the network."""
    names = [plain(each.place) for each in places]
    has_room = sum(map(len, names)) <= NARROW_CHARACTERS
    figure = new_figure(HEIGHT, narrow={} if has_room else {"xaxis.tickangle": -90})
    figure.update_layout(
        xaxis=axis(
            "",
            type="category",
            categoryorder="array",
            categoryarray=names,
            range=[-0.5, len(names) - 0.5],
            tickangle=-90 if len(names) > MANY else 0,
            showgrid=False,
        ),
        yaxis=axis("gain over no SE there (points)", tickformat=DECIMALS),
        shapes=[
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": 0,
                "y1": 0,
                "line": {"color": LINE, "width": 1.5},
                "layer": "below",
            }
        ],
    )
    for verdict, (color, symbol, label) in LOOKS.items():
        own = [(name, each) for name, each in zip(names, places, strict=True)]
        own = [(name, each) for name, each in own if each.verdict == verdict]
        if not own:
            continue
        gains = [each.gain for _, each in own]
        is_sure = verdict != "no effect known"
        figure.add_scatter(
            x=[name for name, _ in own],
            y=gains,
            error_y=error_bars(
                gains, [each.low for _, each in own], [each.high for _, each in own], color, 2.2
            ),
            mode="markers",
            marker={
                "size": 14 if is_sure else 10,
                "symbol": symbol,
                "color": color if is_sure else PAPER,
                "line": {"color": color, "width": 2},
            },
            customdata=[_describe(each) for _, each in own],
            hovertemplate="%{customdata}<extra></extra>",
            name=label,
            showlegend=True,
        )
    return figure


def _describe(place: PlaceGain) -> str:
    cost = "" if place.cost_pct is None else f"<br>adds {place.cost_pct:+.2f} % on average"
    return (
        f"<b>{plain(place.place)}</b>: {place.verdict}<br>{signed(place.gain)} points "
        f"(95 %: {signed(place.low)} to {signed(place.high)}){cost}"
    )
