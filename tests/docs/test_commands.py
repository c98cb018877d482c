"""Every command of README and docs: those that take seconds are run, the others parsed."""

import argparse
import re
import runpy
import shlex
import sys
from unittest.mock import patch

import pytest
from support.pages import PAGES, ROOT, TUTORIAL, read_blocks, read_commands
from typer.main import get_command
from typer.testing import CliRunner

from se_search.cli import app

# What takes seconds; the other commands train, serve or measure.
QUICK = ("cost", "effects", "ls", "report", "show", "spaces", "status", "version")
SLOW = ("se-search cost --space full --csv costs.csv",)  # writes 371,800 lines
FOREIGN = (  # not ours; nothing here can check their options
    *("optuna-dashboard", "pip", "python3", "source", "export", "mkdir", "echo"),
    *("nvidia-cuda-mps-control", "ray", "kubectl"),
)
COMMANDS = [command for page in PAGES for command in read_commands(page)]
FILES = {block.file_name for block in read_blocks(TUTORIAL)}  # scripts that the page shows


class ParsedError(Exception):
    """The arguments of a script were fine."""


def is_quick(arguments):
    if arguments[0] == "reproduce":
        return "--no-train" in arguments
    return arguments[0] in QUICK and shlex.join(["se-search", *arguments]) not in SLOW


def parse(arguments):
    """Let the real command line parse arguments, and run nothing.

    Raises:
        AssertionError: there is no such command.
        Exception: Typer's usage errors.
    """
    command = get_command(app)
    name = "se-search"
    while arguments and arguments[0] in getattr(command, "commands", ()):
        name, *arguments = arguments
        command = command.commands[name]
    if "--help" in arguments:
        arguments = []
    elif hasattr(command, "commands"):
        assert arguments or command.invoke_without_command, f"{name} needs a command"
        assert not arguments or arguments[0].startswith("-"), f"{name} has no {arguments[0]}"
    command.make_context(name, arguments, resilient_parsing=not arguments)


def parse_script(path, arguments):
    """Let a script parse its arguments, and stop it there."""

    def parse_and_stop(parser, *_):
        known, unknown = parser.parse_known_args(arguments)
        assert not unknown, f"{path.name} has no {unknown}"
        raise ParsedError(known)

    with (
        patch.object(argparse.ArgumentParser, "parse_args", parse_and_stop),
        patch.object(sys, "argv", [str(path), *arguments]),
        pytest.raises(ParsedError),
    ):
        runpy.run_path(str(path), run_name="__main__")


def check(text):
    """Parse a command line of a page; a mistake in it raises."""
    program, *arguments = shlex.split(text.split(" > ")[0])
    if program == "se-search":
        parse(arguments)
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in arguments if "=" not in word} <= set(targets)
    elif program == "python" and arguments[0] in FILES:
        assert not arguments[1:], f"{arguments[0]} takes no arguments"
    elif program == "python":
        parse_script(ROOT / arguments[0], arguments[1:])
    else:
        assert program in FOREIGN, f"nobody checks {program}"


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_the_command_line_takes_every_command_of_the_pages(command):
    check(command.text)


def test_the_quick_commands_of_a_page_do_what_they_say(page, reader):
    commands = [command for command in read_commands(page) if not command.is_inline]
    for command in commands:
        program, *arguments = shlex.split(command.text)
        if program == "se-search" and is_quick(arguments):
            outcome = CliRunner().invoke(app, arguments)
            assert outcome.exit_code == 0, f"{command}: {outcome.output}{outcome.exception!r}"
            assert outcome.output.strip(), command


@pytest.mark.parametrize(
    "text",
    [
        "se-search run --trails 200",
        "se-search reprot stages_ratio",
        "se-search spaces list",
        "se-search cost --backbone",
        "se-search run --trials many",
        "make tset",
        "python benchmarks/calibration/measure.py --tables x.csv",
        "curl https://example.org",
    ],
)
def test_a_mistake_in_a_command_is_found(text):
    with pytest.raises((Exception, pytest.fail.Exception)):
        check(text)


def test_the_pages_show_every_command():
    shown = {tuple(shlex.split(c.text)[1:3]) for c in COMMANDS if c.text.startswith("se-search")}
    names = {words[0] for words in shown if words}
    assert set(get_command(app).commands) - {"version"} <= names
