"""The command ``gates``: what the gates of a trained network do, and what is lost without them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from se_search.commands.gates_options import GatesOptions
from se_search.commands.status import RunArgument
from se_search.options import takes_options
from se_search.report.console import make_console
from se_search.report.json_text import to_json
from se_search.terminal import one_line, say


def add_gates_command(app: typer.Typer) -> None:
    """Add ``gates`` to a command line."""
    app.command("gates")(show_gates)


@takes_options(GatesOptions)
def show_gates(
    run: RunArgument,
    options: GatesOptions,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Look at the gates of a candidate's trained network, and at what is lost without them.

    A candidate whose weights were not kept is trained again. Test images are not read. Writes
    gates.png, gates.csv and gates_by_class.csv, and a section of the run's report; a file that
    can't be written is named at the end, with an exit code other than 0.
    """
    from se_search.commands.gates_look import look_at_gates
    from se_search.report.gates import gates_event, print_gates
    from se_search.report.page.write import refresh_pages
    from se_search.store.files import refuse_unwritten
    from se_search.store.run_folder import RunFolder

    def note(text: str) -> None:
        print(one_line(text), file=sys.stderr, flush=True)

    folder = RunFolder.existing(run)
    files, found, written = look_at_gates(folder, options, note)
    if options.to is None:
        written.unwritten += refresh_pages(folder).unwritten
    if as_json:
        say(to_json(gates_event(files, found, written), indent=1))
    else:
        print_gates(make_console(), files, found, written)
    refuse_unwritten(written.unwritten)
