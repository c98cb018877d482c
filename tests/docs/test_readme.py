"""The README stays short, and its sample is of the program as it is."""

import re

import pytest
from support.pages import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(call, example_runs):
    """Return what a run prints in the end."""
    return call("report", "stages_ratio", folder=example_runs.parent).stdout


def test_the_readme_has_at_most_130_lines():
    assert len(README.splitlines()) <= 130


def test_no_line_of_the_readme_is_longer_than_140_characters():
    assert [line for line in README.splitlines() if len(line) > 140] == []


@pytest.fixture(scope="module")
def sample():
    found = re.search(r"<!-- sample: .*?-->\n```text\n(.*)```\n<!-- end of", README, re.DOTALL)
    assert found
    return found[1].splitlines()


def test_the_sample_has_the_columns_that_a_run_prints(sample, report):
    heading = next(line for line in sample if "gain over none" in line)
    printed = next(line for line in report.splitlines() if "gain over none" in line)
    assert columns(heading) == columns(printed)


def test_the_sample_begins_and_ends_as_an_answer_does(sample, report):
    beginnings = ("Put ", "Leave SE out: ", "Nothing can be said: ")
    assert sample[0].startswith(beginnings)
    assert any(line.startswith(beginnings) for line in report.splitlines())
    for start in ("This rests on ", "Next: "):
        for lines in (sample, report.splitlines()):
            assert any(line.startswith(start) for line in lines) or "Nothing more" in lines[-1]


def columns(line):
    return [cell.strip() for cell in re.split("[│┃]", line)]
