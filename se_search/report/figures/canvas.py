"""A sheet to draw on with Pillow; loading a plotting library alone would take a second of CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

INK: Color = (34, 34, 34)
GREY: Color = (110, 110, 110)
FAINT: Color = (226, 226, 226)

# Drawn twice as large and scaled down, which smooths the lines.
SCALE = 2


class Canvas:
    """A white sheet, addressed in pixels of the finished picture."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), "white")
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: Sequence[tuple[float, float]], color: Color, width: float = 1) -> None:
        """Draw a line through points."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, fill=color, width=round(width * SCALE), joint="curve")

    def area(self, points: Sequence[tuple[float, float]], color: Color, opacity: float) -> None:
        """Fill a polygon so that what lies below it shines through; opacity is 0..1."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        draw = ImageDraw.Draw(self._image, "RGBA")
        draw.polygon(scaled, fill=(*color, round(255 * opacity)))

    def dot(self, x: float, y: float, radius: float, color: Color) -> None:
        """Draw a filled circle."""
        edges = [(x - radius) * SCALE, (y - radius) * SCALE]
        self._draw.ellipse([*edges, (x + radius) * SCALE, (y + radius) * SCALE], fill=color)

    def box(self, x: float, y: float, width: float, height: float, fill: Color) -> None:
        """Draw a filled rectangle with a thin border and round corners; (x, y) is its top left."""
        corners = [x * SCALE, y * SCALE, (x + width) * SCALE, (y + height) * SCALE]
        self._draw.rounded_rectangle(corners, radius=4 * SCALE, fill=fill, outline=GREY)

    def text(
        self, x: float, y: float, text: str, anchor: str, size: int = 12, color: Color = INK
    ) -> None:
        """Write text; ``anchor`` as Pillow has it: ``lm`` is left, middle."""
        font = ImageFont.load_default(size * SCALE)
        self._draw.text((x * SCALE, y * SCALE), text, fill=color, font=font, anchor=anchor)

    def save(self, path: Path) -> None:
        """Write a PNG, whole or not at all."""
        image = self._image.reduce(SCALE)
        temporary = path.with_name(f".{path.name}.tmp")
        image.save(temporary, format="PNG")
        temporary.replace(path)


def shorten(text: str, size: int, width: float) -> str:
    """Cut a text that is wider than ``width`` pixels, which three dots then end."""
    font = ImageFont.load_default(size)
    if font.getlength(text) <= width:
        return text
    while font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def linear_scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return what maps ``low`` to the pixel ``start``, ``high`` to ``end``, and all between."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def spread_out(wanted: Sequence[float], first: float, last: float, gap: float) -> list[float]:
    """Move ascending heights just so far that neighbours are ``gap`` apart, in first..last."""
    heights: list[float] = []
    for height in wanted:
        heights.append(max(height, heights[-1] + gap if heights else first))
    ends = [last - gap * num_below for num_below in reversed(range(len(heights)))]
    return [min(height, end) for height, end in zip(heights, ends, strict=True)]
