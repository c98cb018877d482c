"""The list of a folder's runs: quick, and whatever the runs are like."""

import io
import json
import os
import time

import pytest
from rich.console import Console
from support.kept_runs import make_front, make_run, make_trial
from support.made_up_evidence import make_supernets
from support.made_up_fronts import GOOD, LEAVE, NOTHING, PLAIN, UNSETTLED
from support.names import ODD_NAMES

from se_search.errors import RunError
from se_search.report.overview import (
    describe_problems,
    overviews_event,
    overviews_table,
    read_overviews,
)
from se_search.report.short_answer import shorten_answer
from se_search.store.supernets import SupernetFiles, write_supernets

PLAIN_TRIAL, GOOD_TRIAL = make_trial("no SE", 0.80), make_trial("s2:4", 0.81)


def print_table(rows, folder, width=80):
    console = Console(width=width, file=io.StringIO())
    console.print(overviews_table(rows, folder))
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("front", "text"),
    [
        (make_front(), "s2:4 +0.62 (0.31 to 0.93)"),
        (make_front(LEAVE), "no SE (gains at most 0.31)"),
        (make_front(NOTHING), "open: s2:4 +0.62 (0.31 to 0.93)"),
        (make_front(NOTHING, candidates=(PLAIN,)), "no SE trained yet"),
        (make_front(NOTHING, candidates=()), "no full training yet"),
    ],
)
def test_an_answer_is_told_in_a_few_words(front, text):
    assert shorten_answer(front) == text


def test_a_run_is_a_row_with_its_answer(tmp_path):
    front = make_front(candidates=(PLAIN, GOOD))
    make_run(tmp_path / "one", [PLAIN_TRIAL, GOOD_TRIAL], front, ending="finished", trials=2)
    (row,) = read_overviews(tmp_path)
    assert (row.name, row.state, row.space, row.data) == ("one", "settled", "stages", "digits")
    assert (row.num_ended, row.num_wanted, row.trials) == (2, 2, {"COMPLETE": 2})
    assert (row.placement, row.gain, row.low) == ("s2:4", GOOD.gain, GOOD.low)
    text = print_table([row], tmp_path, width=200)
    assert "s2:4 +0.62 (0.31 to 0.93)" in text
    assert "(of " not in text


def test_a_run_with_supernets_tells_what_is_spent_of_its_budget(tmp_path):
    trials = [PLAIN_TRIAL, GOOD_TRIAL]
    folder = make_run(tmp_path / "one", trials, ending="finished", trials=13, evaluator="ladder")
    write_supernets(SupernetFiles(folder.path), make_supernets())
    (row,) = read_overviews(tmp_path)
    assert (row.spent, row.supernets_worth) == (13.0, 11.0)
    assert "13.0/13" in print_table([row], tmp_path)


def test_a_run_of_supernets_alone_lacks_no_training(tmp_path):
    folder = make_run(tmp_path / "one", trials=13, evaluator="supernet", ending="finished")
    write_supernets(SupernetFiles(folder.path), make_supernets())
    (row,) = read_overviews(tmp_path)
    assert row.answer == "an order, no gains"


def test_an_answer_of_fewer_trainings_than_there_are_now_says_so(tmp_path):
    front = make_front(candidates=(PLAIN, GOOD))  # of two trainings
    trials = [PLAIN_TRIAL, GOOD_TRIAL, make_trial("s2:4", 0.8, 1)]
    make_run(tmp_path / "one", trials, front, ending="finished")
    (row,) = read_overviews(tmp_path)
    assert row.state == "finished"
    assert "(of 2 trainings)" in print_table([row], tmp_path, width=200)


def test_a_run_that_has_ended_and_is_not_settled_has_finished(tmp_path):
    front = make_front(settled=UNSETTLED, candidates=(PLAIN, GOOD))
    make_run(tmp_path / "one", [PLAIN_TRIAL, GOOD_TRIAL], front, ending="finished")
    assert read_overviews(tmp_path)[0].state == "finished"


