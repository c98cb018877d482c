"""The console that commands print on."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from se_search.errors import UnwritableError
from se_search.terminal import one_line, output

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160  # columns: a pipe or a file has no width, and 80 columns would break every table
TEXT_WIDTH = 120  # columns: longer lines are hard to read


def make_console() -> Console:
    """Return a console on standard output, as wide as the terminal, or wide enough for tables.

    The environment variable ``COLUMNS`` sets another width. Brackets and colons in names are
    printed as they are: nothing of rich's markup is read.
    """
    from rich.console import Console

    stream = output()
    return Console(
        file=stream,
        width=None if _has_width(stream) else PIPE_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
    )


def _has_width(stream: IO[str]) -> bool:
    """Tell whether a stream's reader shows a number of columns."""
    return stream.isatty() or os.environ.get("COLUMNS", "").isdigit()


def print_text(console: Console, text: str) -> None:
    """Print paragraphs, a line each, which a terminal shows broken between words.

    A line with a command stays whole, and so does every line in a pipe or a file.
    """
    width = min(console.width, TEXT_WIDTH)
    for line in text.splitlines():
        is_whole = not _has_width(console.file) or re.search("se-search [a-z]", line)
        print_line(
            console, line if is_whole else textwrap.fill(line, width, break_on_hyphens=False)
        )


def print_line(console: Console, text: str) -> None:
    """Print a line as it is; the terminal breaks it where it ends."""
    console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_files(
    console: Console, files: Iterable[Path], unwritten: Iterable[UnwritableError] = ()
) -> None:
    """Print which files have been written, and which could not be."""
    if names := _list_names(files):
        print_line(console, f"Written: {names}")
    by_reason: dict[str, list[Path]] = {}
    for error in unwritten:
        by_reason.setdefault(error.reason, []).append(error.path)
    for reason, paths in by_reason.items():
        print_line(console, f"Not written ({reason}): {_list_names(paths)}")


def print_folder(
    console: Console,
    folder: Path,
    files: Iterable[Path],
    unwritten: Iterable[UnwritableError] = (),
) -> None:
    """Print which files of a folder have been written, by their names, and which could not be."""
    if names := ", ".join(one_line(path.name) for path in files):
        print_line(console, f"Written to {one_line(str(folder))}: {names}")
    print_files(console, (), unwritten)


def _list_names(paths: Iterable[Path]) -> str:
    return ", ".join(one_line(str(path)) for path in paths)
