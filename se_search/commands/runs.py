"""The commands that look at runs, ``ls``, ``status``, ``compare`` and ``dashboard``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from se_search.commands.compare import compare_runs
from se_search.commands.status import RunArgument, print_run_status
from se_search.report.console import make_console, print_line, print_text
from se_search.report.json_text import to_json
from se_search.terminal import one_line, say

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


def add_run_commands(app: typer.Typer) -> None:
    """Add ``ls``, ``status``, ``compare`` and ``dashboard`` to a command line."""
    app.command("ls")(list_runs)
    app.command("status")(print_run_status)
    app.command("compare")(compare_runs)
    app.command("dashboard")(open_dashboard)


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


def open_dashboard(
    run: RunArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="port that it is served at")] = 8080,
    host: Annotated[
        str,
        typer.Option(
            help="address that it is served at: on another than a loopback one, whoever reaches "
            "the port can read the run, for there is no authentication"
        ),
    ] = "127.0.0.1",
) -> None:
    """Open Optuna's dashboard on a copy of a run, which is renewed while the run goes on.

    It has the answer as a note, the figures and the report. Only this machine reaches it, unless
    another --host is given. Nothing that is done in the browser changes the run.
    """
    from se_search.commands.dashboard import serve_dashboard
    from se_search.store.run_folder import RunFolder

    serve_dashboard(
        RunFolder.existing(run),
        host,
        port,
        announce=say,
        complain=lambda text: print(f"se-search: {text}", file=sys.stderr, flush=True),
    )
