"""What is printed around tables: broken between words on a terminal, and nowhere else."""

import io

import pytest
from rich.console import Console

from se_search.errors import UnwritableError
from se_search.report.console import make_console, print_files, print_text

WORDS = " ".join(["word"] * 40)
COMMAND = f"To go on: se-search report {'x' * 80}"


def show(console):
    print_text(console, f"{WORDS}\n{COMMAND}")
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_gets_lines_that_are_broken_between_words_and_whole_commands(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    *lines, command = show(Console(file=io.StringIO(), width=width))
    assert " ".join(lines) == WORDS
    assert max(map(len, lines)) <= width
    assert command == COMMAND


def test_a_pipe_gets_each_sentence_in_one_line(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert show(Console(file=io.StringIO(), width=160)) == [WORDS, COMMAND]


def test_a_pipe_is_as_wide_as_a_table_needs_and_columns_sets_another_width(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert make_console().width == 160
    monkeypatch.setenv("COLUMNS", "60")
    assert make_console().width == 60


def test_files_that_could_not_be_written_are_named_by_their_reason(tmp_path):
    console = Console(file=io.StringIO(), width=160)
    errors = [UnwritableError(tmp_path / name, OSError(28, "No space left")) for name in "ab"]
    print_files(console, [tmp_path / "c\nd"], errors)
    assert console.file.getvalue() == (
        f"Written: {tmp_path}/c\\nd\nNot written (No space left): {tmp_path}/a, {tmp_path}/b\n"
    )
