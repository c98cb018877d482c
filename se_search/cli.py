"""The command line: parses, wires and prints; what takes long to load is loaded when it is used."""

from __future__ import annotations

import gc
import json
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from se_search.benchmark.options import BenchmarkOptions
from se_search.commands.networks import add_network_commands
from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.errors import SESearchError
from se_search.options import takes_options
from se_search.report.console import make_console
from se_search.reproduction.options import ReproduceOptions

if TYPE_CHECKING:
    from se_search.execution.missing import EndedTraining
    from se_search.store.run_folder import RunFolder

app = typer.Typer(
    name="se-search",
    help="Where squeeze-and-excitation blocks belong in a convolutional network, how narrow they "
    "can be, and what that costs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
benchmark_app = typer.Typer(help="Measure se-search itself.", no_args_is_help=True)
app.add_typer(benchmark_app, name="benchmark")

RunArgument = Annotated[Path, typer.Argument(help="folder of the run, or its name in runs/")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="print nothing but errors")]
EXIT_INTERRUPTED = 128 + signal.SIGINT


class Interrupted(BaseException):
    """Ctrl-C, where no loop of trainings waits for it: typer would end without a word."""


def main() -> None:
    """Run the command line; an error that a user can mend is one message and an exit code."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        app()
    except SESearchError as error:
        print(f"se-search: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Interrupted:
        command = shlex.join(["se-search", *sys.argv[1:]])
        print(f"se-search: interrupted. To go on: {command}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain again on its way out.
        sys.stderr.close()
        sys.exit(1)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


@app.command()
@takes_options(SearchOptions)
def run(
    options: SearchOptions,
    confirm: Annotated[
        int | None,
        typer.Option(min=1, help="at the end, train the front again with this many fresh seeds"),
    ] = None,
    quiet: QuietOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print a JSON object a line: each trial, then the front")
    ] = False,
) -> None:
    """Search a space, or continue a search that was stopped, and write the Pareto front.

    Exit codes: 0 the search has ended; 2 something that was asked for is not there; 3 the run is
    busy; 4 the run is of another space, backbone, recipe or objective; 5 too many failures in a
    row, or all trials failed; 130 Ctrl-C; 143 SIGTERM.
    """
    from se_search.commands.search import search
    from se_search.report.display import make_display

    outcome = search(options, make_display(quiet=quiet, as_json=as_json))
    _exit_if_stopped(outcome.signal)
    if confirm is not None:
        confirmation = ConfirmOptions(
            seeds=confirm,
            workers=options.workers,
            threads=options.threads,
            timeout=options.timeout,
            data_dir=options.data_dir,
            allow_code=options.allow_code,
        )
        _confirm(outcome.folder, confirmation, quiet, as_json)


@app.command()
@takes_options(ConfirmOptions)
def confirm(
    run: RunArgument,
    options: ConfirmOptions,
    quiet: QuietOption = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="print a JSON object a line: each training, then the result"),
    ] = False,
) -> None:
    """Train a run's front again with fresh seeds, and evaluate it on the test images, once.

    The plain backbone and SE everywhere (r = 16) are trained beside it. The command continues a
    confirmation that was stopped. Exit codes as for run.
    """
    from se_search.store.run_folder import RunFolder

    _confirm(RunFolder.existing(run), options, quiet, as_json)


@app.command()
def report(run: RunArgument) -> None:
    """Make a run's tables and figures (PNG and PDF) anew, and print the front."""
    with _collecting_no_garbage():
        from se_search.report.display import print_findings
        from se_search.report.run_report import write_report
        from se_search.store.run_folder import RunFolder

        folder = RunFolder.existing(run)
        print_findings(make_console(), write_report(folder))


@app.command()
def effects(
    run: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Print what each stage or block, position and width contributes, with intervals and costs.

    Writes effects.csv, effects.png and effects.pdf into the run's folder.
    """
    from se_search.report.effects import effects_event, print_effects, write_effects
    from se_search.store.run_folder import RunFolder

    written = write_effects(RunFolder.existing(run))
    if as_json:
        print(json.dumps(effects_event(written), indent=1))
    else:
        print_effects(make_console(), written)


@app.command()
@takes_options(ReproduceOptions)
def reproduce(options: ReproduceOptions) -> None:
    """Carry out studies of the paper's findings: train what is missing, and judge the claims.

    Trainings that several studies need are made once. The command continues a study that was
    stopped.
    """
    from se_search.reproduction.report import closing_lines, study_table
    from se_search.reproduction.reproduce import reproduce as carry_out

    console = make_console()
    reports, number = carry_out(options, lambda text: print(text, file=sys.stderr, flush=True))
    for report in reports:
        console.print(study_table(report))
        for line in closing_lines(report):
            console.print(line, highlight=False)
        console.print(f"Written: {report.folder}/results.md", highlight=False, soft_wrap=True)
    _exit_if_stopped(number)


add_network_commands(app)


@benchmark_app.command("samplers")
@takes_options(BenchmarkOptions)
def benchmark_samplers(options: BenchmarkOptions) -> None:
    """Replay samplers on tables of finished trainings, and compare what they find."""
    from se_search.benchmark.replay import benchmark_samplers

    benchmark_samplers(options, make_console())


@app.command()
def dashboard(
    run: RunArgument,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="port on 127.0.0.1 that it is served at")
    ] = 8080,
) -> None:
    """Open the Optuna dashboard of a run on 127.0.0.1; it has no passwords, so nowhere else."""
    from se_search.commands.dashboard import serve_dashboard
    from se_search.store.run_folder import RunFolder

    serve_dashboard(RunFolder.existing(run), port, announce=print)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as read_version

    print(read_version("se-search"))


def _confirm(folder: RunFolder, options: ConfirmOptions, quiet: bool, as_json: bool) -> None:
    from se_search.commands.confirm import confirm
    from se_search.report.confirmation import confirmation_event, print_confirmation
    from se_search.report.display import make_display

    display = make_display(quiet=quiet, as_json=as_json)

    def observe(ended: EndedTraining) -> None:
        if as_json:
            print(json.dumps({"event": "training", **asdict(ended)}), flush=True)
        else:
            display.note(str(ended))

    outcome = confirm(folder, options, display.note, observe)
    if as_json:
        print(json.dumps(confirmation_event(folder, outcome.rounds)), flush=True)
    elif not quiet:
        print_confirmation(make_console(), folder, outcome.rounds)
    _exit_if_stopped(outcome.signal)


def _exit_if_stopped(number: int | None) -> None:
    """Exit as a signal asked, with the command that continues."""
    if number is not None:
        command = shlex.join(["se-search", *sys.argv[1:]])
        print(f"Stopped. To continue: {command}", file=sys.stderr)
        sys.exit(128 + number)


if __name__ == "__main__":
    main()


@contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Spare a short command the search for garbage among imported modules: a seventh of its CPU."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
