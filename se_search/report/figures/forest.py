"""Draws values with intervals below each other: a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from se_search.report.figures.canvas import FAINT, GREY, INK, Canvas, linear_scale, shorten
from se_search.report.figures.pareto_front import tick_values

NAME_WIDTH, PLOT_WIDTH, VALUE_WIDTH = 240, 520, 180
TOP, BOTTOM, ROW_HEIGHT = 76, 44, 26
MARGIN = 20
OWN = (34, 94, 168)
REFERENCE = (196, 68, 32)


@dataclass(frozen=True, slots=True)
class Row:
    """A value with the ends of its interval, and another one to be set beside it."""

    name: str
    value: float
    low: float
    high: float
    reference: float | None = None


def draw_forest(path: Path, rows: Sequence[Row], title: str, subtitle: str) -> None:
    """Draw a dot with its interval for each row, a cross for its reference, a line at zero.

    Args:
        path: the PNG that is written.
        rows: from top to bottom.
        title: stands above.
        subtitle: stands below it, in as many lines as it takes.
    """
    width = 2 * MARGIN + NAME_WIDTH + PLOT_WIDTH + VALUE_WIDTH
    canvas = Canvas(width, TOP + BOTTOM + ROW_HEIGHT * max(1, len(rows)))
    canvas.text(MARGIN, 24, title, "lm", size=15)
    for number, line in enumerate(_wrap(subtitle)):
        canvas.text(MARGIN, 44 + 14 * number, line, "lm", size=11, color=GREY)
    if not rows:
        canvas.text(width / 2, TOP + ROW_HEIGHT / 2, "nothing to compare yet", "mm")
        canvas.save(path)
        return
    shown = [v for row in rows for v in (row.low, row.high, row.reference or 0.0, 0.0)]
    pad = 0.05 * (max(shown) - min(shown)) or 1.0
    low, high = min(shown) - pad, max(shown) + pad
    left = MARGIN + NAME_WIDTH
    x_of = linear_scale(low, high, left, left + PLOT_WIDTH)
    bottom = TOP + ROW_HEIGHT * len(rows)
    for value in tick_values(low, high):
        canvas.line([(x_of(value), TOP), (x_of(value), bottom)], FAINT)
        canvas.text(x_of(value), bottom + 8, f"{value:+.4g}", "mt")
    canvas.line([(x_of(0), TOP), (x_of(0), bottom)], INK)
    for number, row in enumerate(rows):
        y = TOP + ROW_HEIGHT * (number + 0.5)
        canvas.text(left - 12, y, shorten(row.name, 12, NAME_WIDTH - 16), "rm")
        canvas.line([(x_of(row.low), y), (x_of(row.high), y)], OWN, width=2)
        canvas.dot(x_of(row.value), y, 4.5, OWN)
        text = f"{row.value:+.2f} ({row.low:+.2f} to {row.high:+.2f})"
        if row.reference is not None:
            x = x_of(row.reference)
            canvas.line([(x - 5, y - 5), (x + 5, y + 5)], REFERENCE, width=2)
            canvas.line([(x - 5, y + 5), (x + 5, y - 5)], REFERENCE, width=2)
        canvas.text(left + PLOT_WIDTH + 12, y, text, "lm", size=11)
    canvas.save(path)


def _wrap(text: str, width: int = 150) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
