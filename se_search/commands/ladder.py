"""The command ``ladder``: what the supernets of a run are worth, by the run's own trainings."""

from __future__ import annotations

from typing import Annotated

import typer

from se_search.commands.status import RunArgument
from se_search.report.console import make_console
from se_search.report.json_text import to_json
from se_search.terminal import say


def add_ladder_command(app: typer.Typer) -> None:
    """Add ``ladder`` to a command line."""
    app.command("ladder")(show_ladder)


def show_ladder(
    run: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Print how well a run's cheap scores order candidates, by its trainings, and what they cost.

    For each rung of a run with --evaluator supernet or ladder: tau with its interval, the noise
    ceiling, slope, biases, seconds, and whether its scores are used. Nothing is trained.
    """
    from se_search.errors import RunError
    from se_search.report.ladder import ladder_fields, print_ladder
    from se_search.report.run_facts import read_run_facts
    from se_search.store.run_folder import RunFolder

    folder = RunFolder.existing(run)
    evidence = read_run_facts(folder).evidence
    if evidence is None:
        raise RunError(
            f"{folder.path} has no supernets: it was searched with --evaluator train. A run with "
            "--evaluator ladder has them, and trainings that test their scores"
        )
    if as_json:
        event = {"event": "ladder", "run": str(folder.path), **ladder_fields(evidence)}
        say(to_json(event, indent=1))
    else:
        print_ladder(make_console(), evidence)
