"""Draws where the SE blocks of a candidate sit: as text, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from rich.table import Table

from se_search.candidate import SE, Candidate, Site
from se_search.cost import count_cost
from se_search.report.figures.canvas import GREY, Canvas, Color

CELL_WIDTH, CELL_HEIGHT, GAP = 124, 54, 8
LABEL_WIDTH, MARGIN, HEADER = 96, 24, 76
BLOCKS_PER_ROW = 8

PLAIN: Color = (244, 244, 244)
COLORS: dict[str, Color] = {
    "standard": (190, 214, 240),
    "pre": (204, 232, 200),
    "post": (248, 214, 170),
    "identity": (226, 206, 240),
    "inner": (250, 204, 204),
    "rectified": (200, 232, 236),
    "native": (236, 228, 180),
}


def describe_block(block: SE | None, site: Site) -> tuple[str, str]:
    """Return what a block is called in a drawing: its integration, and ``fc [16, 256]``.

    The two numbers are the output widths of the two fully connected layers, as in the paper's
    table 1.
    """
    if block is None:
        return "-", ""
    channels = site.feature_map(block.integration).channels
    inside = f"fc [{block.width}, {channels}]" if block.width else f"{channels} channels"
    variants = str(block).split(":", 1)[1].split("+")
    shown = [text for text in variants if text != str(block.width)]
    return block.integration, " ".join([inside, *shown])


def headline(candidate: Candidate) -> str:
    """Say how many blocks carry SE, and what that adds."""
    cost = count_cost(candidate)
    num_se = sum(block is not None for block in candidate.blocks)
    return (
        f"{candidate.backbone.name}: SE at {num_se} of {len(candidate.blocks)} sites, "
        f"{cost.params:,} parameters ({cost.added_params:+,}, {cost.added_params_pct:.3f} %), "
        f"{cost.macs:,} MACs ({cost.added_macs:+,}, {cost.added_macs_pct:.3f} %)"
    )


def placement_table(candidate: Candidate) -> Table:
    """Lay the sites out stage by stage, with what each carries."""
    table = Table("stage", "blocks", "SE", "added parameters")
    by_stage = count_cost(candidate).by_stage
    for stage, members in _stages(candidate):
        runs = [
            (described, [site.block for _, site in run])
            for described, run in groupby(members, key=lambda pair: describe_block(*pair))
        ]
        for index, ((integration, inside), blocks) in enumerate(runs):
            span = str(blocks[0]) if len(blocks) == 1 else f"{blocks[0]}-{blocks[-1]}"
            added = f"{by_stage[f'stage{stage}'].added_params:,}" if index == 0 else ""
            name = str(stage) if index == 0 else ""
            table.add_row(name, span, f"{integration} {inside}".strip(), added)
    return table


def draw_placement(path: Path, candidate: Candidate) -> None:
    """Draw a row of boxes a stage: a grey box is a block without SE.

    Args:
        path: the PNG that is written.
        candidate: what is drawn.
    """
    rows = [
        (stage, start, members[start : start + BLOCKS_PER_ROW])
        for stage, members in _stages(candidate)
        for start in range(0, len(members), BLOCKS_PER_ROW)
    ]
    widest = max(len(members) for _, _, members in rows)
    width = max(2 * MARGIN + LABEL_WIDTH + widest * (CELL_WIDTH + GAP), 900)
    canvas = Canvas(width, HEADER + MARGIN + len(rows) * (CELL_HEIGHT + GAP))
    canvas.text(MARGIN, 26, candidate.placement, "lm", size=15)
    canvas.text(MARGIN, 50, headline(candidate), "lm", size=11, color=GREY)
    for row, (stage, start, members) in enumerate(rows):
        y = HEADER + row * (CELL_HEIGHT + GAP)
        if start == 0:
            canvas.text(MARGIN, y + CELL_HEIGHT / 2, f"stage {stage}", "lm", size=13)
        for column, (block, site) in enumerate(members):
            x = MARGIN + LABEL_WIDTH + column * (CELL_WIDTH + GAP)
            _draw_cell(canvas, x, y, block, site)
    canvas.save(path)


def _draw_cell(canvas: Canvas, x: float, y: float, block: SE | None, site: Site) -> None:
    fill = PLAIN if block is None else COLORS[block.integration]
    canvas.box(x, y, CELL_WIDTH, CELL_HEIGHT, fill)
    integration, inside = describe_block(block, site)
    middle = x + CELL_WIDTH / 2
    canvas.text(middle, y + 12, f"block {site.block}", "mm", size=10, color=GREY)
    canvas.text(middle, y + 28, integration, "mm", size=12)
    canvas.text(middle, y + 43, inside, "mm", size=10)


def _stages(candidate: Candidate) -> Iterator[tuple[int, list[tuple[SE | None, Site]]]]:
    pairs = zip(candidate.blocks, candidate.backbone.sites, strict=True)
    for stage, members in groupby(pairs, key=lambda pair: pair[1].stage):
        yield stage, list(members)
