"""Results that can't be stored: kept, tried again, and made again only where all that fails."""

import itertools

import pytest
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.errors import InfrastructureError, StorageError
from se_search.execution.drive import drive
from se_search.execution.serial import SerialExecutor
from se_search.execution.storing import Room
from se_search.record import Assignment, Evaluation, Stop

PLAIN = Candidate.plain(make_backbone([8]))


def succeed(assignment):
    return Evaluation(0.5, 1.0, (), b"", 1.0)


class Disk:
    """Work whose outcomes, and beginnings if it is told so, can't be stored for some attempts."""

    def __init__(self, count, num_failures=0, first=0, begins_fail=False):
        self._waiting = iter(range(count))
        self._num_failures = num_failures
        self._first = first
        self._begins_fail = begins_fail
        self.begun, self.ended, self.released = [], [], []

    def begin(self):
        seed = next(self._waiting, None)
        if seed is None:
            return None
        if self._begins_fail and seed >= self._first:
            raise StorageError("trials.db is full")
        self.begun.append(seed)
        return seed, Assignment(PLAIN, seed, 1)

    def advance(self, number, row):
        """Take no notice."""

    def end(self, number, outcome):
        if number >= self._first and self._num_failures:
            self._num_failures -= 1
            raise StorageError("trials.db is full")
        self.ended.append(number)

    def release(self, number, effort):
        self.released.append(number)


class Patient:
    """A clock that only sleeping moves, and the notes that were made."""

    def __init__(self, reserves=0):
        self.now, self.notes, self._reserves = 0.0, [], reserves

    def room(self):
        return Room(self.make, self.notes.append, 300.0, lambda: self.now, self.sleep)

    def make(self):
        self._reserves -= 1
        return self._reserves >= 0

    def sleep(self, seconds):
        self.now += seconds


def train(work, patient, workers=1, **options):
    executor = SerialExecutor(succeed, workers)
    return drive(work, executor, max_failures=None, room=patient.room(), **options)


def test_a_result_that_can_be_stored_at_a_later_attempt_is_no_reason_to_stop():
    work, patient = Disk(5, num_failures=4, first=2), Patient()
    assert train(work, patient) == Stop.NO
    assert (work.ended, work.released) == ([0, 1, 2, 3, 4], [])
    assert patient.notes == [
        "trials.db is full. Nothing more begins; what runs goes on, and what has ended is kept",
        "All that had ended is stored now, and trainings begin again",
    ]


def test_nothing_begins_while_a_result_waits_and_what_runs_is_stored_behind_it():
    work = Disk(9, num_failures=10**6, first=2)
    with pytest.raises(InfrastructureError):
        train(work, Patient(), workers=3)
    # As the third result is refused, the fourth and the fifth training run; no sixth begins.
    assert work.begun == [0, 1, 2, 3, 4]
    assert (work.ended, work.released) == ([0, 1], [2, 3, 4])


def test_after_five_minutes_the_command_ends_as_by_a_fault_of_the_machine():
    patient = Patient()
    with pytest.raises(InfrastructureError) as caught:
        train(Disk(3, num_failures=10**6), patient)
    assert caught.value.exit_code == 75
    assert str(caught.value).startswith("trials.db is full. ")
    assert "1 of the trainings that have ended could not be stored" in str(caught.value)
    assert 300 <= patient.now < 302


def test_the_pauses_between_attempts_grow_from_one_second_to_a_quarter_of_a_minute():
    attempts = []

    class Counting(Disk):
        def end(self, number, outcome):
            attempts.append(patient.now)
            super().end(number, outcome)

    patient = Patient()
    with pytest.raises(InfrastructureError):
        train(Counting(1, num_failures=10**6), patient)
    pauses = [later - sooner for sooner, later in itertools.pairwise(attempts)]
    assert pauses[:5] == [1, 2, 4, 8, 15]
    assert max(pauses) == 15


def test_reserved_bytes_store_what_has_ended_and_the_command_stops():
    work, patient = Disk(9, num_failures=1, first=2), Patient(reserves=1)
    with pytest.raises(InfrastructureError, match="all trainings that have ended are stored"):
        train(work, patient, workers=2)
    assert (work.begun, work.ended, work.released) == ([0, 1, 2, 3], [0, 1, 2, 3], [])
    assert patient.now == 0


def test_a_training_that_can_not_be_noted_as_begun_lets_the_running_ones_end():
    work = Disk(9, first=3, begins_fail=True)
    with pytest.raises(InfrastructureError, match="all trainings that have ended are stored"):
        train(work, Patient(), workers=2)
    assert (work.begun, work.ended) == ([0, 1, 2], [0, 1, 2])


@pytest.mark.parametrize("urgency", [Stop.AFTER_RUNNING, Stop.NOW])
def test_a_stop_ends_the_waiting_at_once_and_the_lost_result_is_made_again(urgency):
    work, patient = Disk(3, num_failures=10**6), Patient()

    def stop():
        return urgency if patient.now >= 5 else Stop.NO

    if urgency == Stop.NOW:
        assert train(work, patient, stop=stop) == Stop.NOW
    else:
        with pytest.raises(InfrastructureError):
            train(work, patient, stop=stop)
    assert patient.now == 5
    assert work.released == [0]
