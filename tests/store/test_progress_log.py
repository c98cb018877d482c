"""The epochs of trainings, a line each: nothing that counts, so nothing ever fails by them."""

import json
import time
from dataclasses import replace

import pytest
from support.networks import make_backbone
from support.records import make_record

from se_search.candidate import Candidate
from se_search.record import Assignment, EpochRow
from se_search.store.progress_log import ProgressLog, find_last, read_progress

ROW = EpochRow(epoch=3, epochs=40, train_loss=0.5, loss=0.4, accuracy=0.8, seconds=12.3456)


def trial(number):
    return replace(make_record("a", 0.5, state="RUNNING", seed=7), number=number)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "progress.jsonl"


def test_each_epoch_is_a_line_of_json(path):
    log = ProgressLog(path)
    for epoch in (1, 2):
        log.append(trial(5), replace(ROW, epoch=epoch))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert {k: v for k, v in rows[0].items() if k != "time"} == {
        "trial": 5,
        "placement": "a",
        "seed": 7,
        "epoch": 1,
        "epochs": 40,
        "train_loss": 0.5,
        "loss": 0.4,
        "accuracy": 0.8,
        "seconds": 12.346,
    }


def test_a_run_that_goes_on_adds_to_the_file(path):
    for number in (0, 1):
        ProgressLog(path).append(trial(number), ROW)
    assert [row.trial for row in read_progress(path)] == [0, 1]


def test_a_line_that_was_cut_off_costs_that_line_alone(path):
    ProgressLog(path).append(trial(0), ROW)
    path.write_bytes(path.read_bytes() + b'{"trial": 1, "pla')
    ProgressLog(path).append(trial(2), ROW)
    assert [row.trial for row in read_progress(path)] == [0, 2]


@pytest.mark.parametrize(
    "damage",
    [
        *({"epoch": 0}, {"epochs": "40"}, {"time": "noon"}, {"time": "2026-01-01T00:00:00"}),
        *({"trial": []}, {"seconds": None}, {"accuracy": "x"}, {"placement": 3}),
    ],
)
def test_a_line_with_a_value_of_another_kind_is_left_out(path, damage):
    for number in (0, 1):
        ProgressLog(path).append(trial(number), ROW)
    first, second = path.read_text().splitlines()
    path.write_text(json.dumps(json.loads(first) | damage) + f"\n{second}\n")
    assert [row.trial for row in read_progress(path)] == [1]


def test_a_loss_that_is_not_finite_is_no_number(path):
    ProgressLog(path).append(trial(0), replace(ROW, train_loss=float("nan")))
    assert read_progress(path)[0].train_loss is None


def test_the_file_stays_small_and_keeps_the_newest_lines(path):
    log = ProgressLog(path, max_bytes=5_000)
    for number in range(100):
        log.append(trial(number), replace(ROW, epoch=40))
        assert path.stat().st_size <= 5_000
    kept = [row.trial for row in read_progress(path)]
    assert kept == list(range(kept[0], 100))
    assert len(kept) >= 10


def test_the_last_epoch_of_a_training_that_goes_on_is_kept_however_old_it_is(path):
    log = ProgressLog(path, max_bytes=5_000)
    for epoch in (1, 2):
        log.append(trial(1_000), replace(ROW, epoch=epoch))
    for number in range(100):
        log.append(trial(number), replace(ROW, epoch=40))
    rows = read_progress(path)
    assert [row.epoch for row in rows if row.trial == 1_000] == [2]
    assert find_last(rows)[1_000, "a", 7].epoch == 2


def test_a_training_that_is_no_trial_is_told_from_others_by_placement_and_seed(path):
    backbone = make_backbone([8])
    plain, other = (Candidate.parse(text, backbone) for text in ("tiny", "tiny/stage2=standard:4"))
    log = ProgressLog(path)
    for candidate, seed, epoch in ((plain, 1, 1), (other, 1, 1), (plain, 2, 1), (plain, 1, 2)):
        log.append_fresh(Assignment(candidate, seed, 40), replace(ROW, epoch=epoch))
    last = find_last(read_progress(path))
    assert {name: row.epoch for name, row in last.items()} == {
        (None, "no SE", 1): 2,
        (None, "s2:4", 1): 1,
        (None, "no SE", 2): 1,
    }


def test_a_line_that_can_not_be_written_is_left_out(tmp_path):
    ProgressLog(tmp_path).append(trial(0), ROW)  # a folder
    assert read_progress(tmp_path) == []


def test_an_epoch_costs_less_than_a_millisecond(path):
    log = ProgressLog(path)
    began = time.process_time()
    for epoch in range(200):
        log.append(trial(0), replace(ROW, epoch=epoch))
    assert time.process_time() - began < 0.2
