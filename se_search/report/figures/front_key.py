"""The key below the figure of the front: what the members' numbers stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from se_search.report.figures.style import (
    GREY,
    INK,
    LINE_HEIGHT,
    MARGIN,
    TWO_COLUMNS,
    shorten,
    text_width,
    write,
)

NAME_WIDTH = 1.12  # inches, of the names where there are two columns
NUMBERS, GAINS, CHANCES = 0.24, 1.35, 0.55  # inches
GAP = 0.25


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What the key says of one member.

    Attributes:
        gain: with its interval, in points.
        chance: probability of being on the front.
    """

    number: str
    name: str
    gain: str
    chance: str


class Key:
    """A row for each named member, in two columns where the names are short.

    Its height is known before there is a figure, because that decides the figure's own.
    """

    def __init__(self, rows: Sequence[KeyRow]) -> None:
        self._rows = rows
        longest = max((text_width(row.name) for row in rows), default=0.0)
        self._columns = 2 if longest <= NAME_WIDTH and len(rows) > 3 else 1
        room = (TWO_COLUMNS - 2 * MARGIN - GAP * (self._columns - 1)) / self._columns
        self._name_width = room - NUMBERS - GAINS - CHANCES
        if self._columns == 1:
            self._name_width = min(self._name_width, max(longest, NAME_WIDTH))
        self._height = -(-len(rows) // self._columns)
        self.height = LINE_HEIGHT * (self._height + 1) + 0.06 if rows else 0.0

    def draw(self, figure: Figure, top: float) -> None:
        """Draw it below ``top`` inches of a figure."""
        for column in range(self._columns if self._rows else 0):
            left = MARGIN + column * (self._width + GAP)
            self._write(figure, left, top + LINE_HEIGHT / 2, HEADINGS, GREY)
            own = self._rows[column * self._height : (column + 1) * self._height]
            for row, member in enumerate(own, start=1):
                self._write(figure, left, top + LINE_HEIGHT * (row + 0.5) + 0.04, member)

    @property
    def _width(self) -> float:
        return NUMBERS + self._name_width + GAINS + CHANCES

    def _write(
        self, figure: Figure, left: float, y: float, row: KeyRow, color: str | None = None
    ) -> None:
        right = left + self._width
        for x, text, align in (
            (left + NUMBERS - 0.07, row.number, "right"),
            (left + NUMBERS, shorten(row.name, self._name_width), "left"),
            (right - CHANCES, row.gain, "right"),
            (right, row.chance, "right"),
        ):
            if text:
                write(figure, x, y, text, color=color or INK, align=align)


HEADINGS = KeyRow("", "SE (stage:width)", "gain, points (95 %)", "P(front)")
