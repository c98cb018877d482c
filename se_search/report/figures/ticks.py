"""Ticks of an axis: round values whose labels keep apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from matplotlib.axes import Axes

from se_search.report.figures.style import MINUS, RESOLUTION, plain_ticks, text_width

SUFFIXES = {1e9: " G", 1e6: " M", 1e3: " k"}
LEAST_GAP = 0.08  # inches between two labels

Ticks = tuple[list[float], list[str]]
"""Places of ticks on an axis, and their labels."""


def round_ticks(low: float, high: float) -> Iterator[Ticks]:
    """Return round ticks in a range with their labels, fewer and fewer."""
    for most in (7, 5, 4, 3, 2, 1):
        values = np.asarray(plain_ticks(most)[0].tick_values(low, high)).tolist()
        step = values[1] - values[0]
        decimals = next(
            (n for n in range(12) if abs(step * 10**n - round(step * 10**n)) < 1e-6), 12
        )
        shown = [value for value in values if low <= value <= high]
        yield shown, [f"{value:z.{decimals}f}".replace("-", MINUS) for value in shown]


def log_ticks(low: float, high: float) -> Iterator[Ticks]:
    """Return round ticks of a logarithmic axis with their labels, fewer and fewer."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors, stride in (((1, 2, 5), 1), ((1,), 1), ((1,), 2), ((1,), 3), ((1,), 6)):
        values = [factor * 10.0**n for n in decades if n % stride == 0 for factor in factors]
        shown = [value for value in values if low <= value <= high]
        yield shown, [_short(value) for value in shown]


def _short(value: float) -> str:
    unit = next((unit for unit in SUFFIXES if value >= unit), 1.0)
    return f"{value / unit:g}{SUFFIXES.get(unit, '')}"


def choose_ticks(axes: Axes, choices: Iterable[Ticks], reach: float) -> Ticks:
    """Return the first ticks of the x axis whose labels keep apart; of the last, those that do.

    Args:
        axes: with its limits and its scale.
        choices: places and labels, fewer and fewer.
        reach: inches by which a label may stick out of the plot; those that do by more go.
    """
    width = axes.bbox.width / RESOLUTION
    chosen: Ticks = ([], [])
    for values, labels in choices:
        places = axes.transData.transform([(x, 0) for x in values])[:, 0] - axes.bbox.x0
        kept: list[int] = []
        end, num_dropped = -reach, 0
        for number, (place, label) in enumerate(zip(places / RESOLUTION, labels, strict=True)):
            half = text_width(label) / 2
            if place - half < -reach or place + half > width + reach:
                continue  # sticks out, as every choice may
            if place - half < end:
                num_dropped += 1
                continue
            kept.append(number)
            end = place + half + LEAST_GAP
        chosen = [values[n] for n in kept], [labels[n] for n in kept]
        if not num_dropped:
            break
    return chosen
