"""A forest plot: differences with their intervals below each other, about a line at zero."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from se_search.report.figures.style import (
    FAINT,
    GREY,
    INK,
    LINE_HEIGHT,
    MARGIN,
    MINUS,
    TEXT_SIZE,
    TWO_COLUMNS,
    Header,
    add_axes,
    figure_style,
    new_figure,
    padded,
    plain_ticks,
    shorten,
    text_width,
    write,
)

COLUMN_GAP = 0.14
AXIS_HEIGHT = 0.42  # for the ticks and the name of the axis
LEAST_PLOT = 2.2  # inches


@dataclass(frozen=True, slots=True)
class Series:
    """What marks of one kind have in common.

    Attributes:
        is_filled: whether the marker is filled; a hollow one is white inside.
    """

    label: str
    marker: str
    color: str
    is_filled: bool = True
    size: float = 4.2


@dataclass(frozen=True, slots=True)
class Bar:
    """A difference, in points.

    Attributes:
        low: lower end of the 95 % interval; None: not known.
        high: upper end of the 95 % interval; None: not known.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A line of the plot.

    Attributes:
        name: stands at the left of the plot.
        estimates: one for each series; None: there is none.
        texts: one for each column at the right of the plot.
        group: stands at the left margin; a row that has one begins a group.
    """

    name: str
    estimates: tuple[Bar | None, ...]
    texts: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Rows below a heading.

    Attributes:
        heading: empty: there is none.
    """

    heading: str
    rows: tuple[ForestRow, ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """What a forest plot shows.

    Attributes:
        note: what a reader must know and the legend does not say.
        axis: name of the horizontal axis, with its unit.
        zero: what the line at zero stands for.
        series: what each row's estimates are, in their order.
        columns: headings of the texts at the right.
        spread: how far apart the estimates of one row lie, as a share of the row's height.
        row_height: inches.
        names_heading: what the names are.
    """

    title: str
    note: str
    axis: str
    zero: str
    series: tuple[Series, ...]
    sections: tuple[Section, ...]
    columns: tuple[str, ...] = ()
    spread: float = 0.0
    row_height: float = 0.165
    names_heading: str = ""

    @property
    def rows(self) -> list[ForestRow]:
        """The rows of all sections."""
        return [row for section in self.sections for row in section.rows]

    @property
    def x_range(self) -> tuple[float, float]:
        """A range that holds zero, all differences and all interval ends."""
        values = [0.0]
        for row in self.rows:
            for estimate in row.estimates:
                if estimate is not None:
                    ends = (estimate.value, estimate.low, estimate.high)
                    values += [value for value in ends if value is not None]
        if not all(map(math.isfinite, values)):
            raise ValueError(f"differences {values} are not all finite")
        return padded(min(values), max(values))


def draw_forest(forest: Forest) -> Figure:
    """Draw each difference as a mark with its interval as a bar, in rows about a line at zero."""
    with figure_style():
        handles = _handles(forest) if forest.rows else []
        header = Header(TWO_COLUMNS, forest.title, forest.note, handles)
        widths = [
            max(text_width(text) for text in (heading, *(row.texts[column] for row in forest.rows)))
            for column, heading in enumerate(forest.columns)
        ]
        right = sum(widths) + COLUMN_GAP * (len(widths) + 1) + MARGIN if widths else 0.2
        left = min(_wanted_left(forest), TWO_COLUMNS - right - LEAST_PLOT)
        lines = list(_lines(forest))
        height = forest.row_height * max(1, len(lines))
        top = header.height + (0.26 if forest.rows else 0.05)
        figure = new_figure(TWO_COLUMNS, top + height + AXIS_HEIGHT)
        header.draw(figure)
        axes = add_axes(figure, left, top, TWO_COLUMNS - left - right, height)
        _set_axes(axes, forest, len(lines))
        if not forest.rows:
            axes.text(
                0.5, 0.5, "nothing to compare yet", ha="center", va="center",
                transform=axes.transAxes,
            )  # fmt: skip
            return figure
        x = TWO_COLUMNS - MARGIN
        edges: list[float] = []
        for width in reversed(widths):
            edges.insert(0, x)
            x -= width + COLUMN_GAP
        y = top - LINE_HEIGHT / 2 - 0.02
        write(figure, left - 0.1, y, forest.names_heading, color=GREY, align="right")
        for edge, heading in zip(edges, forest.columns, strict=True):
            write(figure, edge, y, heading, color=GREY, align="right")
        for number, line in enumerate(lines):
            y = top + forest.row_height * (number + 0.5)
            if isinstance(line, str):
                room = TWO_COLUMNS - right - MARGIN
                text = write(figure, MARGIN, y, shorten(line, room), color=GREY)
                text.set_bbox({"fc": "white", "ec": "none", "pad": 1.0})
                continue
            _write_row(figure, line, left, y, edges)
            if line.group:
                axes.axhline(number - 0.5, color=FAINT, lw=0.5, zorder=0)
            _draw_row(axes, forest, line, number)
        return figure


def _lines(forest: Forest) -> Iterator[ForestRow | str]:
    for section in forest.sections:
        if section.heading:
            yield section.heading
        yield from section.rows


def _wanted_left(forest: Forest) -> float:
    """Return how wide the names are with the groups beside them, in inches."""
    groups = max((text_width(row.group) for row in forest.rows), default=0.0)
    names = (forest.names_heading, *(row.name for row in forest.rows))
    widest = max(map(text_width, names))
    return MARGIN + widest + groups + (0.12 if groups else 0.0) + 0.12


def _handles(forest: Forest) -> list[Line2D]:
    handles = []
    for index, series in enumerate(forest.series):
        shown = [row.estimates[index] for row in forest.rows]
        has_bars = any(estimate is not None and estimate.low is not None for estimate in shown)
        width = 0.9 if has_bars else 0.0
        handles.append(
            Line2D([], [], **_look(series), lw=width, color=series.color, label=series.label)
        )
    return handles


def _look(series: Series) -> dict[str, Any]:
    return {
        "marker": series.marker,
        "ms": series.size,
        "mfc": series.color if series.is_filled else "white",
        "mec": series.color,
        "mew": 0.9,
    }


def _set_axes(axes: Axes, forest: Forest, num_lines: int) -> None:
    axes.set_xlim(forest.x_range)
    axes.set_ylim(max(1, num_lines) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(forest.axis)
    if not forest.rows:
        axes.set_xticks([])
        return
    locator, _ = plain_ticks(7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value:+.6g}".replace("-", MINUS) if value else "0"
    )
    axes.grid(True, axis="x")
    axes.axvline(0, color=INK, lw=0.8, zorder=1, label="zero")
    axes.annotate(
        forest.zero,
        xy=(0, 1),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 2.5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        size=TEXT_SIZE,
    )


def _write_row(figure: Figure, row: ForestRow, left: float, y: float, edges: list[float]) -> None:
    room = left - MARGIN - 0.1
    group = shorten(row.group, 0.5 * room)
    if group:
        write(figure, MARGIN, y, group)
        room -= text_width(group) + 0.12
    write(figure, left - 0.1, y, shorten(row.name, room), align="right")
    for edge, text in zip(edges, row.texts, strict=True):
        write(figure, edge, y, text, align="right")


def _draw_row(axes: Axes, forest: Forest, row: ForestRow, number: int) -> None:
    middle = (len(forest.series) - 1) / 2
    for index, (series, estimate) in enumerate(zip(forest.series, row.estimates, strict=True)):
        if estimate is None:
            continue
        y = number + forest.spread * (index - middle)
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [y, y], color=series.color, lw=0.9, zorder=2)
        axes.plot([estimate.value], [y], ls="", **_look(series), zorder=3)
