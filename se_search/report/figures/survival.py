"""The figure of survival: the share of searches that are not there yet, against trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from se_search.report.figures.style import (
    CYCLE,
    GREY,
    MARGIN,
    ONE_COLUMN,
    TEXT_SIZE,
    TWO_COLUMNS,
    Header,
    add_axes,
    figure_style,
    new_figure,
    plain_ticks,
    shorten,
    write_axis_name,
)

PLOT_HEIGHT = 1.75
ABOVE, BELOW, LEFT, GAP = 0.24, 0.42, 0.58, 0.3
MOST_ARMS = len(CYCLE)


@dataclass(frozen=True)
class Steps:
    """The share of an arm's searches that are not there yet: a staircase that falls.

    Attributes:
        name: of the arm.
        times: numbers of trainings at which the share changes, from 0 to the last one watched.
        shares: from each of these on; the last one is repeated where the curve ends.
    """

    name: str
    times: Sequence[float]
    shares: Sequence[float]


@dataclass(frozen=True)
class SurvivalFigure:
    """What the figure of survival shows.

    Attributes:
        panels: the staircases by the panel's title; arms are in one order in all panels.
        horizon: trainings at which searches are censored.
    """

    title: str
    note: str
    panels: Mapping[str, Sequence[Steps]]
    horizon: int

    @property
    def names(self) -> list[str]:
        """The arms of all panels."""
        return list(dict.fromkeys(steps.name for own in self.panels.values() for steps in own))


def prepare_survival(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    horizon: int,
    title: str,
    note: str,
) -> SurvivalFigure:
    """Return what the figure shows of arms, six at most.

    Args:
        panels: by the panel's title and the arm: ascending times with the share from each one on.
        horizon: trainings at which searches are censored.
        title: stands above.
        note: stands below the title.
    """
    named = {
        panel: [_step(*arm, horizon) for arm in arms.items()] for panel, arms in panels.items()
    }
    prepared = SurvivalFigure(title, note, named, horizon)
    assert len(prepared.names) <= MOST_ARMS, "each arm has a colour and a line style of its own"
    return prepared


def draw_survival(prepared: SurvivalFigure) -> Figure:
    """Draw the staircases, panels side by side in rows of two; a line marks a half."""
    with figure_style():
        looks = dict(zip(prepared.names, CYCLE, strict=False))
        handles = [
            Line2D([], [], color=color, ls=style, lw=1.1, label=name)
            for name, (color, _, style) in looks.items()
        ]
        columns = min(2, len(prepared.panels))
        whole = TWO_COLUMNS if columns == 2 else ONE_COLUMN
        header = Header(whole, prepared.title, prepared.note, handles)
        rows = -(-len(prepared.panels) // columns)
        panel_height = ABOVE + PLOT_HEIGHT + BELOW
        figure = new_figure(whole, header.height + rows * panel_height)
        header.draw(figure)
        width = (whole - LEFT - 2 * MARGIN - GAP * (columns - 1)) / columns
        for number, (title, arms) in enumerate(prepared.panels.items()):
            row, column = divmod(number, columns)
            top = header.height + row * panel_height + ABOVE
            axes = add_axes(figure, LEFT + column * (width + GAP), top, width, PLOT_HEIGHT)
            axes.set_title(shorten(title, width), loc="left", size=TEXT_SIZE, pad=3)
            axes.set_ylim(-0.03, 1.03)
            axes.set_xlim(0, prepared.horizon)
            locator, formatter = plain_ticks(6)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(formatter)
            axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
            axes.grid(True)
            axes.axhline(0.5, color=GREY, lw=0.8, label="half")
            axes.set_xlabel("trainings")
            if column == 0:
                write_axis_name(axes, "share of searches", LEFT - 0.1)
            else:
                axes.tick_params(labelleft=False)
            for steps in arms:
                color, _, style = looks[steps.name]
                axes.step(
                    steps.times,
                    steps.shares,
                    where="post",
                    color=color,
                    ls=style,
                    lw=1.1,
                    label=steps.name,
                )
        return figure


def _step(name: str, curve: Sequence[tuple[float, float]], horizon: int) -> Steps:
    changes = [(0.0, 1.0), *curve]
    return Steps(
        name,
        [*(time for time, _ in changes), float(horizon)],
        [*(share for _, share in changes), changes[-1][1]],
    )
