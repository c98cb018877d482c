"""The figure of gates: mean gate by channel, of all images and of a few classes, a panel a block.

It shows what figures 6 and 7 of Hu et al. 2019 show: lines of classes that run together belong to a
block that does not tell classes apart, flat ones near 1 to a block that could go.
"""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from se_search.analysis.gate_rows import GateRow, summary_rows
from se_search.report.figures.style import (
    CYCLE,
    INK,
    LINE_HEIGHT,
    MARGIN,
    PALE,
    SMALL_SIZE,
    TEXT_SIZE,
    TWO_COLUMNS,
    Header,
    add_axes,
    drawable,
    figure_style,
    new_figure,
    padded,
    plain_ticks,
    shorten,
    with_interval,
    write_axis_name,
)
from se_search.report.format import count
from se_search.store.gates_file import GateProfile, GatesFound

COLUMNS = 2
PLOT_HEIGHT = 1.1
ABOVE, BELOW, LEFT, GAP = 0.4, 0.38, 0.48, 0.34
FEW = 24  # channels whose lines have a mark each


@dataclass(frozen=True, slots=True)
class GatePanel:
    """A block: what its title says, and its lines.

    Attributes:
        profile: the lines.
        title: of the block.
        detail: what its gates do, in numbers.
    """

    profile: GateProfile
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class GatesFigure:
    """What the figure of gates shows.

    Attributes:
        panels: a block each.
        classes: names of the classes that have lines.
        y_range: of all panels, so that blocks can be compared.
    """

    title: str
    note: str
    panels: tuple[GatePanel, ...]
    classes: tuple[str, ...]
    y_range: tuple[float, float]


def prepare_gates(found: GatesFound, title: str) -> GatesFigure:
    """Return what the figure shows of a candidate's gates."""
    rows = {row.place: row for row in summary_rows(found.rows)}
    panels = [
        GatePanel(each, f"{each.site} ({rows[each.site].se})", describe_block(rows[each.site]))
        for each in found.profiles
    ]
    values = [
        value
        for each in found.profiles
        for line in (each.mean, *each.by_class.values())
        for value in line
    ]
    sampled = any(len(each.channels) < each.num_channels for each in found.profiles)
    shown = ", of some channels, spread evenly" if sampled else ""
    return GatesFigure(
        title,
        f"Mean gate of each channel over {count(found.num_validation, 'image')} that validate, and "
        f"over those of a few classes{shown}; replicate {found.replicates[0]:,}. Class share: of "
        "the variance over images, between classes. Spread: standard deviation over images by the "
        "mean. Drop: accuracy lost with constants for gates, in points (95 %).",
        tuple(panels),
        tuple(found.profiles[0].by_class),
        padded(min(0.0, *values), max(1.0, *values), 0.03),
    )


def describe_block(row: GateRow) -> str:
    """Say in numbers what the gates of a block do."""
    share = "–" if row.class_share is None else f"{max(0.0, row.class_share):.2f}"
    spread = "–" if row.variation is None else f"{row.variation:.2f}"
    low, high = (None if end is None else 100 * end for end in (row.drop_low, row.drop_high))
    drop = with_interval(100 * row.drop, low, high)
    return f"class share {share}, spread {spread}, drop {drop}"


def draw_gates(prepared: GatesFigure) -> Figure:
    """Draw a panel for each block, in rows of two."""
    with figure_style():
        looks = {name: CYCLE[i % len(CYCLE)] for i, name in enumerate(prepared.classes)}
        handles = [
            Line2D([], [], color=PALE, lw=2.6, label="all images"),
            *(
                Line2D([], [], color=color, marker=marker, ls=style, lw=0.9, ms=2.5, label=name)
                for name, (color, marker, style) in (
                    (drawable(name), look) for name, look in looks.items()
                )
            ),
        ]
        header = Header(TWO_COLUMNS, prepared.title, prepared.note, handles)
        rows = -(-len(prepared.panels) // COLUMNS)
        panel_height = ABOVE + PLOT_HEIGHT + BELOW
        figure = new_figure(TWO_COLUMNS, header.height + rows * panel_height)
        header.draw(figure)
        width = (TWO_COLUMNS - LEFT - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS
        for number, panel in enumerate(prepared.panels):
            row, column = divmod(number, COLUMNS)
            left = LEFT + column * (width + GAP)
            top = header.height + row * panel_height + ABOVE
            axes = add_axes(figure, left, top, width, PLOT_HEIGHT)
            _set_axes(axes, panel, prepared.y_range, width)
            if column == 0:
                write_axis_name(axes, "mean gate", LEFT - 0.1)
            else:
                axes.tick_params(labelleft=False)
            _draw_lines(axes, panel.profile, looks)
        return figure


def _set_axes(axes: Axes, panel: GatePanel, y_range: tuple[float, float], width: float) -> None:
    axes.set_title(
        shorten(panel.title, width), loc="left", size=TEXT_SIZE, pad=3 + 72 * LINE_HEIGHT
    )
    axes.annotate(
        shorten(panel.detail, width, SMALL_SIZE),
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        size=SMALL_SIZE,
        color=INK,
    )
    axes.set_ylim(y_range)
    channels = panel.profile.channels
    axes.set_xlim(*padded(channels[0], channels[-1], 0.02))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    locator, formatter = plain_ticks(4)
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_major_formatter(formatter)
    axes.grid(True, axis="y")
    axes.axhline(1, color=INK, lw=0.5, zorder=1)
    axes.set_xlabel(f"channel (of {panel.profile.num_channels:,})")


def _draw_lines(
    axes: Axes, profile: GateProfile, looks: dict[str, tuple[str, str, object]]
) -> None:
    channels = list(profile.channels)
    every = 1 if len(channels) <= FEW else len(channels) // 8
    axes.plot(channels, profile.mean, color=PALE, lw=2.6, zorder=2, label="all images")
    for number, (name, values) in enumerate(profile.by_class.items()):
        color, marker, style = looks[name]
        axes.plot(
            channels,
            values,
            color=color,
            ls=style,
            lw=0.9,
            marker=marker,
            ms=2.5,
            markevery=(number * every // 4 % every, every),
            zorder=3,
            label=name,
        )
