"""Draws a difference with its interval as a bar on a line: inline SVG for rows of tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

PAD = 5  # pixels beside the outermost ends


@dataclass(frozen=True, slots=True)
class IntervalScale:
    """Where differences lie on lines of ``width`` pixels: from ``low`` to ``high``, 0 included."""

    low: float
    high: float
    width: int = 112

    @classmethod
    def of(cls, ends: Iterable[float | None], width: int = 112) -> IntervalScale:
        """Return the scale that holds all of the numbers that are known."""
        known = [0.0, *(end for end in ends if end is not None)]
        low, high = min(known), max(known)
        return cls(low, high if high > low else low + 1.0, width)

    def place(self, value: float) -> float:
        """Return how far from the left a number lies, in pixels; none lies outside."""
        share = (value - self.low) / (self.high - self.low)
        return PAD + (self.width - 2 * PAD) * min(1.0, max(0.0, share))


def draw_interval(
    value: float, low: float | None, high: float | None, scale: IntervalScale, kind: str = "open"
) -> Markup:
    """Draw a difference as a dot, its interval as a bar, and zero as a line.

    It repeats a number that stands beside it, so that it is hidden from screen readers.

    Args:
        value: the difference.
        low: lower end of its interval; None: not known.
        high: upper end of its interval; None: not known.
        scale: of all rows of the table.
        kind: ``sure``: the dot is filled; ``open``: it is hollow; ``bad``: filled, of harm.
    """
    bar = Markup("")
    if low is not None and high is not None:
        bar = Markup('<path class="bar" d="M{:.1f} 9H{:.1f}"/>').format(
            scale.place(low), scale.place(high)
        )
    return Markup(
        '<svg class="interval {kind}" width="{w}" height="18" viewBox="0 0 {w} 18" '
        'aria-hidden="true"><path class="zero" d="M{z:.1f} 1V17"/>{bar}'
        '<circle cx="{x:.1f}" cy="9" r="3.6"/></svg>'
    ).format(kind=kind, w=scale.width, z=scale.place(0.0), bar=bar, x=scale.place(value))
