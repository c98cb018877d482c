"""The log of trainings: what is kept through crashes, and what is never mixed."""

from dataclasses import replace

import pytest
from support.full_disk import largest_file

from se_search.errors import RunError, UnwritableError
from se_search.record import Effort, RanOn
from se_search.store.training_log import LogContents, Training, TrainingLog, read_log

IDENTITY = {
    "space": {"granularity": "stage"},
    "recipe": {"batch_size": 64, "split": {"validation": 20}},
    "protocol": 3,
}
HERE = {"torch": "2.9", "numpy": "2.0", "hardware": "a CPU", "workers": 1}


def make_up(seed, epochs=2):
    rows = ({"epoch": n, "accuracy": 0.7 + seed / 30, "loss": 1 / 3} for n in range(1, epochs + 1))
    return Training(
        key="abc",
        candidate="tiny/stage2=standard:4",
        epochs=epochs,
        seed=seed,
        environment=0,
        history=tuple(rows),
        correct=b"\x40\xff\x01",
        test_correct=b"\x80",
        seconds=1 / 7,
        split_seed=seed + 10,
        split_hash="0123456789ab",
        ran_on=RanOn("a CPU", None, None, None, "32-true", "2.9", 2**30),
        effort=Effort(2, 3.5, 3.5),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "raw" / "trainings.jsonl"


@pytest.fixture
def log(path):
    """Append the trainings of some seeds that the log does not have; return the appended seeds."""

    def write(num_seeds, identity=IDENTITY, environment=HERE, epochs=2, **options):
        appended = []
        with TrainingLog(path, identity, environment, **options) as log:
            for training in (make_up(seed, epochs) for seed in range(num_seeds)):
                if training.id not in log.done:
                    log.append(replace(training, environment=log.environment))
                    appended.append(training.seed)
        return appended

    return write


# --- what is kept -------------------------------------------------------------------------------


def test_what_failed_trainings_took_is_added_up_and_makes_none_count_as_done(log, path):
    with TrainingLog(path, IDENTITY, HERE) as opened:
        opened.note_loss(("abc", 2, 0), Effort(3, 30.0, 15.0))
        opened.note_loss(("abc", 2, 1), Effort(1, 2.0, 1.0))
        opened.note_loss(("abc", 2, 2), None)
    assert read_log(path).lost == Effort(4, 32.0, 16.0)
    assert log(2) == [0, 1]
    assert read_log(path).lost == Effort(4, 32.0, 16.0)


def test_half_a_line_that_a_full_disk_has_cut_off_is_replaced_at_the_next_attempt(path):
    with TrainingLog(path, IDENTITY, HERE) as log:
        log.append(make_up(0))
        whole = path.stat().st_size
        with largest_file(whole + 10), pytest.raises(UnwritableError, match="bytes are needed"):
            log.append(make_up(1))
        assert [training.seed for training in read_log(path).trainings] == [0]
        log.append(make_up(1))
    assert read_log(path).trainings == (make_up(0), make_up(1))
    assert path.read_bytes().count(b"\n") == 4


def test_a_training_is_read_back_as_it_was(log, path):
    log(2)
    contents = read_log(path)
    assert contents.trainings == (make_up(0), make_up(1))
    assert (contents.identity, contents.environments) == (IDENTITY, (HERE,))


def test_a_training_is_on_disk_when_append_returns(path):
    with TrainingLog(path, IDENTITY, HERE) as log:
        for seed in range(3):
            log.append(make_up(seed))
            assert len(read_log(path).trainings) == seed + 1


def test_a_training_that_is_there_is_not_taken_again(log, path):
    log(2)
    assert log(4) == [2, 3]
    with (
        TrainingLog(path, IDENTITY, HERE) as entered,
        pytest.raises(RunError, match=r"has tiny/stage2=standard:4, .* already"),
    ):
        entered.append(make_up(3))


def test_another_budget_is_another_training(log):
    log(2)
    assert log(2, epochs=8) == [0, 1]


def test_a_line_that_was_cut_off_is_dropped_and_written_again(log, path):
    log(3)
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    assert len(read_log(path).trainings) == 2
    assert log(3) == [2]
    assert path.read_bytes() == whole


def test_a_log_that_was_cut_off_in_its_first_line_begins_anew(log, path):
    log(1)
    whole = path.read_bytes()
    path.write_bytes(whole[:30])
    assert log(1) == [0]
    assert path.read_bytes() == whole


def test_a_broken_line_in_the_middle_is_named(log, path):
    log(3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[3][:50] + b"\n", *lines[4:]]))
    with pytest.raises(RunError, match=r"trainings.jsonl:4 is not a line of a log"):
        log(3)


def test_one_process_writes_at_a_time(log, path):
    with (
        TrainingLog(path, IDENTITY, HERE),
        pytest.raises(RunError, match="written by another process"),
    ):
        log(1)


# --- what is never mixed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"recipe": {"batch_size": 32}}, r"recipe\.batch_size: 64 there, 32 asked for"),
        (
            {"space": {"granularity": "block"}},
            r'space\.granularity: "stage" there, "block" asked for',
        ),
    ],
)
def test_trainings_of_another_space_or_recipe_are_never_mixed(log, change, text):
    log(1)
    with pytest.raises(RunError, match=text):
        log(2, identity=IDENTITY | change, mix=True)


def test_trainings_of_another_protocol_are_never_mixed(log):
    """An identity without a protocol is of the first one."""
    first = {name: value for name, value in IDENTITY.items() if name != "protocol"}
    log(1, identity=first)
    with pytest.raises(RunError, match=r"mix trainings of protocol 1, .* new ones of protocol 3"):
        log(2, mix=True)


def test_another_version_of_torch_is_refused_unless_asked_for(log, path):
    log(1)
    elsewhere = HERE | {"torch": "2.10"}
    with pytest.raises(RunError, match=r'torch: "2\.9" there, "2\.10" here.*--mix-environments'):
        log(2, environment=elsewhere)
    log(2, environment=elsewhere, mix=True)
    contents = read_log(path)
    assert contents.environments == (HERE, elsewhere)
    assert [training.environment for training in contents.trainings] == [0, 1]


def test_the_number_of_workers_may_change(log, path):
    log(1)
    log(2, environment=HERE | {"workers": 2})
    assert [training.environment for training in read_log(path).trainings] == [0, 1]


# --- trainings that are published ---------------------------------------------------------------


@pytest.fixture
def published():
    return LogContents(IDENTITY, (HERE,), (make_up(0), make_up(1)), size=0)


def test_published_trainings_count_as_done(log, path, published):
    assert log(3, published=published) == [2]
    assert read_log(path).trainings == (make_up(2),)


def test_published_trainings_from_elsewhere_are_not_gone_on_with_unless_asked_for(log, published):
    elsewhere = HERE | {"numpy": "3.0"}
    with pytest.raises(RunError, match=r'numpy: "2\.0" there, "3\.0" here'):
        log(3, published=published, environment=elsewhere)
    assert log(3, published=published, environment=elsewhere, mix=True) == [2]
