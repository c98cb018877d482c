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


def test_the_sample_has_the_columns_that_a_run_prints(report):
    sample = re.search(r"<!-- sample: .*?-->(.*)<!-- end of the sample -->", README, re.DOTALL)
    assert sample
    heading = next(line for line in sample[1].splitlines() if "P(front)" in line)
    printed = next(line for line in report.splitlines() if "P(front)" in line)
    assert columns(heading) == columns(printed)


def columns(line):
    return [cell.strip() for cell in re.split("[│┃]", line)]
