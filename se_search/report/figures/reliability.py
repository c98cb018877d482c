"""The figure of reliability: how often candidates are on the front, against how likely they were.

A panel a group; calibrated probabilities lie on the diagonal (DeGroot and Fienberg 1983).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from se_search.analysis.statistics import wilson_interval
from se_search.report.figures.style import (
    CYCLE,
    GREY,
    MARGIN,
    TEXT_SIZE,
    TWO_COLUMNS,
    Header,
    add_axes,
    figure_style,
    new_figure,
    shorten,
    write_axis_name,
)
from se_search.report.format import count as count_of

ABOVE, BELOW, LEFT, GAP = 0.24, 0.42, 0.48, 0.16
PANELS_A_ROW = 4
TICKS = {0: "0", 0.5: "0.5", 1: "1"}


@dataclass(frozen=True, slots=True)
class Bin:
    """Candidates of about one probability.

    Attributes:
        predicted: their mean probability.
        seen: the share that is on the front.
        low: lower end of the 95 % interval of ``seen``.
        high: upper end of the 95 % interval of ``seen``.
    """

    predicted: float
    seen: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ReliabilityFigure:
    """What the figure of reliability shows.

    Attributes:
        panels: by group, and by the number of trainings: the bins, by ascending probability.
    """

    title: str
    note: str
    panels: Mapping[str, Mapping[int, Sequence[Bin]]]

    @property
    def trainings(self) -> list[int]:
        """The numbers of trainings in all panels, ascending."""
        return sorted({count for series in self.panels.values() for count in series})


def prepare_reliability(
    panels: Mapping[str, Mapping[int, Sequence[tuple[float, float, int]]]], title: str, note: str
) -> ReliabilityFigure:
    """Return what the figure shows.

    Args:
        panels: by group and number of trainings, for each bin of candidates their mean
            probability, the share of them on the front, and how many they are.
        title: stands above.
        note: stands below the title.
    """
    return ReliabilityFigure(
        title,
        note,
        {
            group: {count: [_prepare_bin(*one) for one in bins] for count, bins in series.items()}
            for group, series in panels.items()
        },
    )


def _prepare_bin(predicted: float, seen: float, count: int) -> Bin:
    return Bin(predicted, seen, *wilson_interval(seen, count))


def _name(num_trainings: int) -> str:
    return count_of(num_trainings, "training")


def draw_reliability(prepared: ReliabilityFigure) -> Figure:
    """Draw seen shares against predicted probabilities, and the diagonal of calibrated ones."""
    with figure_style():
        looks = {
            count: CYCLE[number % len(CYCLE)] for number, count in enumerate(prepared.trainings)
        }
        handles = [
            *(
                Line2D([], [], **_look(*look), lw=0.8, label=_name(count))
                for count, look in looks.items()
            ),
            Line2D([], [], color=GREY, lw=0.8, ls="--", label="calibrated"),
        ]
        header = Header(TWO_COLUMNS, prepared.title, prepared.note, handles)
        columns = min(PANELS_A_ROW, max(2, len(prepared.panels)))
        side = (TWO_COLUMNS - LEFT - MARGIN - 0.1 - GAP * (columns - 1)) / columns
        rows = -(-len(prepared.panels) // columns)
        panel_height = ABOVE + side + BELOW
        figure = new_figure(TWO_COLUMNS, header.height + rows * panel_height)
        header.draw(figure)
        for number, (group, series) in enumerate(prepared.panels.items()):
            row, column = divmod(number, columns)
            top = header.height + row * panel_height + ABOVE
            axes = add_axes(figure, LEFT + column * (side + GAP), top, side, side)
            axes.set_title(shorten(group, side), loc="left", size=TEXT_SIZE, pad=3)
            axes.set_xlim(-0.03, 1.03)
            axes.set_ylim(-0.03, 1.03)
            axes.set_xticks(list(TICKS), list(TICKS.values()))
            axes.set_yticks(list(TICKS), list(TICKS.values()))
            axes.grid(True)
            axes.set_xlabel("predicted probability")
            if column == 0:
                write_axis_name(axes, "share on the front", LEFT - 0.1)
            else:
                axes.tick_params(labelleft=False)
            axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls="--", label="calibrated")
            for count, bins in series.items():
                _draw_bins(axes, bins, looks[count], _name(count))
        return figure


def _draw_bins(axes: Axes, bins: Sequence[Bin], look: tuple[str, str, Any], name: str) -> None:
    color, _, _ = look
    axes.errorbar(
        [one.predicted for one in bins],
        [one.seen for one in bins],
        [[one.seen - one.low for one in bins], [one.high - one.seen for one in bins]],
        **_look(*look) | {"ls": ""},
        ecolor=color,
        elinewidth=0.8,
        label=name,
    )


def _look(color: str, marker: str, style: Any) -> dict[str, Any]:
    # The second kind of mark is hollow, so that they are told apart in grey where they overlap.
    face = color if marker == "o" else "white"
    return {"color": color, "marker": marker, "ms": 4, "mfc": face, "mec": color, "ls": "-"}
