"""The figure of a candidate: where its SE blocks sit, a box for each block of the network."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from se_search.candidate import Candidate
from se_search.report.figures.style import (
    GREY,
    INK,
    LINE_HEIGHT,
    MARGIN,
    PALE,
    SMALL_SIZE,
    TEXT_SIZE,
    TWO_COLUMNS,
    Header,
    figure_style,
    new_figure,
    shorten,
    write,
)
from se_search.report.placement import describe_block, headline, list_stages

BLOCKS_A_ROW = 6
LABEL_WIDTH, GAP, CELL_HEIGHT = 0.55, 0.07, 0.46

PLAIN = "#f7f7f7"
# Pale, under dark text; each integration is also named in its box.
COLORS = {
    "standard": "#bcd8ef",
    "pre": "#c6e6c3",
    "post": "#f8d9a8",
    "identity": "#e0cdf0",
    "inner": "#f9cccc",
    "rectified": "#c6e8ec",
    "native": "#ece3b0",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A block of the network.

    Attributes:
        integration: how its SE sits in it; None: it has none.
        inside: the output widths of the two fully connected layers.
        special: in what else the SE differs from the paper's, such as ``max bias``.
    """

    block: int
    integration: str | None
    inside: str
    special: str


@dataclass(frozen=True, slots=True)
class PlacementFigure:
    """What the figure of a candidate shows.

    Attributes:
        title: the candidate.
        note: how many blocks carry SE, and what that adds.
        stages: by number, the blocks in their order.
    """

    title: str
    note: str
    stages: tuple[tuple[int, tuple[Cell, ...]], ...]


def prepare_placement(candidate: Candidate) -> PlacementFigure:
    """Return what the figure shows of a candidate."""
    stages = []
    for stage, members in list_stages(candidate):
        cells = []
        for block, site in members:
            integration, inside, special = describe_block(block, site)
            name = None if block is None else integration
            cells.append(Cell(site.block, name, inside, special))
        stages.append((stage, tuple(cells)))
    return PlacementFigure(candidate.placement, headline(candidate), tuple(stages))


def draw_placement(prepared: PlacementFigure) -> Figure:
    """Draw a row of boxes a stage; a white box with a dashed edge is a block without SE."""
    rows = [
        (stage if start == 0 else None, cells[start : start + BLOCKS_A_ROW])
        for stage, cells in prepared.stages
        for start in range(0, len(cells), BLOCKS_A_ROW)
    ]
    heights = [
        CELL_HEIGHT + (LINE_HEIGHT if any(cell.special for cell in cells) else 0.0)
        for _, cells in rows
    ]
    with figure_style():
        header = Header(TWO_COLUMNS, prepared.title, prepared.note, [])
        y = header.height + 0.08
        figure = new_figure(TWO_COLUMNS, y + sum(heights) + GAP * len(rows) + MARGIN)
        header.draw(figure)
        width = (TWO_COLUMNS - 2 * MARGIN - LABEL_WIDTH) / BLOCKS_A_ROW - GAP
        for height, (stage, cells) in zip(heights, rows, strict=True):
            if stage is not None:
                write(figure, MARGIN, y + height / 2, f"stage {stage}")
            for column, cell in enumerate(cells):
                x = MARGIN + LABEL_WIDTH + column * (width + GAP)
                _draw_cell(figure, (x, y, width, height), cell)
            y += height + GAP
        return figure


def _draw_cell(figure: Figure, box: tuple[float, float, float, float], cell: Cell) -> None:
    x, y, width, height = box
    whole_width, whole_height = figure.get_size_inches()
    has_se = cell.integration is not None
    figure.add_artist(
        FancyBboxPatch(
            (x / whole_width, 1 - (y + height) / whole_height),
            width / whole_width,
            height / whole_height,
            boxstyle="square,pad=0",
            fc=COLORS[cell.integration] if cell.integration is not None else PLAIN,
            ec=INK if has_se else PALE,
            lw=0.8 if has_se else 0.6,
            ls="-" if has_se else (0, (3, 2)),
            label=cell.integration or "no SE",
        )
    )
    lines = (
        (f"block {cell.block}", SMALL_SIZE, GREY),
        (cell.integration or "no SE", TEXT_SIZE, INK if has_se else GREY),
        (cell.inside, SMALL_SIZE, INK),
        (cell.special, SMALL_SIZE, INK),
    )
    for number, (text, size, color) in enumerate(lines):
        if text:
            shown = shorten(text, width - 0.06, size)
            middle = y + 0.09 + LINE_HEIGHT * number
            write(figure, x + width / 2, middle, shown, size=size, color=color, align="center")
