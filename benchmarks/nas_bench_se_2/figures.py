"""Writes what the table says into README.md and docs/measured.md, so that it grows with the table.

The figures stand between two comments; nothing else of the texts is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.nas_bench_se_2.decompose import (
    Estimate,
    correlate,
    effects_of,
    find_whole_parts,
    measure_mean,
    measure_spread,
    standard_error,
)
from benchmarks.nas_bench_se_2.definition import BACKBONE, FOLDER, NUM_LEVELS
from benchmarks.nas_bench_se_2.table import EPOCHS, Images, NASBenchSE2
from benchmarks.pages import renew_part
from se_search.report.format import count

BEGIN, END = "<!-- figures of NAS-Bench-SE 2 -->", "<!-- end of the figures -->"
TEXTS = (FOLDER / "README.md", FOLDER.parents[1] / "docs" / "measured.md")
IMAGES: tuple[Images, ...] = ("validation", "test")
RATIOS = ("r4", "r8", "r16", "r32")
PLAIN, EVERYWHERE = 0, 1  # orders of the network without SE and of r = 16 everywhere
PART_SIZE = NUM_LEVELS**3
SIGNED = "+z.2f"  # z: no minus before 0.00
FEWEST = 2  # networks and replicates

Accuracies = Mapping[Images, pd.DataFrame]


def renew_figures(table: NASBenchSE2, texts: Sequence[Path] = TEXTS) -> None:
    """Replace the figures in some texts by those of a table.

    Raises:
        RunError: a text lacks one of the comments between which the figures stand.
    """
    figures = describe_figures(table)
    for path in texts:
        renew_part(path, BEGIN, END, figures)


def describe_figures(table: NASBenchSE2) -> str:
    """Return the figures of a table as Markdown."""
    accuracies = {images: table.accuracies(images) for images in IMAGES}
    num_networks, num_replicates = accuracies["test"].shape
    head = f"{count(num_networks, 'network')} x {count(num_replicates, 'replicate')}"
    if num_networks < FEWEST or num_replicates < FEWEST:
        return f"{head} so far: too few for standard deviations and intervals."
    sections = [
        [f"{head}, trainings of {EPOCHS} epochs; 95 % intervals in brackets."],
        _write_spread(accuracies),
        *_write_differences(accuracies, table.networks()),
        _write_correlations(accuracies, num_replicates),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections)


def _write_spread(accuracies: Accuracies) -> list[str]:
    found = [measure_spread(accuracies[images].to_numpy()) for images in IMAGES]
    return [
        *_head("standard deviation, points", "validation images", "test images"),
        _row("networks", (spread.networks for spread in found)),
        _row("level of a replicate", (spread.levels for spread in found)),
        _row("rest: replicate x network, and noise", (spread.rest for spread in found)),
    ]


def _write_differences(accuracies: Accuracies, networks: pd.DataFrame) -> list[list[str]]:
    everywhere = (
        measure_mean(100 * (frame.loc[EVERYWHERE] - frame.loc[PLAIN]).to_numpy(float))
        for frame in accuracies.values()
    )
    means = [
        *_head("mean difference, points", "validation images", "test images"),
        _row("r = 16 everywhere less no SE", everywhere, SIGNED),
    ]
    whole = find_whole_parts(networks.loc[accuracies["test"].index], PART_SIZE)
    if whole.empty:
        return [means]
    by_ratio = _head("test images, points", *(f"r = {ratio[1:]}" for ratio in RATIOS))
    for stage in BACKBONE.stages:
        effects = {
            images: effects_of(frame.loc[whole.index], whole[f"x_stage{stage}"])
            for images, frame in accuracies.items()
        }
        pooled = (measure_mean(each.mean().to_numpy()) for each in effects.values())
        means.append(_row(f"SE in stage {stage} less none there", pooled, SIGNED))
        cells = (
            f"{row.mean():{SIGNED}} ± {standard_error(row):.2f}"
            for row in (effects["test"].loc[ratio].to_numpy() for ratio in RATIOS)
        )
        by_ratio.append(f"| SE in stage {stage} less none there | {' | '.join(cells)} |")
    return [means, by_ratio]


def _write_correlations(accuracies: Accuracies, num_replicates: int) -> list[str]:
    found = correlate(accuracies["validation"].to_numpy(), accuracies["test"].to_numpy())
    half = num_replicates // 2
    return [
        *_head("correlation over networks of validation and test accuracy", ""),
        _row("one training of each network", [found.single]),
        _row(f"means of all {num_replicates} replicates", [found.means]),
        _row(
            f"validation: half of the replicates ({half}); test: the others "
            f"({num_replicates - half})",
            [found.apart],
        ),
    ]


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def _row(name: str, estimates: Iterable[Estimate], form: str = ".2f") -> str:
    cells = (f"{e.value:{form}} ({e.low:{form}} to {e.high:{form}})" for e in estimates)
    return f"| {name} | {' | '.join(cells)} |"
