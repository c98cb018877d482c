"""The console that commands print on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160  # columns: a pipe or a file has no width, and 80 columns would break every table


def make_console() -> Console:
    """Return a console on standard output, as wide as the terminal, or wide enough for tables."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)
