"""Prints an answer: its three sentences, and the table behind the first."""

from __future__ import annotations

from rich.console import Console

from se_search.report.answer import COST_NAMES, Answer
from se_search.report.console import print_line, print_text
from se_search.report.format import common_decimals, gain, number
from se_search.report.next_step import NextStep
from se_search.report.table import Column, ResultTable


def print_answer(console: Console, answer: Answer) -> None:
    """Print what to do, where SE helps and harms, how sure that is, and the next command."""
    print_text(console, answer.what)
    if answer.places:
        console.print(places_table(answer))
    elif answer.without_places is not None:
        print_text(console, f"Where SE helps or harms is not known: {answer.without_places}.")
    print_text(console, answer.how_sure)
    print_next_step(console, answer.next_step)


def print_next_step(console: Console, step: NextStep) -> None:
    """Print what to do next, and below it the command, which is never broken."""
    print_text(console, step.text)
    if step.command is not None:
        print_line(console, f"  {step.command}")


def places_table(answer: Answer) -> ResultTable:
    """Lay out where SE helps or harms."""
    table = ResultTable(
        [
            Column("SE in", is_number=False),
            Column("gain over none there, points (95 %)"),
            Column(f"added {COST_NAMES[answer.places_cost]}", rank=1),
            Column("SE there", is_number=False),
        ]
    )
    decimals = common_decimals((row.low / 100, row.high / 100) for row in answer.places)
    for row in answer.places:
        table.add_row(
            row.place,
            gain(row.gain / 100, row.low / 100, row.high / 100, decimals=decimals),
            number(row.cost_pct, "+.2f") + (" %" if row.cost_pct is not None else ""),
            row.verdict,
        )
    return table
