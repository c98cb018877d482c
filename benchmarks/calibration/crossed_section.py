"""Writes what searches of the crossed table came to into a page of the documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.calibration.crossed_figures import FIGURES, HOLD, OPTIMISM, PLAIN
from benchmarks.calibration.crossed_replays import WHOLE
from benchmarks.calibration.crossed_reports import ONE_SEED, REPLICATES
from benchmarks.calibration.measures import Measurement
from benchmarks.pages import renew_part

BEGIN, END = "<!-- crossed table: begin -->", "<!-- crossed table: end -->"
ANSWERS = {"put": "put SE in", "leave": "leave SE out", "nothing": "nothing can be said"}

Named = Mapping[tuple[str, str], Measurement]


def write_section(page: Path, figures: Sequence[Measurement]) -> None:
    """Renew the part of a page between the two marks of the crossed table.

    Args:
        page: a Markdown file.
        figures: of ``measure_crossed``.

    Raises:
        RunError: the page has no such marks.
    """
    renew_part(page, BEGIN, END, make_section(figures).removesuffix("\n"))


def make_section(figures: Sequence[Measurement]) -> str:
    """Return the figures as Markdown: what all trainings say, then a table of the searches."""
    named = {(figure.group, figure.name): figure for figure in figures}
    lengths = sorted(
        {
            int(figure.group.split(", ")[-2].split()[0])
            for figure in figures
            if figure.group.startswith(f"{REPLICATES}, ")
        }
    )
    columns = [(REPLICATES, length) for length in lengths]
    columns += [(kind, lengths[-1]) for kind in (ONE_SEED, PLAIN)]
    heads = [f"{kind}, {length}" for kind, length in columns]
    rows = [
        f"| what | {' | '.join(heads)} | wanted |",
        "|---" * (len(heads) + 2) + "|",
    ]
    for images in ("validation", "test"):
        for figure in FIGURES:
            cells = [
                _show(named.get((f"{kind}, {length} trainings, {images}", figure.name)))
                for kind, length in columns
            ]
            if images == "validation" or figure.name.startswith((HOLD, OPTIMISM)):
                name = figure.name if images == "validation" else f"{figure.name}, test images"
                wanted = str(figure.target).replace(">=", "≥").replace("<=", "≤")
                rows.append(f"| {name} | {' | '.join(cells)} | {wanted} |")
    return f"\n{_describe_whole(named)}\n\n" + "\n".join(rows) + "\n\n"


def _describe_whole(named: Named) -> str:
    def find(name: str) -> float:
        return named[WHOLE, name].value

    decision = next(words for kind, words in ANSWERS.items() if find(f"decision: {kind}"))
    networks, replicates = int(find("networks")), int(find("replicates"))
    halves = math.comb(replicates, replicates // 2)
    searches = next(one.count for (group, _), one in named.items() if group.startswith(REPLICATES))
    return (
        f"The table has {networks} networks in {replicates} replicates, which make {halves} "
        f"halves; searches of each kind: {searches}. All {networks * replicates} trainings "
        f"together, given to the product's model, say *{decision}*: gains from "
        f"{find('smallest gain, points'):.2f} to {find('largest gain, points'):.2f} points, the "
        "largest of any network below "
        f"{find('95 % upper limit of the largest gain, points'):.2f} (95 %). Fitted standard "
        f"deviations in points: networks {find('fitted networks sd, points'):.2f}, level of a "
        f"replicate {find('fitted level sd, points'):.2f}, its liking of a network "
        f"{find('fitted interaction sd, points'):.2f}, a training "
        f"{find('fitted training sd, points'):.2f}."
    )


def _show(figure: Measurement | None) -> str:
    """Return a value with its error in brackets; bold: it is as wanted."""
    if figure is None or not math.isfinite(figure.value):
        return ""
    error = f" ({figure.error:.2f})" if math.isfinite(figure.error) else ""
    text = f"{figure.value:.2f}{error}"
    is_inside = figure.target.is_set and figure.target.low <= figure.value <= figure.target.high
    return f"**{text}**" if is_inside else text
