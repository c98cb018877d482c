"""The command ``version``."""

from __future__ import annotations

import typer

from se_search.terminal import say


def add_version_command(app: typer.Typer) -> None:
    """Add ``version`` to a command line."""
    app.command("version")(print_version)


def print_version() -> None:
    """Print the version."""
    say(read_version())


def read_version() -> str:
    """Return the version of se-search that is installed."""
    from importlib.metadata import version

    return version("se-search")
