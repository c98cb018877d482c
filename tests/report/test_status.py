"""How a run stands, read beside the process that works on it."""

import io
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from rich.console import Console
from support.kept_runs import make_front, make_run, make_trial
from support.made_up_evidence import make_supernets
from support.made_up_fronts import GOOD, NOTHING, PLAIN, UNSETTLED
from support.run_folders import store_trials

from se_search.record import EpochRow
from se_search.report.status import print_front, print_status, read_status, status_event
from se_search.store.progress_log import ProgressLog
from se_search.store.supernets import SupernetFiles, write_supernets
from se_search.store.trial_times import read_times

ENDED = [make_trial("no SE", 0.80), make_trial("s2:4", 0.81), make_trial("s2:4", 0.8, 1)]
FAILED = replace(make_trial("s2:8", 0.5, state="FAIL"), reason="the loss is nan")


def printed(show, *given, width=80):
    console = Console(file=io.StringIO(), width=width)
    show(console, *given)
    return console.file.getvalue()


def test_a_run_without_trials_waits_and_is_no_error(tmp_path):
    status = read_status(make_run(tmp_path / "run", trials=200))
    assert (status.state, status.num_ended, status.seconds_left) == ("waiting", 0, None)
    text = printed(print_status, status)
    assert "Trials: 0 of 200" in text
    assert "the command that began it goes on" in text
    assert "Nothing is known so far: no full training has ended." in printed(print_front, None)


def test_trials_that_wait_will_take_as_long_as_those_that_have_ended(tmp_path):
    trials = [replace(trial, seconds=30.0) for trial in ENDED]
    folder = make_run(tmp_path / "run", trials, trials=11, workers=2)
    status = read_status(folder)
    assert status.seconds_a_trial == 15.0
    assert status.seconds_left == 8 * 15.0
    assert "about 2 min left" in printed(print_status, status)


def test_the_rate_of_a_running_command_is_its_own(tmp_path):
    """Three trials have ended, of which the first began a minute ago, later than the command."""
    folder = make_run(tmp_path / "run", trials=13, workers=1)
    with folder.lock():
        store_trials(folder, ENDED)
        first = min(each.began for each in read_times(folder.database))
        status = read_status(folder, now=first + timedelta(seconds=60))
    assert status.seconds_a_trial == pytest.approx(20.0)
    assert status.seconds_left == pytest.approx(200.0)


def test_before_a_trial_has_ended_those_that_run_foretell_the_time(tmp_path):
    folder = make_run(tmp_path / "run", trials=10, workers=1)
    with folder.lock():
        store_trials(folder, [make_trial("s2:8", 0.5, 7, state="RUNNING", epochs=40)])
        record = make_trial("s2:8", 0.5, 7, state="RUNNING")
        ProgressLog(folder.progress_log).append(record, EpochRow(10, 40, 0.5, None, None, 30.0))
        status = read_status(folder)
    assert status.seconds_a_trial == pytest.approx(120.0)
    assert status.seconds_left == pytest.approx(1_200.0)


def test_a_run_that_has_ended_has_no_time_left(tmp_path):
    status = read_status(make_run(tmp_path / "run", ENDED, trials=9, ending="exhausted"))
    assert (status.state, status.seconds_left) == ("finished", None)


def test_failures_are_counted_by_their_reasons(tmp_path):
    status = read_status(make_run(tmp_path / "run", [*ENDED, FAILED, FAILED], trials=9))
    assert status.failures == (("the loss is nan", 2),)
    assert "Failed 2 times: the loss is nan" in printed(print_status, status)


@pytest.fixture
def running(tmp_path):
    """Return a run with a training under way, while this process has its lock."""
    folder = make_run(
        tmp_path / "run", [*ENDED, make_trial("s2:8", 0.5, 7, state="RUNNING", epochs=40)]
    )
    with folder.lock():
        yield folder