def test_a_report_of_another_version_is_told_from_none(tmp_path):
    front = make_front(candidates=(PLAIN, GOOD))
    folder = make_run(tmp_path / "old", [PLAIN_TRIAL, GOOD_TRIAL], front)
    kept = folder.path / "posterior.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"model": 1}))
    (row,) = read_overviews(tmp_path)
    assert (row.answer, row.is_outdated) == (None, True)
    assert "reported by" in print_table([row], tmp_path)


def test_a_run_without_trials_or_a_report_waits(tmp_path):
    make_run(tmp_path / "new")
    make_run(tmp_path / "begun", [PLAIN_TRIAL])
    rows = {row.name: row for row in read_overviews(tmp_path)}
    assert {row.state for row in rows.values()} == {"waiting"}
    assert "no report yet" in print_table(rows.values(), tmp_path)


def test_a_run_that_somebody_works_on_is_running(tmp_path):
    folder = make_run(tmp_path / "one", [PLAIN_TRIAL], ending="finished")
    with folder.lock():
        (row,) = read_overviews(tmp_path)
    assert row.state == "running"
    assert f"process {os.getpid()} on " in print_table([row], tmp_path, width=250)


def test_broken_runs_are_listed_with_the_reason_and_hide_no_other(tmp_path):
    make_run(tmp_path / "good", [PLAIN_TRIAL])
    for name, text in (("a", "{"), ("b", "format: 4\n"), ("c", "format: 5\nidentity: {}\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text)
    damaged = make_run(tmp_path / "d", [PLAIN_TRIAL])
    damaged.database.write_bytes(b"no database " * 500)
    lost = make_run(tmp_path / "e", [PLAIN_TRIAL])
    lost.config_file.unlink()
    rows = read_overviews(tmp_path)
    assert {row.name for row in rows if row.state == "broken"} == set("abcde")
    problems = describe_problems(rows)
    assert len(problems) == 5
    assert any("reads formats" in line for line in problems)
    assert len(print_table(rows, tmp_path).splitlines()) >= 9


def test_the_run_that_changed_last_stands_last(tmp_path):
    now = time.time()
    for age, name in enumerate(["new", "old", "oldest"]):
        folder = make_run(tmp_path / name, [PLAIN_TRIAL])
        for path in (folder.database, folder.config_file):
            os.utime(path, (now - 1000 * age, now - 1000 * age))
    assert [row.name for row in read_overviews(tmp_path)] == ["oldest", "old", "new"]


def test_names_of_any_kind_fit_their_row_and_control_no_terminal(tmp_path):
    names = [name for name in ODD_NAMES if "/" not in name]
    for name in names:
        make_run(tmp_path / name)
    text = print_table(read_overviews(tmp_path), tmp_path)
    assert "\x1b" not in text
    assert "a\\nb" in text
    assert len(overviews_event(read_overviews(tmp_path), tmp_path)["runs"]) == len(names)


def test_a_table_of_usual_runs_fits_80_columns(tmp_path):
    front = make_front(candidates=(PLAIN, GOOD))
    make_run(tmp_path / "stages_ratio_with_a_name", [PLAIN_TRIAL, GOOD_TRIAL], front)
    text = print_table(read_overviews(tmp_path), tmp_path)
    assert max(map(len, text.splitlines())) <= 80
    assert "+0.62" in text


def test_an_empty_folder_has_no_runs_and_a_missing_one_is_an_error(tmp_path):
    assert read_overviews(tmp_path) == []
    with pytest.raises(RunError, match=r"no folder .*; se-search run makes it"):
        read_overviews(tmp_path / "nowhere")


def test_the_folder_of_a_run_stands_for_itself(tmp_path):
    make_run(tmp_path / "one")
    assert [row.name for row in read_overviews(tmp_path / "one")] == ["one"]


def test_reading_that_takes_seconds_says_how_far_it_is(tmp_path):
    for number in range(5):
        make_run(tmp_path / f"run{number}")
    told = []
    ticks = iter(range(100))
    read_overviews(tmp_path, lambda *numbers: told.append(numbers), clock=lambda: next(ticks))
    assert told
    assert {total for _, total in told} == {5}
