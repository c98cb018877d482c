"""The figure of a study: gains over its baseline, and those of the paper beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from se_search.report.figures import forest
from se_search.report.figures.forest import Bar, Forest, ForestRow, Section, Series, draw_forest
from se_search.report.figures.style import (
    INK,
    VERMILION,
    save_if_changed,
    signed,
    with_interval,
)


@dataclass(frozen=True, slots=True)
class StudyGain:
    """By how much a candidate is more accurate than the baseline, in points.

    Attributes:
        added_pct: parameters that SE adds, in per cent of the plain network's.
        low: lower end of the 95 % interval.
        high: upper end of the 95 % interval.
        paper: the gain in the paper; None: the paper does not have it.
    """

    name: str
    added_pct: float
    gain: float
    low: float
    high: float
    paper: float | None


def prepare_study(
    gains: Sequence[StudyGain], title: str, baseline: str, ours: str, theirs: str
) -> Forest:
    """Return what the figure shows of a study.

    Args:
        gains: from top to bottom.
        title: stands above.
        baseline: the candidate that the others are compared with.
        ours: the network, data and numbers of replicates of the study.
        theirs: the network and data of the paper.
    """
    series = [Series(f"{ours}, 95 % intervals", "o", VERMILION)]
    with_paper = any(gain.paper is not None for gain in gains)
    if with_paper:
        series.append(Series(f"paper: {theirs}", "x", INK, size=4.6))
    rows = tuple(_prepare_row(gain, with_paper) for gain in gains)
    return Forest(
        title=title,
        note="",
        axis=f"gain in top-1 accuracy over {baseline} (points)",
        zero=baseline,
        series=tuple(series),
        sections=(Section("", rows),) if rows else (),
        columns=("gain (95 %)", *(["paper"] if with_paper else []), "added %"),
        spread=0.0,
        row_height=0.2,
    )


def draw_study(prepared: Forest) -> Figure:
    """Draw a row for each candidate: a dot with its interval, and a cross for the paper's gain."""
    return draw_forest(prepared)


def save_study(prepared: Forest, path: Path) -> list[Path]:
    """Write the figure as PNG and PDF, unless the files show it already; return their paths.

    Raises:
        UnwritableError: a file can't be written.
    """
    modules = [__file__, forest.__file__]
    return save_if_changed(lambda: draw_study(prepared), path, repr(prepared), modules)


def _prepare_row(gain: StudyGain, with_paper: bool) -> ForestRow:
    texts = [with_interval(gain.gain, gain.low, gain.high)]
    estimates: list[Bar | None] = [Bar(gain.gain, gain.low, gain.high)]
    if with_paper:
        texts.append("–" if gain.paper is None else signed(gain.paper))
        estimates.append(None if gain.paper is None else Bar(gain.paper))
    return ForestRow(gain.name, tuple(estimates), (*texts, f"{gain.added_pct:.2f}"))
