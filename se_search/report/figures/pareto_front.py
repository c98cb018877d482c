"""The figure of the front with its uncertainty: gain over the plain network against each cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from se_search.report.figures.front_key import Key, KeyRow
from se_search.report.figures.front_points import FrontFigure, Member, Panel
from se_search.report.figures.point_numbers import number_points
from se_search.report.figures.style import (
    BLUE,
    GREY,
    INK,
    MARGIN,
    PALE,
    TWO_COLUMNS,
    VERMILION,
    Header,
    add_axes,
    figure_style,
    new_figure,
    text_width,
    write_axis_name,
)
from se_search.report.figures.ticks import choose_ticks, log_ticks, round_ticks

PLOT_HEIGHT = 2.35
GAP = 0.16
ABOVE, BELOW = 0.36, 0.40  # for the ticks and names of the two x axes
ADDED_NAMES = {
    "params": "added parameters (%)",
    "macs": "added MACs (%)",
    "latency": "added latency (%)",
}
ZERO_NAME = "plain network"


def draw_front(prepared: FrontFigure) -> Figure:
    """Draw gain against each cost, and below a key to the numbers of the listed candidates."""
    with figure_style():
        header = Header(TWO_COLUMNS, prepared.title, prepared.note, _legend(prepared))
        key = Key([_key_row(member) for member in prepared.members if member.is_named])
        top = header.height + ABOVE
        figure = new_figure(TWO_COLUMNS, top + PLOT_HEIGHT + BELOW + key.height + MARGIN)
        header.draw(figure)
        y_ticks, y_labels = next(round_ticks(*prepared.y_range))
        left = max(map(text_width, y_labels)) + 0.3
        room = TWO_COLUMNS - left - 0.12 - GAP * (len(prepared.panels) - 1)
        width = room / len(prepared.panels)
        for number, panel in enumerate(prepared.panels):
            axes = add_axes(figure, left + number * (width + GAP), top, width, PLOT_HEIGHT)
            axes.set_ylim(prepared.y_range)
            axes.set_yticks(y_ticks, y_labels)
            _draw_panel(axes, panel, prepared.members)
            if number:
                axes.tick_params(labelleft=False)
            else:
                write_axis_name(axes, "gain over the plain network (points)", left - 0.1)
        key.draw(figure, top + PLOT_HEIGHT + BELOW)
        return figure


def _key_row(member: Member) -> KeyRow:
    chance = "–" if member.probability is None else f"{member.probability:.2f}"
    return KeyRow(str(member.number), member.name, member.text, chance)


def _legend(prepared: FrontFigure) -> list[Artist]:
    if not prepared.members:
        return []
    handles: list[Artist] = [
        Line2D([], [], lw=1.2, **_FRONT, label="front, listed"),
        Line2D([], [], **_ZERO, label=ZERO_NAME),
    ]
    if any(member.is_taken for member in prepared.members):
        handles.insert(1, Line2D([], [], **_TAKEN, label="recommended"))
    if any(panel.band for panel in prepared.panels):
        handles.append(Patch(color=VERMILION, alpha=0.15, lw=0, label="best gain at a cost, 95 %"))
    if any(panel.credible for panel in prepared.panels):
        handles.append(Line2D([], [], **_CREDIBLE, label="may be on it (P ≥ 0.05)"))
    if any(panel.others for panel in prepared.panels):
        handles.append(Line2D([], [], **_OTHER, label="other candidates"))
    return handles


_FRONT: dict[str, Any] = {"color": VERMILION, "marker": "o", "ms": 5.0, "mec": "white", "mew": 0.6}
_TAKEN: dict[str, Any] = {
    "ls": "",
    "marker": "*",
    "ms": 10.0,
    "mfc": VERMILION,
    "mec": "white",
    "mew": 0.6,
}
_CREDIBLE: dict[str, Any] = {
    "ls": "",
    "marker": "D",
    "ms": 3.4,
    "mfc": "white",
    "mec": BLUE,
    "mew": 0.8,
}
_ZERO: dict[str, Any] = {"color": GREY, "lw": 0.9, "ls": (0, (4, 2))}
_OTHER: dict[str, Any] = {
    "ls": "",
    "marker": "o",
    "ms": 2.2,
    "mfc": "none",
    "mec": PALE,
    "mew": 0.5,
}


def _draw_panel(axes: Axes, panel: Panel, members: Sequence[Member]) -> None:
    axes.set_xlabel(panel.label)
    axes.grid(True)
    if not members:
        axes.set_xlim(0, 1)
        axes.set_xticks([])
        axes.text(0.5, 0.5, "no complete trial yet", ha="center", transform=axes.transAxes)
        return
    axes.set_xlim(panel.x_range)
    _set_ticks(axes, panel)
    right = axes.get_xlim()[1]
    axes.axhline(0.0, **_ZERO, zorder=1.5, label="zero")
    if panel.band:
        costs, lows, highs = zip(*panel.band, strict=True)
        axes.fill_between(
            [*costs, right],
            [*lows, lows[-1]],
            [*highs, highs[-1]],
            step="post",
            color=VERMILION,
            alpha=0.15,
            lw=0,
            label="band",
        )
    for points, look, label in (
        (panel.others, _OTHER, "others"),
        (panel.credible, _CREDIBLE, "credible"),
    ):
        if points:
            axes.plot(*zip(*points, strict=True), **look, label=label)
    _draw_front(axes, panel, members, right)
    placed = list(zip(panel.members, members, strict=True))
    number_points(
        axes,
        panel.members,
        [str(member.number) for member in members],
        feet=[(x, y if m.low is None else m.low) for (x, y), m in placed],
        ends=[(x, y if m.high is None else m.high) for (x, y), m in placed],
    )


def _set_ticks(axes: Axes, panel: Panel) -> None:
    if panel.is_logarithmic:
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    choices = log_ticks(*panel.x_range) if panel.is_logarithmic else round_ticks(*panel.x_range)
    ticks, labels = choose_ticks(axes, choices, GAP / 3)
    axes.set_xticks(ticks, labels)
    if panel.plain is None or panel.is_logarithmic:
        return
    # A second scale above: not how large a network is, but what SE adds.
    plain = panel.plain
    above = axes.secondary_xaxis("top")
    low, high = (100 * (x / plain - 1) for x in panel.x_range)
    choices = (
        ([plain * (1 + share / 100) for share in shares], labels)
        for shares, labels in round_ticks(low, high)
    )
    ticks, labels = choose_ticks(axes, choices, GAP / 3)
    above.set_xticks(ticks, labels)
    above.xaxis.set_minor_locator(NullLocator())
    above.set_xlabel(ADDED_NAMES[panel.cost])
    above.spines["top"].set_visible(True)


def _draw_front(axes: Axes, panel: Panel, members: Sequence[Member], right: float) -> None:
    # With a second cost a member may lie below the staircase of this one.
    steps = sorted(panel.front or panel.members, key=lambda point: (point[0], -point[1]))
    best = np.maximum.accumulate([gain for _, gain in steps])
    costs = [x for x, _ in steps]
    axes.step(
        [*costs, right],
        [*best, best[-1]],
        where="post",
        color=VERMILION,
        lw=1.2,
        label="staircase",
    )
    bars = [
        (x, y, max(0.0, y - member.low), max(0.0, member.high - y))
        for (x, y), member in zip(panel.members, members, strict=True)
        if member.low is not None and member.high is not None
    ]
    if bars:
        xs, ys, *reach = zip(*bars, strict=True)
        axes.errorbar(xs, ys, reach, fmt="none", ecolor=INK, elinewidth=0.6, capsize=1.6)
    xs, ys = zip(*panel.members, strict=True)
    axes.plot(xs, ys, ls="", **_FRONT, zorder=4, label="front")
    for (x, y), member in zip(panel.members, members, strict=True):
        if member.is_taken:
            axes.plot([x], [y], **_TAKEN, zorder=4.2, label="taken")
