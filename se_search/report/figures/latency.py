"""The figure of latencies: what SE adds by place and width, and sums against candidates whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from se_search.latency.table import LatencyTable
from se_search.report.figures.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    MARGIN,
    SMALL_SIZE,
    TWO_COLUMNS,
    VERMILION,
    Header,
    add_axes,
    figure_style,
    new_figure,
    padded,
    write_axis_name,
)

PLOT_HEIGHT = 2.2
ABOVE, BELOW, LEFT, GAP = 0.12, 0.62, 0.5, 0.62
SUM_WIDTH = 2.2
MOST_NAMED = 24  # blocks whose names fit below the axis


@dataclass(frozen=True, slots=True)
class AddedPoint:
    """What one kind of SE block adds at all of its places.

    Attributes:
        place: where, as ``s2``.
        block: as ``16`` or ``pre:16``.
        added: in per cent of the plain network's time.
        low: lower end of the 95 % interval of ``added``.
        high: upper end of the 95 % interval of ``added``.
        macs: added multiply-adds in per cent of the plain network's.
    """

    place: str
    block: str
    added: float
    low: float
    high: float
    macs: float


@dataclass(frozen=True, slots=True)
class LatencyFigure:
    """What the figure of latencies shows.

    Attributes:
        title: stands above.
        note: stands below the title.
        points: by place and block, in the network's order.
        whole: for candidates measured whole (measured %, its lower and upper end, sum %).
        floor: noise floor in per cent.
    """

    title: str
    note: str
    points: tuple[AddedPoint, ...]
    whole: tuple[tuple[float, float, float, float], ...]
    floor: float


def prepare_latency(table: LatencyTable) -> LatencyFigure:
    """Return what the figure shows of a table."""
    error = table.sum_error
    off = "" if error is None else f"; sums are off by {error.median_pct:.2f} % (median)"
    return LatencyFigure(
        f"What SE adds to a batch through {table.backbone} ({table.plain_ms:.3g} ms)",
        f"{table.ground.describe()}. Noise floor {table.floor_pct:.2f} %{off}.",
        tuple(
            AddedPoint(
                each.places,
                each.block.removeprefix("standard:"),
                each.timing.added_pct,
                each.timing.low,
                each.timing.high,
                each.added_macs_pct * each.num_blocks,
            )
            for each in table.deltas
        ),
        tuple(
            (each.timing.added_pct, each.timing.low, each.timing.high, each.sum_pct)
            for each in table.whole
            if each.sum_pct is not None
        ),
        table.floor_pct,
    )


def draw_latency(prepared: LatencyFigure) -> Figure:
    """Draw two panels: added time and MACs by place and block, and sums against whole candidates.

    The grey band about 0 is the noise floor.
    """
    with figure_style():
        handles = [
            Line2D([], [], color=BLUE, marker="o", ms=4, lw=1.1, label="time, 95 % interval"),
            Line2D([], [], color=VERMILION, marker="_", ms=7, lw=0, mew=1.4, label="MACs"),
            Patch(color=FAINT, lw=0, label="noise floor"),
        ]
        header = Header(TWO_COLUMNS, prepared.title, prepared.note, handles)
        figure = new_figure(TWO_COLUMNS, header.height + ABOVE + PLOT_HEIGHT + BELOW)
        header.draw(figure)
        top = header.height + ABOVE
        width = TWO_COLUMNS - LEFT - MARGIN
        if prepared.whole:
            width -= SUM_WIDTH + GAP
            left = TWO_COLUMNS - MARGIN - SUM_WIDTH
            sums = add_axes(figure, left, top, SUM_WIDTH, PLOT_HEIGHT)
            _draw_sums(sums, prepared.whole, prepared.floor)
            write_axis_name(sums, "sum of the blocks, %", 0.42)
        axes = add_axes(figure, LEFT, top, width, PLOT_HEIGHT)
        _draw_added(axes, prepared)
        write_axis_name(axes, "added, % of the plain network", LEFT - 0.1)
        return figure


def _draw_added(axes: Axes, prepared: LatencyFigure) -> None:
    axes.axhspan(-prepared.floor, prepared.floor, color=FAINT, lw=0)
    axes.axhline(0, color=GREY, lw=0.6)
    positions = _place_points(prepared.points)
    for x, point in zip(positions, prepared.points, strict=True):
        axes.plot([x, x], [point.low, point.high], color=BLUE, lw=1.1)
        axes.plot([x], [point.added], color=BLUE, marker="o", ms=3.5)
        axes.plot([x], [point.macs], color=VERMILION, marker="_", ms=7, mew=1.4)
    places = list(dict.fromkeys(point.place for point in prepared.points))
    if len(prepared.points) <= MOST_NAMED:
        names = [point.block for point in prepared.points]
        axes.set_xticks(positions, names, size=SMALL_SIZE)
    else:
        axes.set_xticks([])
    for place in places:
        own = [x for x, p in zip(positions, prepared.points, strict=True) if p.place == place]
        middle = (own[0] + own[-1]) / 2
        axes.annotate(
            place,
            (middle, 0),
            (0, -22),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            color=INK,
        )
    axes.set_xlim(positions[0] - 0.8, positions[-1] + 0.8)
    axes.grid(visible=True, axis="y")


def _draw_sums(
    axes: Axes, whole: Sequence[tuple[float, float, float, float]], floor: float
) -> None:
    ends = [value for row in whole for value in row]
    low, high = padded(min(ends), max(ends))
    axes.fill_between([low, high], [low - floor, high - floor], [low + floor, high + floor],
                      color=FAINT, lw=0)  # fmt: skip
    axes.plot([low, high], [low, high], color=GREY, lw=0.8)
    for measured, lower, upper, total in whole:
        axes.plot([lower, upper], [total, total], color=BLUE, lw=0.7)
        axes.plot([measured], [total], color=BLUE, marker="o", ms=3)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_xlabel("measured whole, %")
    axes.grid(visible=True)


def _place_points(points: Sequence[AddedPoint]) -> list[float]:
    """Return where points stand: one apart, and further where the place changes."""
    positions, x = [], 0.0
    for before, point in zip([None, *points], points, strict=False):
        x += 1.0 if before is None or before.place == point.place else 1.8
        positions.append(x)
    return positions
