"""Suggested commands: a shell reads the words back as they were."""

import os
import subprocess
from pathlib import Path

import pytest
from support.names import ODD_NAMES

from se_search.shell import join_words


@pytest.mark.parametrize("name", [*ODD_NAMES, "", "$HOME", "a'b\nc", "\\", "*", "~"])
def test_a_shell_reads_a_word_as_it_was(name):
    script = f"printf '%s' {join_words([name])}"
    # The C locale: names are bytes, whatever they mean.
    found = subprocess.check_output(["bash", "-c", script], env=os.environ | {"LC_ALL": "C"})
    assert found == os.fsencode(name)


def test_a_path_that_starts_with_a_hyphen_is_no_option():
    assert join_words(["se-search", "report", Path("-x/a b")]) == "se-search report './-x/a b'"
    assert join_words(["se-search", "report", "--json"]) == "se-search report --json"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_word_is_one_line_of_printable_text(name):
    assert join_words([name]).isprintable()
