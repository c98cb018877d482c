"""Reports a confirmation: gains that the search expected beside gains in fresh replicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from se_search.analysis.confirmation import Confirmed, Gain
from se_search.errors import UnwritableError
from se_search.report.confirmation_answer import answer_confirmation
from se_search.report.console import print_folder, print_text
from se_search.report.format import count, interval, number, points, role_marks
from se_search.report.print_answer import print_next_step
from se_search.report.run_facts import read_run_facts
from se_search.report.table import Column, ResultTable
from se_search.store.confirmations import Round, count_readings, to_plain
from se_search.store.files import write_table
from se_search.store.run_folder import RunFolder

GAIN_FIELDS = tuple(field.name for field in fields(Gain))
CLAIM_FIELDS = ("outcome", "family_outcome", "ending", "look", "p_support", "p_refute")


def _name_columns(name: str) -> tuple[str, ...]:
    if name in ("gain", "test_gain"):
        return tuple(name if each == "mean" else f"{name}_{each}" for each in GAIN_FIELDS)
    return CLAIM_FIELDS if name == "claim" else (name,)


# The columns of confirmation.csv.
CONFIRMED_FIELDS = tuple(
    column for field in fields(Confirmed) for column in _name_columns(field.name)
)


def list_confirmation_files(folder: RunFolder, rounds: Sequence[Round]) -> list[tuple[Any, ...]]:
    """Return for each file of the last confirmation what writes it, its path, and its contents.

    The CSV file has a row for each candidate, cheapest first; accuracies are shares (0..1).
    """
    last = rounds[-1] if rounds else None
    if last is None or last.result is None:
        return []
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.confirmation import draw_confirmation, prepare_confirmation
    from se_search.report.figures.style import save_one

    rows = [confirmed_row(candidate) for candidate in last.result.candidates]
    figure = draw_confirmation(prepare_confirmation(last))
    return [
        (save_one, folder.confirmation_png, figure),
        (save_one, folder.confirmation_pdf, figure),
        (write_table, folder.confirmation_csv, CONFIRMED_FIELDS, rows),
    ]


def print_confirmation(
    console: Console,
    folder: RunFolder,
    rounds: Sequence[Round],
    unwritten: Sequence[UnwritableError] = (),
) -> None:
    """Print the last confirmation if it has a result: its answer around its table, and its files.

    Args:
        console: what is printed on.
        folder: of the run.
        rounds: the confirmations of the run, the oldest first.
        unwritten: why files can't be written.
    """
    if not rounds or rounds[-1].result is None:
        return
    answer = answer_confirmation(rounds, read_run_facts(folder))
    print_text(console, answer.what)
    console.print(confirmation_table(rounds[-1]))
    print_text(console, answer.how_sure)
    print_next_step(console, answer.next_step)
    lacking = {error.path for error in unwritten}
    written = [path for path in _list_files(folder) if path not in lacking]
    print_folder(console, folder.path, written, unwritten)


def _list_files(folder: RunFolder) -> list[Path]:
    return [
        *(folder.confirmation_png, folder.confirmation_pdf),
        *(folder.confirmation_csv, folder.confirmation_file),
    ]


def confirmation_event(folder: RunFolder, rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the last confirmation as plain data, for a program that reads along."""
    plain = to_plain(rounds[-1]) if rounds else {}
    has_result = bool(rounds) and rounds[-1].result is not None
    answer = answer_confirmation(rounds, read_run_facts(folder)) if has_result else None
    return {
        "event": "confirmation",
        "run": str(folder.path),
        "answer": None if answer is None else answer.to_json(),
        "test_readings": count_readings(rounds),
        **plain,
    }


def confirmation_table(last: Round) -> ResultTable:
    """Lay a confirmation out for a terminal, cheapest candidate first."""
    assert last.result is not None
    table = ResultTable(
        [
            Column("SE (stage:squeeze width)", is_number=False),
            Column("search", rank=4),
            Column("fresh (n)", rank=3),
            Column("too good", rank=5),
            Column("test (95 %)"),
            Column("p", rank=1),
            Column("beats no SE?", is_number=False),
            Column("front?", rank=2),
        ],
        title=f"Confirmation: gains over no SE, in points, {last.stated.plan} "
        f"(from {last.seeds[0]:,}), {count(last.epochs, 'epoch')} each",
        caption="*: listed by the search; b: the plain network; e: SE everywhere",
    )
    for candidate in last.result.candidates:
        table.add_row(
            f"{candidate.placement}{role_marks(candidate.roles)}",
            "-" if candidate.claim is None else points(candidate.search_gain),
            _with_replicates(candidate),
            points(candidate.too_good),
            _describe_gain(candidate.test_gain),
            _describe_p(candidate),
            _describe_claim(candidate, last),
            _describe_place(candidate),
        )
    return table


def _with_replicates(candidate: Confirmed) -> str:
    if candidate.gain is None:
        return f"- ({candidate.num_replicates})"
    return f"{points(candidate.gain.mean)} ({candidate.num_replicates})"


def _describe_gain(gain: Gain | None) -> str:
    if gain is None:
        return "-"
    if gain.low is None or gain.high is None:
        return points(gain.mean)
    return f"{points(gain.mean)} ({interval(100 * gain.low, 100 * gain.high)})"


def _describe_p(candidate: Confirmed) -> str:
    claim = candidate.claim
    return "-" if claim is None or not claim.look else number(claim.p, ".3f")


def _describe_claim(candidate: Confirmed, last: Round) -> str:
    claim = candidate.claim
    if claim is None:
        return "-"
    words = {"supported": "yes", "refuted": "no, worse", "undecided": "undecided"}
    if claim.ending == "open":
        return "open"
    how = ", given up" if claim.ending == "futile" else ""
    look = "" if last.stated.plan.is_fixed else f", look {claim.look}"
    return f"{words[claim.outcome]}{how}{look}"


def _describe_place(candidate: Confirmed) -> str:
    if candidate.accuracy is None:
        return "-"
    word = "yes" if candidate.on_front else "no"
    share = candidate.front_probability
    return word if share is None else f"{word} {share:.2f}"


def confirmed_row(candidate: Confirmed) -> dict[str, object]:
    """Return a row of ``confirmation.csv``: roles as words, each gain and the claim as columns."""
    row: dict[str, object] = {}
    for field in fields(Confirmed):
        value = getattr(candidate, field.name)
        if field.name == "roles":
            row["roles"] = "; ".join(value)
        elif field.name in ("gain", "test_gain", "claim"):
            names = CLAIM_FIELDS if field.name == "claim" else GAIN_FIELDS
            values = (getattr(value, name, None) for name in names)
            row |= dict(zip(_name_columns(field.name), values, strict=True))
        else:
            row[field.name] = value
    return row
