"""The page on Python documents each column of a run's data frames."""

import re

import pytest
from support.pages import ROOT

import se_search

FRAMES = ("trials", "candidates", "effects", "confirmation", "gates")


def read_columns(frame):
    """Return the rows of a frame's table: column, unit and meaning."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    section = text.partition(f"### run.{frame}\n")[2].partition("\n#")[0]
    return re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]+) \|$", section, re.MULTILINE)


@pytest.mark.parametrize("frame", FRAMES)
def test_the_columns_of_a_frame_are_documented_in_their_order(frame, example_runs):
    run = se_search.open_run(example_runs / "stages_ratio")
    assert [column for column, _, _ in read_columns(frame)] == list(getattr(run, frame).columns)


def test_the_front_has_the_columns_of_all_candidates(example_runs):
    run = se_search.open_run(example_runs / "stages_ratio")
    assert list(run.front.columns) == list(run.candidates.columns)


@pytest.mark.parametrize("frame", FRAMES)
def test_what_is_measured_has_a_unit(frame):
    """Shares, points, seconds and the like; names, marks and counts have none."""
    units = {unit for _, unit, _ in read_columns(frame)}
    known = {"", "share", "points", "per cent", "0 to 1", "s", "ns", "nats", "epochs", "images"}
    known |= {"bytes"}
    assert units <= known
    measured = ("accuracy", "gain", "low", "high", "seconds", "loss", "_sd", "_pct")
    for column, unit, _ in read_columns(frame):
        if column.endswith(measured):
            assert unit, column
