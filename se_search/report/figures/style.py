"""How every figure looks: sizes, fonts, colours, and how it is written.

Figures are matplotlib's objects without pyplot: nothing global is changed and no window opens. All
lengths are inches, all font sizes points. Colours are those of Okabe and Ito (2008, Color Universal
Design), and no figure rests on hue alone: each kind of mark has its own shape or line style, too.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from se_search.errors import UnwritableError
from se_search.store.files import write_bytes
from se_search.terminal import one_line

# The widths of one and of two columns in the two-column formats of the field's conferences.
ONE_COLUMN, TWO_COLUMNS = 3.3, 6.9
MINUS = "\N{MINUS SIGN}"
RESOLUTION = 300  # dots an inch, what publishers ask of line art with text
ON_SCREEN = 120  # dots an inch in a notebook: two columns are 828 pixels wide

TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 8.5, 7.5, 6.5
LINE_HEIGHT = 0.135  # of text in TEXT_SIZE
MARGIN = 0.06

INK, GREY, PALE, FAINT = "#222222", "#5f5f5f", "#a3a3a3", "#e4e4e4"
VERMILION, BLUE, GREEN, PURPLE, ORANGE, SKY = (
    *("#d55e00", "#0072b2", "#009e73"),
    *("#b15a8d", "#c98a00", "#3a9bd0"),
)
# What tells several curves apart: a colour, a marker and a line style each.
CYCLE: tuple[tuple[str, str, Any], ...] = (
    (VERMILION, "o", "-"),
    (BLUE, "s", "--"),
    (GREEN, "^", "-."),
    (PURPLE, "D", ":"),
    (ORANGE, "v", (0, (5, 1, 1, 1, 1, 1))),
    (SKY, "P", (0, (7, 2))),
)

_SETTINGS: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT_SIZE,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": RESOLUTION,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that text is as wide everywhere
    "font.size": TEXT_SIZE,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "pdf.fonttype": 42,  # TrueType: many conferences refuse type 3 fonts
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is one
    "xtick.color": INK,
    "xtick.labelsize": TEXT_SIZE,
    "xtick.major.width": 0.6,
    "ytick.color": INK,
    "ytick.labelsize": TEXT_SIZE,
    "ytick.major.width": 0.6,
}
# Without a date or a version, in each kind of file that figures are written as.
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}
_DIGEST_FIELDS = {"png": "Comment", "pdf": "Keywords"}
# Suffixes of pictures that a user may wish for; any other dot belongs to a name, as in "v1.2".
OTHER_KINDS = (
    *(".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".svg", ".svgz", ".eps", ".ps", ".pgf"),
)
# Belong to windows and files of matplotlib's own, not to how a figure looks.
_LEFT_ALONE = ("backend", "toolbar", "interactive", "timezone", "webagg.", "tk.", "keymap.")


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the style within a ``with`` block, whatever the user's matplotlibrc says."""
    settings: dict[Any, Any] = {
        key: value
        for key, value in matplotlib.rcParamsDefault.items()
        if not key.startswith(_LEFT_ALONE)
    }
    with matplotlib.rc_context(settings | _SETTINGS):
        yield


class ShownFigure(Figure):
    """A figure that a notebook shows, though pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows."""
        contents = io.BytesIO()
        with figure_style():
            self.savefig(contents, format="png", dpi=ON_SCREEN)
        return contents.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure with a canvas that can draw it."""
    figure = ShownFigure(figsize=(width, height), dpi=RESOLUTION)
    FigureCanvasAgg(figure)
    return figure


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add a pair of axes whose plot begins at (left, top) of the figure, in inches."""
    whole_width, whole_height = figure.get_size_inches()
    bottom = whole_height - top - height
    box = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    axes = figure.add_axes(box)
    axes.set_axisbelow(True)
    return axes


def write(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    size: float = TEXT_SIZE,
    color: str = INK,
    align: str = "left",
) -> Text:
    """Write a line of text whose middle is ``y`` inches below the top of the figure."""
    width, height = figure.get_size_inches()
    return figure.text(
        x / width, 1 - y / height, text, size=size, color=color, ha=align, va="center"
    )


