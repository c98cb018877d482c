"""The command line: parses, wires and prints; what takes long to load is loaded when it is used."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from se_search.benchmark.command import add_benchmark_commands
from se_search.commands.export import add_export_command
from se_search.commands.gates import add_gates_command
from se_search.commands.ladder import add_ladder_command
from se_search.commands.latency import add_latency_command
from se_search.commands.networks import add_network_commands
from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.commands.runs import add_run_commands
from se_search.commands.status import RunArgument
from se_search.commands.version import add_version_command, read_version
from se_search.errors import SESearchError, explain, find_exit_code, suggest_nearest
from se_search.interrupt import (
    EXIT_INTERRUPTED,
    Interrupted,
    ignore_interrupts,
    raise_interrupted,
)
from se_search.options import takes_options
from se_search.report.console import make_console, print_files, print_text
from se_search.report.json_text import to_json
from se_search.reproduction.options import ReproduceOptions
from se_search.shell import join_command
from se_search.terminal import one_line, open_streams, own_output, say

if TYPE_CHECKING:
    from se_search.execution.missing import EndedTraining
    from se_search.store.run_folder import RunFolder


class CommandGroup(TyperGroup):
    """Commands; for a name that there is not, the nearest one is suggested, once."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the options that stand before a command."""
        with _suggesting_once():
            return super().make_context(*arguments, **options)

    def resolve_command(self, context: Any, arguments: list[str]) -> Any:
        """Find the command that the first argument names."""
        name = arguments[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            hint = suggest_nearest(name, self.list_commands(context))
            context.fail(f"No such command {name!r}{hint}.")
        return super().resolve_command(context, arguments)

    def invoke(self, context: Any) -> Any:
        """Run the command, whose options are parsed here."""
        with _suggesting_once():
            return super().invoke(context)


app = typer.Typer(
    name="se-search",
    cls=CommandGroup,
    help="Where squeeze-and-excitation blocks belong in a convolutional network, how narrow they "
    "can be, and what that costs.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

QuietOption = Annotated[bool, typer.Option("--quiet", help="print nothing but errors")]
FrontOption = Annotated[
    bool,
    typer.Option("--front", help="print the table of the front, too; docs/results.md reads it"),
]


def main() -> None:
    """Run the command line; an error that a user can mend is one message and an exit code."""
    raise_interrupted(_complain_of_interrupt)
    open_streams()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SESearchError as error:
        _complain(str(error))
        sys.exit(find_exit_code(error))
    except Interrupted:
        _complain_of_interrupt()
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:  # a file that nobody has named in a message of its own
        name = "" if error.filename is None else f"{error.filename}: "
        _complain(f"{name}{explain(error)}")
        sys.exit(find_exit_code(error))
    finally:
        ignore_interrupts()


def _complain_of_interrupt() -> None:
    _complain(f"interrupted. To go on: {join_command(sys.argv[1:])}")


def _complain(message: str) -> None:
    """Print an error; what controls a terminal in it (from a file's name) is printed, not obeyed.

    A message may have several lines.
    """
    lines = map(one_line, message.splitlines())
    print("se-search: " + "\n".join(lines), file=sys.stderr)


@contextmanager
def _suggesting_once() -> Iterator[None]:
    """Leave one of the options that the parser suggests for a mistyped one: the nearest."""
    try:
        yield
    except Exception as error:
        possibilities = getattr(error, "possibilities", None)
        if possibilities:
            error.possibilities = possibilities[:1]  # type: ignore[attr-defined]  # NoSuchOption
        raise


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(read_version())
        raise typer.Exit


@app.callback()
def prepare(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="print the version", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Keep standard output for what the command prints: a network may print while it is built."""
    try:
        os.getcwd()
    except FileNotFoundError as cause:
        raise SESearchError("the working directory is gone; change to another one") from cause
    context.with_resource(own_output())


@app.command()
@takes_options(SearchOptions)
def run(
    options: SearchOptions,
    confirm: Annotated[
        int | None,
        typer.Option(min=2, help="at the end, confirm the front in at most N fresh replicates"),
    ] = None,
    front: FrontOption = False,
    quiet: QuietOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print a JSON object a line: each trial, then the answer")
    ] = False,
) -> None:
    """Search a space, or continue a search that was stopped, and say where SE belongs.

    Exit codes: 0 the search has ended; 2 something that was asked for is not there, or
    can't be written; 3 the run is busy; 4 the run is of another space, backbone, recipe or
    objective; 5 too many failures in a row, all trials failed, or one lacks memory; 75 a fault of
    the machine, go on later; 130 Ctrl-C; 143 SIGTERM.
    """
    from se_search.commands.search import search
    from se_search.report.display import make_display
    from se_search.store.files import refuse_unwritten

    display = make_display(quiet=quiet, as_json=as_json, with_front=front)
    outcome = search(options, display, is_confirmed=confirm is not None)
    _exit_if_stopped(outcome.signal)
    if confirm is not None:
        confirmation = ConfirmOptions(
            replicates=confirm,
            until_decided=True,
            workers=options.workers,
            threads=options.threads,
            timeout=options.timeout,
            executor=options.executor,
            ray_address=options.ray_address,
            cpus_per_trial=options.cpus_per_trial,
            gpus_per_trial=options.gpus_per_trial,
            trials_per_gpu=options.trials_per_gpu,
            submitit=options.submitit,
            mix_environments=options.mix_environments,
            data_dir=options.data_dir,
            allow_code=options.allow_code,
        )
        _confirm(outcome.folder, confirmation, quiet, as_json)
    refuse_unwritten(outcome.findings.unwritten)


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
    """Train a run's front again in fresh replicates, and judge it on the test images.

    The plain network and SE everywhere (r = 16) are trained beside it. Each call goes to the next
    look (8, 12, 16, 20 replicates) for what is undecided, and continues one that was stopped. Exit
    codes as for run.
    """
    from se_search.store.run_folder import RunFolder

    _confirm(RunFolder.existing(run), options, quiet, as_json)


@app.command()
def report(
    run: RunArgument,
    front: FrontOption = False,
    latex: Annotated[
        bool, typer.Option("--latex", help="write tables for LaTeX (booktabs), too")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Make a run's page (report.html), tables and figures anew, and print what to do.

    A folder that is read-only is reported, too; then the files that can't be written are named, and
    the exit code is 2.
    """
    with _collecting_no_garbage():
        from se_search.report.display import print_findings
        from se_search.report.run_report import write_report
        from se_search.store.files import refuse_unwritten
        from se_search.store.run_folder import RunFolder

        folder = RunFolder.existing(run)
        findings = write_report(folder, latex=latex)
        if as_json:
            from se_search.report.event import report_event

            say(to_json(report_event(folder, findings), indent=1))
        else:
            print_findings(make_console(), findings, with_front=front)
        refuse_unwritten(findings.unwritten)


@app.command()
def effects(
    run: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Print what each stage or block, position and width contributes, with intervals and costs.

    Writes effects.csv, effects.png and effects.pdf into the run's folder.
    """
    from se_search.report.effects import effects_event, print_effects, write_effects
    from se_search.store.files import refuse_unwritten
    from se_search.store.run_folder import RunFolder

    written = write_effects(RunFolder.existing(run))
    if as_json:
        say(to_json(effects_event(written), indent=1))
    else:
        print_effects(make_console(), written)
    refuse_unwritten(written.unwritten)


@app.command()
@takes_options(ReproduceOptions)
def reproduce(
    options: ReproduceOptions,
    as_json: Annotated[
        bool, typer.Option("--json", help="print a JSON object a line: each study's results")
    ] = False,
) -> None:
    """Carry out studies of the paper's findings: train what is missing, and judge the claims.

    Trainings that several studies need are made once. The command continues a study that was
    stopped.
    """
    from se_search.reproduction.report import closing_lines, study_event, study_table
    from se_search.reproduction.reproduce import reproduce as carry_out

    if options.only_plan:
        _print_forecasts(options, as_json)
        return
    console = make_console()
    reports, number = carry_out(options, lambda text: print(text, file=sys.stderr, flush=True))
    for report in reports:
        if as_json:
            say(to_json(study_event(report)))
            continue
        console.print(study_table(report))
        print_text(console, "\n".join(closing_lines(report)))
        print_files(console, [report.folder / "results.md"])
    _exit_if_stopped(number)


add_run_commands(app)
add_export_command(app)
add_gates_command(app)
add_ladder_command(app)
add_network_commands(app, CommandGroup)
add_latency_command(app)
add_benchmark_commands(app, CommandGroup)
add_version_command(app)


def _print_forecasts(options: ReproduceOptions, as_json: bool) -> None:
    from se_search.reproduction.forecast import describe_forecast, forecast_event
    from se_search.reproduction.reproduce import forecast_studies

    forecasts = forecast_studies(options, lambda text: print(text, file=sys.stderr, flush=True))
    for forecast in forecasts:
        if as_json:
            say(to_json(forecast_event(forecast)))
        else:
            print_text(make_console(), "\n".join(describe_forecast(forecast)))
    if not forecasts and not as_json:
        say("No training is missing.")


def _confirm(folder: RunFolder, options: ConfirmOptions, quiet: bool, as_json: bool) -> None:
    from se_search.commands.confirm import confirm
    from se_search.report.confirmation import confirmation_event, print_confirmation
    from se_search.report.display import make_display
    from se_search.store.files import describe_unwritten, refuse_unwritten

    display = make_display(quiet=quiet, as_json=as_json)

    def observe(ended: EndedTraining) -> None:
        if as_json:
            say(to_json({"event": "training", **asdict(ended)}))
        else:
            display.note(str(ended))

    outcome = confirm(folder, options, display.note, observe, estimate=display.estimate)
    if as_json:
        unwritten = describe_unwritten(outcome.unwritten)
        say(to_json({**confirmation_event(folder, outcome.rounds), "unwritten": unwritten}))
    elif not quiet:
        print_confirmation(make_console(), folder, outcome.rounds, outcome.unwritten)
    _exit_if_stopped(outcome.signal)
    refuse_unwritten(outcome.unwritten)


def _exit_if_stopped(number: int | None) -> None:
    """Exit as a signal asked, with the command that continues."""
    if number is not None:
        print(f"Stopped. To continue: {join_command(sys.argv[1:])}", file=sys.stderr)
        sys.exit(128 + number)


@contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Spare a short command the search for garbage among imported modules: a seventh of its CPU."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
