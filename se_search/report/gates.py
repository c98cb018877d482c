"""Reports what the gates of a candidate do: sentences, a table, CSV files and the figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from se_search.analysis.gate_rows import GateRow, summary_rows
from se_search.analysis.gates import NEAR, GateStatistics
from se_search.report.console import print_folder, print_text
from se_search.report.figures.forest import Bar, Forest, ForestRow, Section, Series
from se_search.report.format import common_decimals, count, gain, number
from se_search.report.table import Column, ResultTable
from se_search.store.files import WrittenFiles, describe_unwritten, write_table
from se_search.store.gates_file import GateProfile, GatesFiles, GatesFound, write_gates

if TYPE_CHECKING:
    import pandas as pd

FIELDS = tuple(field.name for field in fields(GateRow))
BY_CLASS_FIELDS = ("site", "channel", "class", "mean", "sd")
ALL_IMAGES = "all"
MAX_CSV_ROWS = 500_000  # of gates_by_class.csv: what a spreadsheet still opens
NOTHING_LOST = 0.005  # share of the images: an interval up to there says that constants would do
MAX_CHANNELS = 64  # that a line of the figure has
MAX_PANELS = 8


def choose_panels(sites: Sequence[str]) -> list[str]:
    """Return the blocks that the figure shows: all, or the last of each stage.

    With many blocks, as in the paper's figures 6 and 7: the last block of each stage, and the
    blocks before it in the last stage, as far as there is room.
    """
    if len(sites) <= MAX_PANELS:
        return list(sites)
    lasts = {site.partition(".")[0]: site for site in sites}
    last_stage = list(lasts)[-1]
    own = [site for site in sites if site.partition(".")[0] == last_stage]
    chosen = {*list(lasts.values())[-MAX_PANELS:]}
    for site in reversed(own):
        if len(chosen) < MAX_PANELS:
            chosen.add(site)
    return [site for site in sites if site in chosen]


def make_profile(
    site: str, block: GateStatistics, names: Sequence[str], shown: Sequence[int]
) -> GateProfile:
    """Return the lines of a block's panel.

    Args:
        site: of the block.
        block: its gates.
        names: of all classes.
        shown: numbers of the classes that have a line.
    """
    total = len(block.channel_means)
    chosen = np.unique(np.linspace(0, total - 1, min(total, MAX_CHANNELS)).round().astype(int))
    return GateProfile(
        site,
        tuple(chosen.tolist()),
        total,
        _rounded(block.channel_means[chosen]),
        {names[k]: _rounded(block.class_means[k, chosen]) for k in shown},
    )


def write_gate_files(
    files: GatesFiles, found: GatesFound, blocks: Mapping[str, GateStatistics], names: Sequence[str]
) -> WrittenFiles:
    """Write the CSV files, the figure and ``gates.json``.

    Args:
        files: where they go.
        found: what has been seen.
        blocks: the gates of the first replicate, by site.
        names: of all classes.
    """
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.gates import draw_gates, prepare_gates
    from se_search.report.figures.style import save_one

    written = WrittenFiles()
    figure = draw_gates(prepare_gates(found, describe_gates(found)))
    for path in (files.png, files.pdf):
        written.attempt(save_one, path, figure)
    written.attempt(write_table, files.csv, FIELDS, [asdict(row) for row in found.rows])
    shown = list(found.profiles[0].by_class)
    rows = class_rows(blocks, names, shown)
    written.attempt(write_table, files.by_class_csv, BY_CLASS_FIELDS, rows)
    written.attempt(write_gates, files.json, found)
    return written


def class_rows(
    blocks: Mapping[str, GateStatistics], names: Sequence[str], shown: Sequence[str]
) -> list[tuple[object, ...]]:
    """Return the rows of ``gates_by_class.csv``.

    All classes have rows, or, where they would be too many, those of the figure; class ``all`` is
    the mean over all images.

    Args:
        blocks: by site.
        names: of all classes.
        shown: names of the classes of the figure.
    """
    num_channels = sum(len(block.channel_means) for block in blocks.values())
    wanted = names if num_channels * (len(names) + 1) <= MAX_CSV_ROWS else shown
    numbers = [number for number, name in enumerate(names) if name in wanted]
    rows: list[tuple[object, ...]] = []
    for site, block in blocks.items():
        pairs = zip(block.channel_means.tolist(), block.channel_sds.tolist(), strict=True)
        for channel, (mean, sd) in enumerate(pairs):
            rows.append((site, channel, ALL_IMAGES, mean, sd))
            rows += [
                (site, channel, names[k], float(block.class_means[k, channel]), None)
                for k in numbers
            ]
    return rows


def frame_gates(found: GatesFound | None) -> pd.DataFrame:
    """Return a row for each block, stage and all of them; none where gates have not been seen."""
    import pandas as pd

    rows = [] if found is None else [asdict(row) for row in found.rows]
    return pd.DataFrame(rows, columns=list(FIELDS))


def gates_event(files: GatesFiles, found: GatesFound, written: WrittenFiles) -> dict[str, Any]:
    """Return what has been seen as plain data, for a program that reads it."""
    plain = asdict(found)
    del plain["profiles"]
    return {
        "event": "gates",
        "folder": str(files.folder),
        **plain,
        "sentences": list(describe_findings(found)),
        "files": [str(path) for path in written.written],
        "unwritten": describe_unwritten(written.unwritten),
    }


def print_gates(
    console: Console, files: GatesFiles, found: GatesFound, written: WrittenFiles
) -> None:
    """Print the sentences, the table, and where the files lie."""
    print_text(console, "\n".join(describe_findings(found)))
    console.print(gates_table(found))
    print_text(console, caution(found))
    print_folder(console, files.folder, written.written, written.unwritten)


def gates_table(found: GatesFound) -> ResultTable:
    """Lay out the gates of each block beside what is lost without them."""
    table = ResultTable(
        [
            Column("gates of", is_number=False, is_name=True),
            Column("mean", rank=2),
            Column("sd channels", rank=4),
            Column("spread"),
            Column("class share"),
            Column("near 1 (%)", rank=3),
            Column("near 0 (%)", rank=5),
            Column("near constant (%)", rank=6),
            Column("drop (95 %)"),
            Column("rank", rank=1),
        ],
        title=describe_gates(found),
        caption="drop: accuracy lost with constants for gates, in points",
    )
    rows = summary_rows(found.rows)
    decimals = common_decimals((row.drop_low, row.drop_high) for row in rows)
    scope = "block"
    for row in rows:
        if row.scope != scope:
            table.add_section()
            scope = row.scope
        table.add_row(
            name_place(row),
            number(row.mean),
            number(row.sd_channels),
            number(row.variation),
            number(row.class_share, "z.2f"),
            *(_share(value) for value in (row.near_one, row.near_zero, row.near_constant)),
            gain(row.drop, row.drop_low, row.drop_high, decimals=decimals),
            number(row.rank, "d", unknown=""),
        )
    return table


def prepare_drops(found: GatesFound) -> Forest:
    """Return the figure of what is lost with constants for gates, largest block first."""
    rows = summary_rows(found.rows)
    blocks = sorted((row for row in rows if row.scope == "block"), key=lambda row: row.rank or 0)
    others = [row for row in rows if row.scope != "block"]
    decimals = common_decimals((row.drop_low, row.drop_high) for row in rows)
    sections = {"blocks": blocks, "stages, and all": others}
    return Forest(
        title="",
        note=caution(found),
        axis="accuracy lost with constants for gates (points)",
        zero="nothing",
        series=(Series("drop", "o", "#d55e00"),),
        sections=tuple(
            Section(heading, tuple(_forest_row(row, decimals) for row in members))
            for heading, members in sections.items()
            if members
        ),
        columns=("points (95 %)",),
    )


def describe_gates(found: GatesFound) -> str:
    """Return whose gates they are, in a phrase."""
    return f"Gates of {found.placement}"


def describe_findings(found: GatesFound) -> list[str]:
    """Return what the gates say, a sentence each: which matter, for which classes, how far open."""
    rows = summary_rows(found.rows)
    blocks = sorted((r for r in rows if r.scope == "block"), key=lambda row: row.rank or 0)
    everything = rows[-1]
    first, more = blocks[0], len(blocks) > 1
    spare = [row for row in blocks if not _is_lost(row)]
    sentences = []
    if _is_lost(first):
        others = f"; without those of all {len(blocks)} blocks {_loss(everything)}" if more else ""
        sentences.append(
            f"Most is lost without the gates of {name_place(first)}: {_loss(first)}{others}."
        )
    elif _is_lost(everything):
        sentences.append(
            f"No block alone loses anything by constants that {_images(found)} show; all "
            f"{len(blocks)} blocks at once lose {_loss(everything)}."
        )
    else:
        where = f"all {len(blocks)} blocks" if more else name_place(first)
        high = everything.drop if everything.drop_high is None else everything.drop_high
        shown = f"{_images(found)} show no loss, the drop is {_loss(everything)}"
        sentences.append(
            f"Constants could stand for the gates of {where}: {shown}."
            if high <= NOTHING_LOST
            else f"Constants for the gates of {where}: {shown}. More images could tell."
        )
    if spare and len(spare) < len(blocks):
        most = max(row.drop if row.drop_high is None else row.drop_high for row in spare)
        sentences.append(
            f"No loss is shown at {_list(spare)}: constants at one of them lose {100 * most:.2f} "
            "points at most."
        )
    in_order = [row for row in rows if row.scope == "block"]
    sentences.append(_describe_classes(in_order))
    sentences.append(_describe_openness(in_order))
    return sentences


def caution(found: GatesFound) -> str:
    """Say what the drops rest on, and what they do not tell."""
    images = _images(found)
    if len(found.replicates) == 1:
        whose = (
            f"Intervals are for other images ({images} validated) and for the weights of replicate "
            f"{found.replicates[0]:,} as they are; --replicates tells of other weights."
        )
    else:
        whose = (
            f"Means over {count(len(found.replicates), 'replicate')} of {images} each; intervals "
            "are for fresh replicates."
        )
    return (
        f"{whose} The constants are mean gates over {count(found.num_train, 'image')} that trained "
        "it. A network that is trained without a block may make up for it: docs/gates.md."
    )


def name_place(row: GateRow) -> str:
    """Return a block, a stage or all of them as tables have it: ``s5.1``, ``stage 5``, ``all``."""
    if row.scope == "block":
        return row.place.replace("stage", "s").replace(".block", ".")
    return row.place.replace("stage", "stage ") if row.scope == "stage" else "all"


def _describe_classes(blocks: Sequence[GateRow]) -> str:
    known = [row for row in blocks if row.class_share is not None]
    if not known:
        return "All gates are constants: no gate differs between two images."
    low = min(known, key=lambda row: row.class_share or 0)
    high = max(known, key=lambda row: row.class_share or 0)
    if low is high:
        return f"Classes tell {_share(high.class_share)} % of the gates' variance over images."
    return (
        f"Classes tell {_share(low.class_share)} % of the gates' variance over images in "
        f"{name_place(low)}, and {_share(high.class_share)} % in {name_place(high)}."
    )


def _describe_openness(blocks: Sequence[GateRow]) -> str:
    means = sorted(row.mean or 0.0 for row in blocks)
    spreads = sorted(row.variation for row in blocks if row.variation is not None)
    last = blocks[-1]
    text = f"Mean gates of blocks are {_range(means, '.2f')}"
    if spreads:
        percents = [100 * spread for spread in spreads]
        text += f"; over images a gate varies by {_range(percents, '.0f')} % of its mean"
    if all(map(_has_stayed, blocks)):
        starts = " and ".join(f"{start:g}" for start in sorted({row.start or 0 for row in blocks}))
        return f"{text}: they have stayed near {starts}, where untrained gates begin."
    return (
        f"{text}; in the last block, {name_place(last)}, {_share(last.near_one)} % are within "
        f"0.05 of 1 and {_share(last.near_zero)} % of 0."
    )


def _has_stayed(row: GateRow) -> bool:
    """Tell whether the gates of a block are still about where an untrained gate is."""
    if row.start is None or row.mean is None:
        return False
    spread = max(row.sd_channels or 0.0, row.sd_images or 0.0)
    return abs(row.mean - row.start) <= NEAR and spread <= NEAR


def _range(ascending: Sequence[float], form: str) -> str:
    low, high = (format(ascending[place], form) for place in (0, -1))
    return low if low == high else f"{low} to {high}"


def _forest_row(row: GateRow, decimals: int) -> ForestRow:
    low, high = (None if end is None else 100 * end for end in (row.drop_low, row.drop_high))
    text = gain(row.drop, row.drop_low, row.drop_high, decimals=decimals)
    return ForestRow(name_place(row), (Bar(100 * row.drop, low, high),), (text,))


def _is_lost(row: GateRow) -> bool:
    """Tell whether an interval says that something is lost."""
    return row.drop_low is not None and row.drop_low > 0


def _images(found: GatesFound) -> str:
    return count(found.num_validation, "image")


def _loss(row: GateRow) -> str:
    return gain(row.drop, row.drop_low, row.drop_high, "points").removeprefix("+")


def _list(rows: Sequence[GateRow]) -> str:
    return ", ".join(name_place(row) for row in rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * max(0.0, value):.0f}"


def _rounded(values: Any) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)
