"""The tutorial word for word: its files, commands and Python, in an empty folder; less training."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.pages import ROOT, TUTORIAL, read_blocks

BLOCKS = read_blocks(TUTORIAL)
SHORTER = {
    "--trials 60": "--trials 12",
    "--epochs 6": "--epochs 1",
    "confirm mine --allow-code": "confirm mine --allow-code --replicates 2",
}
PROGRAMS = str(Path(sys.executable).parent)


def shorten(text):
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return text


def is_install(block):
    return "pip install" in block.text


@pytest.fixture(scope="module")
def printed(tmp_path_factory, environment):
    """Follow the page from its first file on; return what its blocks printed, by their text."""
    folder = tmp_path_factory.mktemp("tutorial")
    paths = f"{PROGRAMS}{os.pathsep}{environment['PATH']}"
    outputs = {}
    for block in BLOCKS:
        if block.file_name:
            (folder / block.file_name).write_text(block.text, encoding="utf-8")
        elif block.language in ("sh", "python") and not is_install(block):
            program = {"sh": ["bash", "-e", "-c"], "python": [sys.executable, "-c"]}[block.language]
            outcome = subprocess.run(
                [*program, shorten(block.text)],
                cwd=folder,
                env=environment | {"PATH": paths},
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert outcome.returncode == 0, block.text + outcome.stdout + outcome.stderr
            outputs[block.text] = outcome.stdout
    return outputs


def output_of(printed, words):
    (text,) = [text for block, text in printed.items() if words in block]
    return text


def sample_of(words):
    """Return the lines of the sample that follows the block with some words; dots left out."""
    number = next(i for i, block in enumerate(BLOCKS) if words in block.text)
    sample = BLOCKS[number + 1]
    assert sample.language == "text"
    return [line for line in sample.text.splitlines() if line.strip(" …")]


def test_what_makes_the_test_shorter_stands_on_the_page():
    text = TUTORIAL.read_text(encoding="utf-8")
    assert [long for long in SHORTER if long not in text] == []


def test_the_page_goes_from_images_to_a_confirmed_answer(printed):
    commands = [block.split()[1] for block in printed if block.startswith("se-search")]
    assert commands == ["cost", "run", "effects", "confirm"]


def test_the_costs_that_the_page_shows_are_those_that_are_printed(printed):
    lines = [line.rstrip() for line in output_of(printed, "se-search cost").splitlines()]
    assert [line for line in sample_of("se-search cost") if line not in lines] == []


def test_the_page_shows_what_a_run_says_of_images_and_space(printed):
    sample = [line for line in sample_of("se-search run") if "candidates, 3 sites" in line]
    assert sample
    assert sample[0] in output_of(printed, "se-search run").splitlines()


def test_the_page_shows_an_answer_of_the_form_that_a_run_prints(printed):
    for start in ("This rests on ", "Next: ", "│ stage 3"):
        for lines in (sample_of("se-search run"), output_of(printed, "se-search run").splitlines()):
            assert any(line.startswith(start) for line in lines), start


@pytest.mark.parametrize("command", ["effects", "confirm"])
def test_the_page_shows_the_columns_that_are_printed(printed, command):
    lines = output_of(printed, f"se-search {command}").splitlines()
    headings = [line for line in sample_of(f"se-search {command}") if line.startswith("┃")]
    assert headings
    for heading in headings:
        assert columns(heading) in map(columns, lines), heading


def test_python_prints_what_the_page_shows_of_the_network(printed):
    sample = sample_of("open_run")
    assert sample[-1] == output_of(printed, "open_run").splitlines()[-1]


def test_pip_takes_the_commands_that_install():
    (block,) = [block for block in BLOCKS if is_install(block)]
    (command,) = [line for line in block.text.splitlines() if "pip install" in line]
    python = [sys.executable, "-m"]
    quickly = ["--dry-run", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*python, *shlex.split(command), *quickly], cwd=ROOT, check=True, timeout=120)


def columns(line):
    return [cell.strip() for cell in line.replace("┃", "│").split("│")]
