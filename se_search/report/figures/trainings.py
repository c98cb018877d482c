"""The figure of a search's trainings: each full one less its replicate's plain network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from se_search.record import TrialRecord
from se_search.report.figures.style import (
    BLUE,
    GREY,
    MARGIN,
    ORANGE,
    TWO_COLUMNS,
    VERMILION,
    Header,
    add_axes,
    figure_style,
    new_figure,
    padded,
    write_axis_name,
)

PLOT_HEIGHT, ABOVE, BELOW, LEFT, RIGHT = 2.0, 0.1, 0.42, 0.55, 0.12
ZERO: dict[str, Any] = {"color": GREY, "lw": 0.9, "ls": (0, (4, 2))}
ROLES = {"start": "start design", "proposal": "the sampler's choice", "promotion": "promoted"}
LOOKS = {"start": (ORANGE, "v"), "proposal": (BLUE, "o"), "promotion": (VERMILION, "^")}
NOTE = "A point is one training{noise}: the highest one is no measure of the best candidate."


@dataclass(frozen=True, slots=True)
class TrainingsFigure:
    """What the figure shows.

    Attributes:
        title: stands above.
        points: by role, (number of the trial, points of accuracy over the plain network).
        num_left_out: full trainings of replicates whose plain network has none.
        noise: standard deviation of a training about its network and its replicate, in points;
            None: not known.
    """

    title: str
    points: dict[str, tuple[tuple[int, float], ...]]
    num_left_out: int
    noise: float | None = None


def prepare_trainings(
    records: Sequence[TrialRecord], title: str, noise: float | None = None
) -> TrainingsFigure:
    """Return what the figure shows of a run's trials.

    Args:
        records: the trials.
        title: stands above.
        noise: standard deviation of a training about its network and its replicate, a share.
    """
    full = [r for r in records if r.state == "COMPLETE" and r.accuracy is not None]
    controls = {r.seed: r.accuracy for r in full if r.role == "control"}
    points: dict[str, list[tuple[int, float]]] = {}
    num_left_out = 0
    for record in full:
        plain = controls.get(record.seed)
        if record.role == "control":
            continue
        if plain is None or record.accuracy is None:
            num_left_out += 1
            continue
        point = (record.number, 100 * (record.accuracy - plain))
        points.setdefault(record.role, []).append(point)
    by_role = {role: tuple(own) for role, own in points.items()}
    in_points = None if noise is None else 100 * noise
    return TrainingsFigure(title, by_role, num_left_out, in_points)


def draw_trainings(prepared: TrainingsFigure) -> Figure:
    """Draw a point for each full training, in the order in which trials began."""
    left_out = prepared.num_left_out
    noise = ""
    if prepared.noise is not None:
        noise = f", which its seed moves by {prepared.noise:.2f} points (standard deviation)"
    note = NOTE.format(noise=noise)
    if left_out:
        note += f" {left_out} without a plain network are left out."
    with figure_style():
        shown = {role: own for role, own in prepared.points.items() if own}
        handles = [
            Line2D([], [], ls="", ms=4, color=LOOKS[role][0], marker=LOOKS[role][1], label=name)
            for role, name in ROLES.items()
            if role in shown
        ]
        header = Header(TWO_COLUMNS, prepared.title, note, handles)
        top = header.height + ABOVE
        figure = new_figure(TWO_COLUMNS, top + PLOT_HEIGHT + BELOW + MARGIN)
        header.draw(figure)
        axes = add_axes(figure, LEFT, top, TWO_COLUMNS - LEFT - RIGHT, PLOT_HEIGHT)
        axes.grid(True)
        axes.axhline(0.0, **ZERO)
        axes.set_xlabel("trial")
        write_axis_name(axes, "training less plain network (points)", LEFT - 0.1)
        for role, own in shown.items():
            color, marker = LOOKS[role]
            axes.plot(*zip(*own, strict=True), ls="", ms=2.6, color=color, marker=marker)
        heights = [y for own in shown.values() for _, y in own]
        if heights:
            axes.set_ylim(*padded(min(0.0, *heights), max(0.0, *heights)))
        else:
            axes.text(0.5, 0.6, "no full training of SE yet", ha="center", transform=axes.transAxes)
        return figure
