"""What a search shows while it runs: lines for logs, objects for programs, nothing when quiet."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console
from support.records import make_record

from se_search.record import EpochRow, Progress
from se_search.report.display import (
    JsonDisplay,
    LiveDisplay,
    PlainDisplay,
    QuietDisplay,
    make_display,
)
from se_search.report.estimate import Estimate

ENDED = make_record("a", 0.8125, seed=3)


def progress(changed, **numbers):
    known = {"total": 9, "completed": 2, "failed": 1, "running": 3, "front_size": 2}
    return Progress(**known | {"best_accuracy": 0.8125, "changed": changed} | numbers)


@pytest.fixture
def show():
    """Show a progress on a display that writes to a file; return the text."""

    def run(*given, kind=PlainDisplay, **console):
        display = kind(Console(**{"file": io.StringIO(), "width": 160} | console))
        for each in given:
            display.update(each)
        display.close()
        return display._console.file.getvalue()

    return run


def test_a_trial_that_ended_is_a_line_with_what_the_run_has(show):
    assert show(progress(ENDED)) == (
        "trial 0: a (seed 3) 81.25 % in 1.0 s | 3 of 9 trials, 3 running, 1 failed, "
        "best 81.25 %, front 2\n"
    )


def test_a_trial_that_begins_is_no_line(show):
    assert show(progress(make_record("a", 0.5, state="RUNNING")), progress(None)) == ""


def test_a_failed_trial_says_why(show):
    failed = replace(make_record("a", 0.5, state="FAIL"), reason="the loss is nan")
    assert show(progress(failed)).startswith("trial 0: a (seed 0) failed: the loss is nan | ")


def test_a_short_training_says_its_epochs_and_a_promoted_one_that_it_was(show):
    short = make_record("a", 0.5, state="PRUNED", epochs=1)
    assert "(seed 0, 1 epoch)" in show(progress(short, shorter=2))
    assert "3 of 9 trials (2 short)" in show(progress(short, shorter=2))
    assert "(seed 0, promoted)" in show(progress(replace(make_record("a", 0.5), role="promotion")))


def test_the_time_left_is_told_once_a_trial_has_ended_since_the_start(show):
    before, after = progress(None, completed=0, failed=0), progress(ENDED, completed=1, failed=0)
    assert "s left" in show(before, after)
    assert "left" not in show(after)


def test_a_terminal_keeps_one_line_and_prints_failures_above_it(show):
    failed = replace(make_record("b", 0.5, state="FAIL"), reason="out of memory")
    options = {"kind": LiveDisplay, "force_terminal": True}
    text = show(progress(None), progress(ENDED), progress(failed), **options)
    assert "trial 0: b (seed 0) failed: out of memory" in text
    assert "trial 0: a" not in text
    assert "3 of 9 trials" in text


@pytest.mark.parametrize("width", [160, 80, 60, 40])
def test_a_terminals_line_has_the_facts_that_fit_and_cuts_no_number(show, width):
    options = {"kind": LiveDisplay, "force_terminal": True, "width": width}
    text = show(progress(None), progress(ENDED), **options)
    assert "3 of 9 trials" in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert ("front 2" in text) == (width >= 80)


def epoch(number, seconds):
    return EpochRow(number, 40, 0.5, 0.4, 0.8125, seconds)


def test_a_long_training_has_a_line_each_minute_in_a_log():
    display = PlainDisplay(Console(file=io.StringIO(), width=160))
    for number in range(1, 41):
        display.advance(ENDED, epoch(number, 15.0 * number))
    lines = display._console.file.getvalue().splitlines()
    assert len(lines) == 9  # of ten minutes; the end has a line of its own
    assert lines[0] == "trial 0: a (seed 3) epoch 4 of 40, 81.25 %, 9 min left"


def test_a_short_training_has_no_line_for_its_epochs():
    display = PlainDisplay(Console(file=io.StringIO(), width=160))
    for number in range(1, 41):
        display.advance(ENDED, epoch(number, 1.0 * number))
    assert display._console.file.getvalue() == ""


def test_a_terminal_shows_where_long_trainings_are_until_they_end():
    file = io.StringIO()
    display = LiveDisplay(Console(file=file, width=160, force_terminal=True))
    second = replace(ENDED, number=1)
    display.update(progress(None))
    display.advance(ENDED, epoch(3, 30.0))
    display.advance(second, epoch(7, 70.0))
    assert "epochs 3 to 7 of 40" in display._bar.tasks[0].description
    display.update(progress(ENDED))
    assert "epoch 7 of 40" in display._bar.tasks[0].description
    display.update(progress(second))
    assert "epoch" not in display._bar.tasks[0].description
    display.close()


def test_json_has_an_object_for_each_trial_that_ended(capsys):
    display = JsonDisplay()
    display.update(progress(make_record("a", 0.5, state="RUNNING")))
    display.update(progress(ENDED))
    display.note("not shown")
    (event,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert event["event"] == "trial"
    assert (event["candidate"], event["accuracy"]) == (ENDED.candidate, 0.8125)


def test_a_quiet_display_shows_nothing(capsys):
    display = QuietDisplay()
    display.note("hush")
    display.update(progress(ENDED))
    display.close()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, PlainDisplay),  # the tests' output is no terminal
        ({"quiet": True}, QuietDisplay),
        ({"as_json": True}, JsonDisplay),
        ({"quiet": True, "as_json": True}, JsonDisplay),
    ],
)
def test_the_display_follows_the_options(options, kind):
    assert type(make_display(**options)) is kind


def test_a_program_is_told_what_the_search_will_take(capsys):
    JsonDisplay().estimate(Estimate("By 4 trials ...", 4, 100, 2, 1500.0, 1440.0, 2000.0))
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["seconds_left"]) == ("estimate", 1440.0)


WITH_SUPERNETS = {"total": 90, "num_supernets": 2, "supernets_worth": 23.9}


def test_with_supernets_the_total_is_the_budget_and_trials_and_supernets_are_counted(show):
    text = show(progress(ENDED, **WITH_SUPERNETS))
    assert "| 26.9 of 90 trainings' worth, 3 trials, 2 supernets, 3 running, 1 failed," in text


def test_supernets_alone_have_no_best_accuracy_and_no_front(show):
    none = {"completed": 0, "failed": 0, "running": 0, "best_accuracy": None, "front_size": 0}
    options = {"kind": LiveDisplay, "force_terminal": True}
    text = show(progress(None, **none | WITH_SUPERNETS), **options)
    assert "23.9 of 90 trainings' worth, 0 trials, 2 supernets" in text
    assert "best" not in text


def test_the_time_left_counts_supernets_as_trainings(monkeypatch):
    """Ten seconds have taken half of the budget, of which a supernet was most."""
    monkeypatch.setattr("se_search.report.display.time.monotonic", iter([0.0, 10.0]).__next__)
    display = PlainDisplay(Console(file=io.StringIO(), width=160))
    known = {"completed": 0, "failed": 0, "total": 20, "num_supernets": 0}
    display.update(progress(None, **known))
    display.update(progress(ENDED, **known | {"completed": 2, "supernets_worth": 8.0}))
    assert display._console.file.getvalue().endswith(", 0 min 10 s left\n")
