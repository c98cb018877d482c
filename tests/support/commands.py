"""The command line: in this process, or as a user runs it."""

import csv
import os
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from se_search.cli import main

COMMAND = str(Path(sys.executable).with_name("se-search"))
RUN = ("run", "--data", "digits", "--space", "stages", "--epochs", "1")


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def call_here(*arguments, folder, environment):
    """Run a command as the program does, but in this process; return its Outcome.

    A training is a child process all the same; its server has started once for all commands.
    """
    output, errors = StringIO(), StringIO()
    handler = signal.getsignal(signal.SIGINT)
    with (
        patch.dict(os.environ, environment, clear=True),
        patch.object(sys, "argv", ["se-search", *map(str, arguments)]),
        chdir(folder),
        redirect_stdout(output),
        redirect_stderr(errors),
    ):
        try:
            main()
            code = 0
        except SystemExit as error:
            code = error.code or 0
        finally:
            signal.signal(signal.SIGINT, handler)
    return Outcome(code, output.getvalue(), errors.getvalue())


def call_program(*arguments, folder, environment, timeout=600):
    """Run a command in a process of its own; return what ``subprocess.run`` returns."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def list_leaves(data, path=()):
    """Return where the values of nested mappings and lists stand, as tuples of keys."""
    if isinstance(data, dict) and data:
        items = data.items()
    elif isinstance(data, list) and data:
        items = enumerate(data)
    else:
        return [path]
    return [leaf for key, value in items for leaf in list_leaves(value, (*path, key))]