def test_a_training_that_runs_shows_its_last_epoch(running):
    log = ProgressLog(running.progress_log)
    record = replace(make_trial("s2:8", 0.5, 7, state="RUNNING"), number=3)
    for epoch in (9, 10):
        log.append(record, EpochRow(epoch, 40, 0.5, 0.41, 0.8125, 6.0 * epoch))
    (training,) = read_status(running).running
    assert (training.trial, training.epoch, training.epochs) == (3, 10, 40)
    assert training.seconds_left == pytest.approx(180.0)
    text = printed(print_status, read_status(running))
    assert "10/40" in text
    assert "81.25" in text


def test_epochs_of_an_attempt_that_was_broken_off_are_not_shown(running):
    log = ProgressLog(running.progress_log)
    record = replace(make_trial("s2:8", 0.5, 7, state="RUNNING"), number=3)
    log.append(record, EpochRow(9, 40, 0.5, 0.41, 0.8125, 54.0))
    row = json.loads(running.progress_log.read_text())
    row["time"] = "2020-01-01T00:00:00+00:00"
    running.progress_log.write_text(json.dumps(row) + "\n")
    (training,) = read_status(running).running
    assert training.epoch is None
    assert "0/40" in printed(print_status, read_status(running))


def test_what_a_dead_process_left_running_is_not_under_way(tmp_path):
    status = read_status(make_run(tmp_path / "run", [make_trial("s2:8", 0.5, state="RUNNING")]))
    assert (status.state, status.running) == ("waiting", ())


def test_a_running_run_is_read_without_its_lock(running):
    assert read_status(running).state == "running"
    before = running.lock_file.read_text()
    read_status(running)
    assert running.lock_file.read_text() == before != ""


def test_what_is_best_and_what_is_missing_are_told():
    text = printed(print_front, make_front(NOTHING, UNSETTLED, (PLAIN, GOOD)))
    assert "Best so far, points (95 %): open: s2:4 +0.62 (0.31 to 0.93)" in text
    assert "It is not settled: more is needed." in text
    assert "It is settled." in printed(print_front, make_front(candidates=(PLAIN, GOOD)))


def test_json_has_all_that_is_printed(running):
    front = make_front(candidates=(PLAIN, GOOD))
    event = json.loads(json.dumps(status_event(read_status(running), front)))
    assert event["state"] == "running"
    assert event["trials"] == {"COMPLETE": 3, "RUNNING": 1}
    assert event["best"]["placement"] == "s2:4"
    assert event["settled"]["is_settled"] is True
    assert [each["trial"] for each in event["running"]] == [3]
    assert datetime.fromisoformat(event["holder"]["since"]).tzinfo is not None


@pytest.mark.parametrize("width", [80, 160])
def test_all_lines_fit_the_terminal(running, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    text = printed(print_status, read_status(running), width=width)
    assert max(map(len, text.splitlines())) <= width


@pytest.fixture
def make_scored(tmp_path):
    """Make a run with two supernets worth 11 trainings; return how it stands."""

    def make(evaluator, *states, records=ENDED, trials=90):
        folder = make_run(tmp_path / "run", records, trials=trials, evaluator=evaluator)
        write_supernets(SupernetFiles(folder.path), make_supernets(*states))
        return read_status(folder)

    return make


def test_a_ladder_tells_what_is_spent_of_its_budget(make_scored):
    status = make_scored("ladder")
    text = printed(print_status, status)
    assert "Spent: 14.0 of 90 trainings' worth, on 3 trials and 2 supernets;" in text
    assert "Supernets: 2 scored; worth 11.0 trainings" in text
    event = status_event(status, None)
    assert (event["spent"], event["num_wanted"], event["num_ended"]) == (14.0, 90, 3)
    assert status.seconds_left == 76 * status.seconds_a_trial


def test_a_supernet_that_has_not_ended_is_not_spent(make_scored):
    assert make_scored("ladder", "SCORED", "DECIDED").spent == 3 + 5.5


def test_a_run_of_supernets_alone_lacks_no_trials(make_scored):
    text = printed(print_status, make_scored("supernet", records=(), trials=14))
    assert "Spent: 11.0 of 14 trainings' worth, on supernets alone: no candidate is" in text
    assert "Trials:" not in text
