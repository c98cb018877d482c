"""Trainings that shall end soon: short ones end, long ones save their states, others are killed."""

import time

import pytest
from support import children
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.child import warm_up
from se_search.execution.local import local_executor
from se_search.record import Assignment, Evaluation, Failure, Fault

DEVICE = Device("cpu", 0, 1, "32-true")
ASSIGNMENT = Assignment(Candidate.plain(make_backbone([8])), 0, 1)


@pytest.fixture(scope="module", autouse=True)
def _server():
    warm_up([], threads=1)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def wind_down(tmp_path, notes):
    """Have an evaluation begin and then wind down; return how it ended, and after how long."""

    def run(evaluate, seconds, **options):
        executor = local_executor(
            children.MarksItsStart(evaluate, tmp_path / "started"),
            [DEVICE],
            tmp_path / "log",
            note=notes.append,
            **options,
        )
        executor.submit(7, ASSIGNMENT)
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        asked = time.monotonic()
        executor.wind_down(seconds)
        ended = []
        while not ended:
            ended = executor.wait(0.1)
        ((number, outcome),) = ended
        assert number == 7
        assert outcome.effort.attempts == 1
        assert executor.has_room()
        return outcome, time.monotonic() - asked

    return run


def test_a_training_that_ends_in_time_is_let_end(wind_down, notes):
    outcome, _ = wind_down(children.take_a_moment, 30)
    assert isinstance(outcome, Evaluation)
    assert notes == []


def test_a_training_that_saves_its_state_is_broken_off_and_said_to_go_on(wind_down, notes):
    outcome, seconds = wind_down(children.save_when_asked, 30)
    assert (outcome.fault, outcome.reason) == (Fault.STOPPED, "saved after 1.5 of 3 epochs")
    assert notes == ["no SE (replicate 0): saved after 1.5 of 3 epochs"]
    assert seconds < 10


def test_a_training_learns_until_when_it_shall_have_ended(wind_down):
    """A fifth of the time is kept for what it does after its last step."""
    outcome, _ = wind_down(children.tell_time_left, 100)
    assert outcome.accuracy == pytest.approx(80, abs=5)


def test_a_training_that_does_not_end_in_time_is_killed(wind_down, notes):
    outcome, seconds = wind_down(children.hang, 0.3)
    assert outcome.fault == Fault.STOPPED
    assert 0.3 < seconds < 10
    assert "goes on from its last state, or makes it again" in notes[0]


def test_a_training_that_the_machine_breaks_off_meanwhile_is_not_tried_again(wind_down):
    outcome, seconds = wind_down(children.be_killed, 30, pauses=(0, 0))
    assert outcome.fault == Fault.STOPPED
    assert seconds < 10


def test_a_candidates_own_failure_meanwhile_is_its_own(wind_down):
    outcome, _ = wind_down(children.diverge, 30)
    assert (outcome.fault, outcome.reason) == (Fault.CANDIDATE, "the loss is nan")


def test_what_waits_to_be_tried_again_is_taken_back(tmp_path):
    executor = local_executor(children.be_killed, [DEVICE], tmp_path / "log", pauses=(60, 60))
    executor.submit(7, ASSIGNMENT)
    while not executor._waiting:
        assert executor.wait(0.1) == []
    executor.wind_down(30)
    ((number, failure),) = executor.wait(0)
    assert isinstance(failure, Failure)
    assert (number, failure.fault, failure.effort.attempts) == (7, Fault.STOPPED, 1)
    assert executor.has_room()
