"""Interactive figures of gates: mean gate by channel, of all images and of a few classes."""

from __future__ import annotations

import plotly.graph_objects as go

from se_search.report.figures.gates import GatePanel
from se_search.report.figures.style import CYCLE
from se_search.report.page.figures.chart import axis, new_figure, plain
from se_search.report.page.palette import GREY

HEIGHT = 300  # pixels
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")


def draw_panel(panel: GatePanel, y_range: tuple[float, float]) -> go.Figure:
    """Draw the lines of one block.

    Args:
        panel: the block.
        y_range: of all blocks, so that they can be compared.
    """
    profile = panel.profile
    figure = new_figure(HEIGHT)
    figure.update_layout(
        xaxis=axis(f"channel (of {profile.num_channels:,})"),
        yaxis=axis("mean gate", range=list(y_range)),
    )
    channels = list(profile.channels)
    figure.add_scatter(
        x=channels,
        y=list(profile.mean),
        mode="lines",
        line={"color": GREY, "width": 5},
        opacity=0.4,
        name="all images",
        hovertemplate="%{y:.3f}<extra>all images</extra>",
    )
    for number, (name, values) in enumerate(profile.by_class.items()):
        look = number % len(CYCLE)
        figure.add_scatter(
            x=channels,
            y=list(values),
            mode="lines+markers",
            line={"color": CYCLE[look][0], "width": 1.4, "dash": DASHES[look]},
            marker={"size": 4, "symbol": SYMBOLS[look]},
            name=plain(name),
            hovertemplate=f"%{{y:.3f}}<extra>{plain(name)}</extra>",
        )
    return figure
