"""The table of candidates: a row each, and only the columns in which they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from se_search.candidate import Candidate
from se_search.report.format import common_decimals, count, number
from se_search.report.front_table import describe_gain, find_taken
from se_search.report.page.intervals import IntervalScale, draw_interval
from se_search.report.page.strip import WidthScale, draw_strip
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

MAX_ROWS = 1_000  # a page of more takes seconds to open; candidates.csv has all
# Of what is listed: what the search expects and what it costs; the table of all has the rest.
LISTED_COLUMNS = (
    *("SE", "gain, points (95 %)", "standing", "P(front)", "added %", "params", "MACs"),
    *("latency, ms", "added time, %"),
)
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what it shows, by what it is sorted, and a drawing beside the text."""

    text: str
    order: float | str
    drawing: Markup | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        name: stands above.
        meaning: what it is, in a sentence.
        is_number: whether it is aligned at the right, and sorted from the greatest on.
    """

    name: str
    meaning: str
    is_number: bool = True


@dataclass(frozen=True, slots=True)
class CandidateTable:
    """The candidates of a run.

    Attributes:
        columns: those in which the rows differ.
        rows: a cell for each column.
        alike: what all rows have in common: names of columns with their text.
        num_candidates: how many candidates there are; those with the least expected gain have no
            row if there are more than a thousand.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    alike: tuple[tuple[str, str], ...]
    num_candidates: int


Fill = Callable[[PosteriorCandidate], Cell]


def list_candidates(
    front: PosteriorFront,
    parsed: Mapping[str, Candidate],
    scale: WidthScale,
    *,
    only_listed: bool = False,
) -> CandidateTable:
    """Lay out the candidates, the largest expected gain first, or those of the front's table.

    Args:
        front: all candidates with a full training.
        parsed: the candidates by their keys.
        scale: of the squeeze widths.
        only_listed: whether just what is listed has a row, cheapest first.
    """
    ranked = sorted(front.candidates, key=lambda each: (not each.is_listed, -each.gain))
    shown = front.listed if only_listed else ranked[:MAX_ROWS]
    ordered = shown if only_listed else sorted(shown, key=lambda each: -each.gain)
    filled = _choose_columns(front, ordered, parsed, scale)
    if only_listed:
        filled = [(column, fill) for column, fill in filled if column.name in LISTED_COLUMNS]
    columns, alike = [], []
    kept: list[list[Cell]] = []
    for column, fill in filled:
        cells = [fill(each) for each in ordered]
        texts = {cell.text for cell in cells}
        if column.name == "SE" or len(texts) > 1:
            columns.append(column)
            kept.append(cells)
        elif texts - {""}:
            alike.append((column.name, texts.pop()))
    rows = tuple(zip(*kept, strict=True)) if kept else ()
    return CandidateTable(tuple(columns), rows, tuple(alike), len(front.candidates))


def describe_left_out(table: CandidateTable) -> str:
    """Say how many candidates have no row; empty: none."""
    left_out = table.num_candidates - len(table.rows)
    if left_out <= 0:
        return ""
    return (
        f"The {len(table.rows):,} with the largest expected gain are shown, and what is listed; "
        f"candidates.csv has {count(left_out, 'more candidate')}."
    )


def _choose_columns(
    front: PosteriorFront,
    shown: Sequence[PosteriorCandidate],
    parsed: Mapping[str, Candidate],
    scale: WidthScale,
) -> list[tuple[Column, Fill]]:
    taken = find_taken(front)
    decimals = common_decimals((c.low, c.high) for c in shown if not c.is_plain)
    gains = IntervalScale.of([end for c in shown for end in (c.low, c.high, c.gain)])

    def fill_placement(each: PosteriorCandidate) -> Cell:
        drawing = draw_strip(parsed[each.summary.key], scale)
        return Cell(each.summary.placement, each.summary.placement, drawing)

    def fill_gain(each: PosteriorCandidate) -> Cell:
        kind = "sure" if each.is_better or each is taken else "open"
        drawing = (
            Markup("")
            if each.is_plain
            else draw_interval(each.gain, each.low, each.high, gains, kind)
        )
        return Cell(describe_gain(each, decimals).replace("-", MINUS), each.gain, drawing)

    def fill_mark(each: PosteriorCandidate) -> Cell:
        if each is taken:
            return Cell("the answer", 4)
        if each.is_plain:
            return Cell("plain network", 0)
        if each.is_better:
            return Cell("surely better", 3)
        if each.is_listed:
            return Cell("on the front, listed", 2)
        return Cell("on the front", 1) if each.on_front else Cell("", -1)

    def share(name: str) -> Fill:
        def fill(each: PosteriorCandidate) -> Cell:
            value = getattr(each, name)
            return Cell(number(value, ".2f", ""), -1.0 if value is None else value)

        return fill

    def summary(name: str, form: str, factor: float = 1.0) -> Fill:
        def fill(each: PosteriorCandidate) -> Cell:
            value = getattr(each.summary, name)
            text = number(value if value is None or factor == 1 else factor * value, form, "")
            return Cell(text.replace("-", MINUS), -1.0 if value is None else value)

        return fill

    return [
        (Column("SE", "Where SE sits: stage, blocks, squeeze width.", False), fill_placement),
        (Column("gain, points (95 %)", "Expected gain over the plain network."), fill_gain),
        (Column("standing", "Whether it is on the front.", False), fill_mark),
        (Column("P(better)", "Probability of a gain above 0."), share("probability_better")),
        (
            Column("P(front)", "Probability that no other candidate is as good at no higher cost."),
            share("probability_on_front"),
        ),
        (
            Column("added %", "Parameters of SE, in per cent of the plain network's."),
            summary("added_params_pct", ".2f"),
        ),
        (Column("params", "Parameters, those of SE included."), summary("params", ",")),
        (Column("MACs", "Multiply-adds for one image."), summary("macs", ",")),
        (
            Column("latency, ms", "Time of a batch, a sum of what SE blocks were measured to add."),
            summary("latency", ".3f", 1e-6),
        ),
        (
            Column("added time, %", "Time that SE adds, in per cent of the plain network's."),
            summary("added_latency_pct", ".2f"),
        ),
        (
            Column("accuracy, %", "Plain mean of its full trainings, on validation images."),
            summary("accuracy", ".2f", 100),
        ),
        (
            Column("sd, points", "Standard deviation of its accuracies."),
            summary("accuracy_sd", ".2f", 100),
        ),
        (Column("replicates", "Full trainings of it."), summary("num_replicates", ",")),
        (Column("loss", "Mean cross-entropy on validation images."), summary("loss", ".3f")),
        (Column("epochs", "Of a full training."), summary("epochs", ",")),
    ]
