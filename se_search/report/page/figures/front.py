"""The interactive figure of the front: gain over the plain network against each cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from se_search.report.answer import COST_NAMES
from se_search.report.figures.front_points import FrontFigure, Member, Panel
from se_search.report.page.figures.chart import (
    DECIMALS,
    axis,
    error_bars,
    new_figure,
    plain,
    signed,
)
from se_search.report.page.palette import BLUE, GREY, INK, LINE, MUTED, PAPER, SEEN_THROUGH

HEIGHT = 440
NARROW_LEGEND = {"legend.font.size": 11}  # so that two of its names stand beside each other
ADDED_NAMES = {
    "params": "added parameters (%)",
    "macs": "added MACs (%)",
    "latency": "added latency (%)",
}
GAP = 0.06  # between two panels, as a share of the width


def draw_front(prepared: FrontFigure) -> go.Figure:
    """Draw gain against each cost, a panel each; a point says its candidate when it is pointed at.

    Where the plain network's cost is known, and costs do not differ tenfold, the axis is of what
    SE adds to it.
    """
    figure = new_figure(HEIGHT, NARROW_LEGEND)
    width = (1 - GAP * (len(prepared.panels) - 1)) / len(prepared.panels)
    for number, panel in enumerate(prepared.panels):
        suffix = "" if number == 0 else str(number + 1)
        left = number * (width + GAP)
        is_log = bool(prepared.members) and panel.is_logarithmic
        figure.update_layout(
            {
                f"xaxis{suffix}": axis(
                    _name_axis(panel, prepared.members),
                    type="log" if is_log else "linear",
                    domain=[left, left + width],
                    anchor=f"y{suffix}",
                    showline=True,
                    ticks="outside",
                    tickcolor=LINE,
                    ticklen=4,
                ),
                f"yaxis{suffix}": axis(
                    "gain over the plain network (points)" if number == 0 else "",
                    range=list(prepared.y_range),
                    anchor=f"x{suffix}",
                    showticklabels=number == 0,
                    tickformat=DECIMALS,
                ),
            }
        )
        if prepared.members:
            _draw_panel(figure, panel, prepared.members, suffix, is_first=number == 0)
    if not prepared.members:
        figure.add_annotation(
            text="no full training has ended yet",
            x=0.5,
            y=0.5,
            xref="paper",
            yref="paper",
            showarrow=False,
            font={"color": MUTED},
        )
    return figure


def _name_axis(panel: Panel, members: Sequence[Member]) -> str:
    return ADDED_NAMES[panel.cost] if members and _is_relative(panel) else panel.label


def _is_relative(panel: Panel) -> bool:
    return panel.plain is not None and not panel.is_logarithmic


def _scale(panel: Panel, costs: Sequence[float]) -> list[float]:
    """Return costs as the axis has them."""
    if panel.plain is None or panel.is_logarithmic:
        return list(costs)
    return [100 * (cost / panel.plain - 1) for cost in costs]


def _draw_panel(
    figure: go.Figure, panel: Panel, members: Sequence[Member], suffix: str, *, is_first: bool
) -> None:
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    right = _scale(panel, [panel.x_range[1]])[0]
    left = _scale(panel, [panel.x_range[0]])[0]
    shown = {"showlegend": is_first}
    if panel.band:
        costs, lows, highs = zip(*panel.band, strict=True)
        xs = [*_scale(panel, costs), right]
        common = {
            "x": xs,
            "mode": "lines",
            "line": {"shape": "hv", "width": 0, "color": BLUE},
            "hoverinfo": "skip",
            **axes,
        }
        figure.add_scatter(y=[*lows, lows[-1]], showlegend=False, **common)
        figure.add_scatter(
            y=[*highs, highs[-1]],
            fill="tonexty",
            fillcolor=BLUE + SEEN_THROUGH,
            name="best gain, 95 %",
            **common | shown,
        )
    figure.add_scatter(
        x=[left, right],
        y=[0, 0],
        mode="lines",
        line={"color": GREY, "width": 1.3, "dash": "dash"},
        hoverinfo="skip",
        name="plain network",
        **axes,
        **shown,
    )
    for points, names, name, marker in (
        (
            panel.others,
            panel.other_names,
            "others",
            {"size": 5, "color": PAPER, "line": {"color": GREY, "width": 1}},
        ),
        (
            panel.credible,
            panel.credible_names,
            "maybe on it",
            {"size": 8, "symbol": "diamond", "color": PAPER, "line": {"color": BLUE, "width": 1.4}},
        ),
    ):
        if points:
            figure.add_scatter(
                x=_scale(panel, [x for x, _ in points]),
                y=[y for _, y in points],
                mode="markers",
                marker=marker,
                text=[
                    f"<b>{plain(each)}</b><br>{signed(y)} points expected<br>{_tell_cost(panel, x)}"
                    for each, (x, y) in zip(names or [""] * len(points), points, strict=True)
                ],
                hovertemplate="%{text}<extra></extra>",
                name=name,
                **axes,
                **shown,
            )
    _draw_members(figure, panel, members, right, axes, shown)


def _draw_members(
    figure: go.Figure,
    panel: Panel,
    members: Sequence[Member],
    right: float,
    axes: dict[str, str],
    shown: dict[str, bool],
) -> None:
    # With a second cost a member may lie below the staircase of this one.
    steps = sorted(panel.front or panel.members, key=lambda point: (point[0], -point[1]))
    best = np.maximum.accumulate([gain for _, gain in steps]).tolist()
    figure.add_scatter(
        x=[*_scale(panel, [x for x, _ in steps]), right],
        y=[*best, best[-1]],
        mode="lines",
        line={"shape": "hv", "color": BLUE, "width": 1.8},
        hoverinfo="skip",
        showlegend=False,
        **axes,
    )
    placed = list(zip(panel.members, members, strict=True))
    for is_taken, name in ((False, "front"), (True, "the answer")):
        own = [(point, member) for point, member in placed if member.is_taken == is_taken]
        if not own:
            continue
        ys = [y for (_, y), _ in own]
        figure.add_scatter(
            x=_scale(panel, [x for (x, _), _ in own]),
            y=ys,
            error_y=error_bars(ys, [m.low for _, m in own], [m.high for _, m in own], INK, 1.2),
            mode="markers+text",
            marker={
                "size": 19 if is_taken else 11,
                "symbol": "star" if is_taken else "circle",
                "color": BLUE,
                "line": {"color": PAPER, "width": 1.2},
            },
            text=[f" {member.number}" for _, member in own],
            ids=[str(member.number) for _, member in own],
            textposition=["top left" if m.number == 1 else "top right" for _, m in own],
            textfont={"size": 12, "color": INK},
            cliponaxis=False,
            customdata=[_describe(panel, x, member) for (x, _), member in own],
            hovertemplate="%{customdata}<extra></extra>",
            name=name,
            **axes,
            **shown,
        )


def _describe(panel: Panel, x: float, member: Member) -> str:
    chance = "" if member.probability is None else f"<br>P(front) {member.probability:.2f}"
    text = member.text.replace("-", "\N{MINUS SIGN}")
    return (
        f"<b>{member.number}  {plain(member.name)}</b><br>{plain(text)} points, 95 %"
        f"<br>{_tell_cost(panel, x)}{chance}"
    )


def _tell_cost(panel: Panel, x: float) -> str:
    noun = COST_NAMES[panel.cost]
    total = f"{x:.3f} ms" if panel.cost == "latency" else f"{x * panel.unit:,.0f} {noun}"
    if panel.plain is None:
        return total
    return f"{total} ({100 * (x / panel.plain - 1):+.2f} %)".replace("-", "\N{MINUS SIGN}")
