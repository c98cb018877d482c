"""The command ``se-search export``: trained networks of a run as files for other programs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from se_search.commands.status import RunArgument
from se_search.execution.options import ACCELERATORS, AllowCode, Timeout
from se_search.options import AtLeast, OneOf, check_options, takes_options
from se_search.report.console import make_console, print_text
from se_search.report.json_text import to_json
from se_search.terminal import say


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What an export takes.

    Raises:
        RunError: a number is below its limit.
    """

    candidate: Annotated[
        tuple[str, ...],
        typer.Option(
            help="recommended, best, front, all-credible, a bound as 'params <= 3 %' (the best "
            "within it), or one as 's2:4 s3:8'; repeatable"
        ),
    ] = ("recommended",)
    to: Annotated[
        Path | None,
        typer.Option(help="folder; of several candidates a folder each in it; default: RUN/export"),
    ] = None
    onnx: Annotated[bool, typer.Option("--onnx/--no-onnx", help="write model.onnx, too")] = True
    data_dir: Annotated[
        Path | None, typer.Option(help="folder that holds the data set; default: the run's")
    ] = None
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of a training; default: the run's"), AtLeast(1)
    ] = None
    accelerator: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda or mps, for a training; default: the run's"),
        OneOf(ACCELERATORS),
    ] = None
    timeout: Timeout = None
    allow_code: AllowCode = False

    def __post_init__(self) -> None:
        """Check each number."""
        check_options(self)


def add_export_command(app: typer.Typer) -> None:
    """Add ``export`` to a command line."""
    app.command("export")(export)


@takes_options(ExportOptions)
def export(
    run: RunArgument,
    options: ExportOptions,
    quiet: Annotated[bool, typer.Option("--quiet", help="print nothing but errors")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Write a run's trained network as files: weights, model.py, torch.export, ONNX, a card.

    Weights that were not kept are made by training the candidate again, in the replicate and for
    the epochs that the search trained it: to the same bits on the same hardware and versions.
    """
    from se_search.commands.exporting import describe_export, export_candidates, export_event
    from se_search.errors import SESearchError
    from se_search.store.run_folder import RunFolder

    def note(text: str) -> None:
        if not quiet:
            print(text, file=sys.stderr, flush=True)

    exports = export_candidates(RunFolder.existing(run), options, note)
    if as_json:
        events = [export_event(each) for each in exports]
        say(to_json({"event": "export", "run": str(run), "exports": events}, indent=1))
    elif not quiet:
        console = make_console()
        for each in exports:
            print_text(console, "\n".join(describe_export(each)))
    failed = [why for each in exports for why in each.failed.values()]
    if failed:
        raise SESearchError("\n".join(failed))
