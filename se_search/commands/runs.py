"""The commands that look at runs, ``ls``, ``status`` and ``compare``: they train nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from se_search.commands.compare import compare_runs
from se_search.commands.status import print_run_status
from se_search.report.console import make_console, print_line, print_text
from se_search.report.json_text import to_json
from se_search.terminal import one_line, say

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


def add_run_commands(app: typer.Typer) -> None:
    """Add ``ls``, ``status`` and ``compare`` to a command line."""
    app.command("ls")(list_runs)
    app.command("status")(print_run_status)
    app.command("compare")(compare_runs)


def list_runs(
    folder: Annotated[Path, typer.Argument(help="folder of the runs")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """List the runs of a folder: state, trials, answer, when; the last to change stands last.

    The answer is that of the last report; no model is fitted. A run that can't be read is listed
    with the reason.
    """
    from se_search.report.overview import (
        describe_problems,
        overviews_event,
        overviews_table,
        read_overviews,
    )

    def note(done: int, total: int) -> None:
        print(f"Reading runs: {done:,} of {total:,}", file=sys.stderr, flush=True)

    rows = read_overviews(folder, note)
    if as_json:
        say(to_json(overviews_event(rows, folder), indent=1))
        return
    console = make_console()
    if not rows:
        print_text(console, f"No runs in {one_line(str(folder))}. This begins one:")
        print_line(console, "  se-search run")
        return
    console.print(overviews_table(rows, folder))
    for line in describe_problems(rows):
        print_text(console, one_line(line))
