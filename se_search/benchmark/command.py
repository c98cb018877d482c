"""The command ``benchmark``, which measures se-search itself."""

from __future__ import annotations

import typer
from typer.core import TyperGroup

from se_search.benchmark.options import BenchmarkOptions
from se_search.options import takes_options
from se_search.report.console import make_console


def add_benchmark_commands(app: typer.Typer, group: type[TyperGroup]) -> None:
    """Add ``benchmark`` to a command line."""
    benchmark_app = typer.Typer(cls=group, help="Measure se-search itself.", no_args_is_help=True)
    benchmark_app.command("samplers")(compare_samplers)
    app.add_typer(benchmark_app, name="benchmark")


@takes_options(BenchmarkOptions)
def compare_samplers(options: BenchmarkOptions) -> None:
    """Replay samplers on tables of finished trainings, and compare what they find."""
    from se_search.benchmark.replay import benchmark_samplers

    benchmark_samplers(options, make_console())