def write_axis_name(axes: Axes, name: str, distance: float) -> None:
    """Write the name of a vertical axis, its middle ``distance`` inches left of the plot."""
    axes.set_ylabel(name, va="center")
    width = axes.bbox.width / RESOLUTION
    axes.yaxis.set_label_coords(-distance / width, 0.5)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG and as PDF, each whole or not at all.

    The size on paper is the figure's own. Neither file holds a date, so that one figure always
    gives one sequence of bytes.

    Args:
        figure: what is written.
        path: of the PNG, or without a suffix; the PDF lies beside it.

    Returns:
        The paths of the PNG and of the PDF.

    Raises:
        UnwritableError: the name is that of a picture of another kind, or a file can't be written.
    """
    written = name_files(path)
    for each in written:
        save_one(each, figure)
    return written


def save_if_changed(
    draw: Callable[[], Figure], path: Path, content: str, modules: Sequence[str]
) -> list[Path]:
    """Write a figure as ``save`` does, unless its files are there and show its content already.

    Drawing takes half a second of CPU. Both files keep a digest of the content, of the code that
    drew it and of matplotlib's version.

    Args:
        draw: makes the figure.
        path: of the PNG, or without a suffix; the PDF lies beside it.
        content: all that the figure shows.
        modules: the files of code that draw it, besides this one.

    Raises:
        UnwritableError: the name is that of a picture of another kind, or a file can't be written.
    """
    code = [Path(module).read_bytes() for module in (__file__, *modules)]
    parts = (content.encode(), matplotlib.__version__.encode(), *code)
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    written = name_files(path)
    if all(each.is_file() and digest.encode() in each.read_bytes() for each in written):
        return written
    figure = draw()
    for each in written:
        save_one(each, figure, digest)
    return written


def name_files(path: Path) -> list[Path]:
    """Return the paths of the PNG and of the PDF that ``save`` writes for a path.

    Raises:
        UnwritableError: the name is that of a picture of another kind, or nothing but a suffix.
    """
    stem = path.name.removesuffix(".png").removesuffix(".pdf")
    if not stem:
        raise UnwritableError(path, OSError("it has no name before its suffix"))
    if path.suffix.lower() in OTHER_KINDS:
        raise UnwritableError(
            path, OSError("figures are written as .png, with a .pdf beside it, and as nothing else")
        )
    return [path.with_name(f"{stem}.{kind}") for kind in _METADATA]


def save_one(path: Path, figure: Figure, digest: str | None = None) -> None:
    """Write a figure as PNG or as PDF, whichever the path ends in; see ``save``.

    Args:
        path: the file.
        figure: what is written.
        digest: kept in the file as it is, of what the figure shows; None: nothing is.

    Raises:
        UnwritableError: the file can't be written.
    """
    kind = path.suffix.removeprefix(".")
    metadata = _METADATA[kind] | ({} if digest is None else {_DIGEST_FIELDS[kind]: digest})
    contents = io.BytesIO()
    with figure_style():
        figure.savefig(contents, format=kind, dpi=RESOLUTION, metadata=metadata)
    write_bytes(path, contents.getvalue())


@cache
def text_width(text: str, size: float = TEXT_SIZE) -> float:
    """Return how wide a line of text is, in inches."""
    width, _, _ = _renderer().get_text_width_height_descent(text, _font(size), ismath=False)
    return float(width) / RESOLUTION


@cache
def line_height(size: float = TEXT_SIZE) -> float:
    """Return how tall a line of text is in inches, letters that hang below it included."""
    _, height, _ = _renderer().get_text_width_height_descent("lp", _font(size), ismath=False)
    return float(height) / RESOLUTION


def drawable(text: str) -> str:
    """Return a text in one line that the font can draw: what it lacks becomes a mark."""
    known = _known_signs()
    return "".join(
        sign if ord(sign) in known else "\N{REPLACEMENT CHARACTER}" for sign in one_line(text)
    )


def shorten(text: str, width: float, size: float = TEXT_SIZE) -> str:
    """Cut a text that is wider than ``width`` inches; an ellipsis then ends it."""
    if text_width(text, size) <= width:
        return text
    low, high = 0, len(text)  # characters: `low` of them fit, `high` of them do not
    while high - low > 1:
        middle = (low + high) // 2
        fits = text_width(f"{text[:middle].rstrip()}…", size) <= width
        low, high = (middle, high) if fits else (low, middle)
    return f"{text[:low].rstrip()}…"


def wrap(text: str, width: float, size: float = TEXT_SIZE) -> list[str]:
    """Break a text between words into lines that are at most ``width`` inches wide."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten(word, width, size))
    return lines


class Header:
    """What stands above a plot: a title, notes in small grey print, and a legend.

    Its height is known before there is a figure, because that decides the figure's own.

    Args:
        width: of the figure.
        title: one line; what does not fit is cut.
        note: as many lines as it takes.
        handles: of the legend; each has a label.
    """

    def __init__(self, width: float, title: str, note: str, handles: Sequence[Artist]) -> None:
        room = width - 2 * MARGIN
        self._title = shorten(drawable(title), room, TITLE_SIZE)
        self._lines = wrap(drawable(note), room)
        self._handles = handles
        widths = [text_width(str(handle.get_label())) + 0.5 for handle in handles]
        fitting = math.floor(room / max(widths, default=1.0))
        self._columns = len(handles) if sum(widths) <= room else max(1, fitting)
        self.height = (
            MARGIN
            + (0.19 if title else 0.0)
            + LINE_HEIGHT * len(self._lines)
            + (0.05 + 0.16 * math.ceil(len(handles) / self._columns) if handles else 0.0)
        )

    def draw(self, figure: Figure) -> None:
        """Draw it at the top of a figure."""
        y = MARGIN
        if self._title:
            write(figure, MARGIN, y + 0.08, self._title, size=TITLE_SIZE)
            y += 0.19
        for line in self._lines:
            write(figure, MARGIN, y + LINE_HEIGHT / 2, line, color=GREY)
            y += LINE_HEIGHT
        if self._handles:
            width, height = figure.get_size_inches()
            figure.legend(
                handles=list(self._handles),
                loc="upper left",
                bbox_to_anchor=(MARGIN / width, 1 - (y + 0.03) / height),
                bbox_transform=figure.transFigure,
                ncols=self._columns,
                frameon=False,
                fontsize=TEXT_SIZE,
                borderpad=0,
                borderaxespad=0,
                handlelength=2.2,
                handletextpad=0.5,
                columnspacing=1.4,
                labelspacing=0.35,
            )


def signed(value: float, decimals: int = 2) -> str:
    """Write a difference with its sign; what rounds to zero is ``+0.00``."""
    return f"{value:+z.{decimals}f}".replace("-", MINUS)


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """Write a difference with its interval where that is known: ``+0.12 (−0.10 to +0.34)``."""
    if low is None or high is None:
        return signed(value)
    return f"{signed(value)} ({signed(low)} to {signed(high)})"


def padded(low: float, high: float, share: float = 0.05) -> tuple[float, float]:
    """Widen a range at both ends by a share of its length; an empty one becomes a range, too."""
    size = max(abs(low), abs(high), 1.0)
    pad = share * (high - low)
    if pad < 1e-9 * size:  # too small for ticks that differ
        pad = 0.01 * size
    return low - pad, high + pad


def plain_ticks(num_ticks: int) -> tuple[MaxNLocator, ScalarFormatter]:
    """Return what sets at most ``num_ticks`` round ticks, and writes them out in full."""
    formatter = ScalarFormatter(useOffset=False)
    formatter.set_scientific(False)
    return MaxNLocator(num_ticks, steps=[1, 2, 2.5, 5, 10]), formatter


@cache
def _font(size: float) -> FontProperties:
    return FontProperties(family=["DejaVu Sans"], size=size)


@cache
def _known_signs() -> frozenset[int]:
    return frozenset(get_font(findfont(_font(TEXT_SIZE))).get_charmap())


@cache
def _renderer() -> Any:  # matplotlib gives it no types
    return RendererAgg(8, 8, RESOLUTION)  # type: ignore[no-untyped-call]
