"""The loop that every command trains by: stops, failures in a row, numbers that are not finite."""

import math

import pytest
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.errors import (
    DivergedError,
    InfrastructureError,
    MemoryLackingError,
    TooManyFailuresError,
)
from se_search.execution.drive import drive
from se_search.execution.serial import SerialExecutor
from se_search.record import Assignment, EpochRow, Evaluation, Failure, Fault, Stop

PLAIN = Candidate.plain(make_backbone([8]))


def succeed(assignment):
    return Evaluation(0.5, 1.0, (), b"", 1.0)


def fail(assignment):
    raise DivergedError(f"seed {assignment.seed} diverged")


class Seeds:
    """Work for ``drive``: seeds 0 to n-1, as trials 100 to 100 + n - 1; notes what happens."""

    def __init__(self, count, has_results=False):
        self._waiting = iter(range(count))
        self._has_results = has_results
        self.begun, self.ended, self.released, self.rows = [], {}, [], []

    def begin(self):
        seed = next(self._waiting, None)
        if seed is None:
            return None
        self.begun.append(seed)
        return 100 + seed, Assignment(PLAIN, seed, 1)

    def advance(self, number, row):
        self.rows.append((number, row.epoch))

    def end(self, number, outcome):
        self.ended[number] = outcome

    def has_results(self):
        return self._has_results

    def release(self, number, effort):
        self.released.append(number)


def train(seeds, evaluate=succeed, workers=1, max_failures=3, **options):
    executor = SerialExecutor(evaluate, workers)
    return drive(seeds, executor, max_failures=max_failures, **options)


@pytest.mark.parametrize("workers", [1, 3])
def test_everything_begins_in_order_and_ends_once(workers):
    seeds = Seeds(7)
    assert train(seeds, workers=workers) == Stop.NO
    assert seeds.begun == list(range(7))
    assert sorted(seeds.ended) == list(range(100, 107))
    assert seeds.released == []


class TellsEpochs(SerialExecutor):
    """Tells of an epoch of a training before each training ends."""

    def wait(self, timeout):
        rows = [(number, EpochRow(1, 2, 0.5, None, None, 1.0)) for number, _ in self._queue]
        return [*rows, *super().wait(timeout)]


def test_epochs_are_handed_on_and_end_no_training():
    seeds = Seeds(2)
    assert drive(seeds, TellsEpochs(succeed, 1), max_failures=3) == Stop.NO
    assert seeds.rows == [(100, 1), (101, 1)]
    assert sorted(seeds.ended) == [100, 101]


def test_an_assignment_begins_only_when_there_is_room_for_it():
    seeds, most = Seeds(9), 0

    def evaluate(assignment):
        nonlocal most
        most = max(most, len(seeds.begun) - len(seeds.ended))
        return succeed(assignment)

    train(seeds, evaluate, workers=2)
    assert most == 2


def test_a_gentle_stop_lets_running_trainings_end_and_starts_no_other():
    seeds = Seeds(9)
    assert (
        train(seeds, workers=3, stop=lambda: Stop.AFTER_RUNNING if seeds.ended else Stop.NO)
        == Stop.AFTER_RUNNING
    )
    assert len(seeds.begun) == len(seeds.ended) == 3
    assert seeds.released == []


def test_an_urgent_stop_hands_back_what_runs():
    seeds = Seeds(9)
    executor = SerialExecutor(succeed, 3)
    assert (
        drive(seeds, executor, max_failures=3, stop=lambda: Stop.NOW if seeds.ended else Stop.NO)
        == Stop.NOW
    )
    assert sorted(seeds.ended) == [100]
    assert seeds.released == [101, 102]
    assert executor.wait(0) == []


def test_a_stop_while_a_proposal_is_made_starts_nothing_after_it():
    seeds = Seeds(9)
    train(seeds, workers=3, stop=lambda: Stop.AFTER_RUNNING if seeds.begun else Stop.NO)
    assert seeds.begun == [0]


def test_failures_in_a_row_end_it_with_the_last_reason():
    seeds = Seeds(9)
    with pytest.raises(TooManyFailuresError, match=r"3 trainings in a row failed; .*: seed 2 "):
        train(seeds, fail)
    assert seeds.begun == [0, 1, 2]
    assert seeds.ended[101] == Failure("seed 1 diverged")


def test_trainings_that_run_beside_the_last_failure_are_kept():
    seeds = Seeds(9)
    with pytest.raises(TooManyFailuresError, match="4 trainings in a row failed"):
        train(seeds, fail, workers=3, max_failures=2)
    assert len(seeds.ended) == 4


def test_one_of_them_that_ends_well_breaks_the_row():
    seeds = Seeds(9)
    assert (
        train(
            seeds, lambda a: fail(a) if a.seed in (0, 1) else succeed(a), workers=3, max_failures=2
        )
        == Stop.NO
    )
    assert len(seeds.ended) == 9


@pytest.mark.parametrize(("accuracy", "loss"), [(math.nan, 1.0), (0.5, math.inf), (-math.inf, 0.1)])
def test_numbers_that_are_not_finite_are_a_failure(accuracy, loss):
    seeds = Seeds(1)
    train(seeds, lambda _: Evaluation(accuracy, loss, (), b"", 1.0))
    assert seeds.ended == {100: Failure(f"accuracy {accuracy}, loss {loss}: not finite")}


def test_nothing_runs_after_an_error():
    executor = SerialExecutor(succeed, 2)

    class Full(Seeds):
        def end(self, number, outcome):
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        drive(Full(5), executor, max_failures=3)
    assert executor.wait(0) == []


class Blameless(SerialExecutor):
    """Fails an assignment of some seeds by no fault of its candidate."""

    def __init__(self, fault, seeds, workers=1):
        super().__init__(succeed, workers)
        self._fault, self._seeds = fault, seeds

    def wait(self, timeout):
        number, outcome = super().wait(timeout)[0]
        if number - 100 in self._seeds:
            outcome = Failure("the device is gone", self._fault)
        return [(number, outcome)]


@pytest.mark.parametrize(
    ("fault", "error", "exit_code", "words"),
    [
        (Fault.RESOURCE, MemoryLackingError, 5, "micro_batch .* another run"),
        (Fault.INFRASTRUCTURE, InfrastructureError, 75, "the same command goes on"),
    ],
)
def test_a_failure_that_is_no_fault_of_the_candidate_judges_nobody_and_ends_it(
    fault, error, exit_code, words
):
    seeds = Seeds(9)
    with pytest.raises(error, match=f"the device is gone.*{words}") as raised:
        drive(seeds, Blameless(fault, [1]), max_failures=1)
    assert raised.value.exit_code == exit_code
    assert list(seeds.ended) == [100]
    assert seeds.released == [101]


def test_what_runs_beside_such_a_failure_ends_and_is_kept():
    seeds = Seeds(9)
    with pytest.raises(InfrastructureError):
        drive(seeds, Blameless(Fault.INFRASTRUCTURE, [0, 1], workers=4), max_failures=1)
    assert seeds.released == [100, 101]
    assert list(seeds.ended) == [102, 103]


def test_a_stop_that_was_asked_for_goes_before_such_a_failure():
    """As on a machine that is shut down: children are killed as the command is asked to end."""
    seeds = Seeds(9)
    executor = Blameless(Fault.INFRASTRUCTURE, [0])
    stop = drive(
        seeds,
        executor,
        max_failures=1,
        stop=lambda: Stop.AFTER_RUNNING if seeds.released else Stop.NO,
    )
    assert stop == Stop.AFTER_RUNNING
    assert seeds.ended == {}


class Scripted(SerialExecutor):
    """Fails the assignments of some seeds with some faults, and notes what it is told.

    Args:
        faults: by seed; the others end well.
    """

    def __init__(self, faults, workers=1):
        super().__init__(succeed, workers)
        self._faults = faults
        self.seconds, self.forgotten = [], []

    def wait(self, timeout):
        number, outcome = super().wait(timeout)[0]
        fault = self._faults.get(number - 100)
        return [(number, Failure("what happened", fault) if fault else outcome)]

    def wind_down(self, seconds):
        self.seconds.append(seconds)

    def forget(self, assignment):
        self.forgotten.append(assignment.seed)


@pytest.mark.parametrize(
    ("urgencies", "seconds"),
    [
        ([Stop.AFTER_RUNNING], [30]),
        ([Stop.SOON], [5]),
        ([Stop.AFTER_RUNNING, Stop.AFTER_RUNNING, Stop.SOON], [30, 5]),
    ],
)
def test_the_executor_is_told_once_for_each_urgency_in_how_many_seconds_to_end(urgencies, seconds):
    seeds, executor = Seeds(9), Scripted({}, workers=4)

    def stop():
        return urgencies[min(len(seeds.ended), len(urgencies)) - 1] if seeds.ended else Stop.NO

    assert drive(seeds, executor, max_failures=3, stop=stop) == urgencies[-1]
    assert executor.seconds == seconds
    assert len(seeds.begun) == 4


def test_a_training_that_saved_its_state_is_taken_back_and_raises_nothing():
    seeds, executor = Seeds(9), Scripted({1: Fault.STOPPED}, workers=3)
    stop = drive(
        seeds,
        executor,
        max_failures=3,
        stop=lambda: Stop.AFTER_RUNNING if seeds.ended else Stop.NO,
    )
    assert stop == Stop.AFTER_RUNNING
    assert (sorted(seeds.ended), seeds.released) == ([100, 102], [101])
    assert executor.forgotten == []


def test_the_states_of_a_candidate_that_failed_by_its_own_fault_are_removed():
    executor = Scripted({1: Fault.CANDIDATE, 2: Fault.RESOURCE})
    with pytest.raises(MemoryLackingError):
        drive(Seeds(9), executor, max_failures=3)
    assert executor.forgotten == [1]


@pytest.mark.parametrize("crashing", [0, 1])
def test_a_training_that_crashes_each_time_is_at_fault_if_another_one_ends_well(crashing):
    seeds, executor = Seeds(3), Scripted({crashing: Fault.CRASH})
    drive(seeds, executor, max_failures=3)
    assert seeds.ended[100 + crashing] == Failure("what happened", Fault.CANDIDATE)
    assert (sorted(seeds.ended), seeds.released) == ([100, 101, 102], [])
    assert executor.forgotten == [crashing]


def test_a_machine_on_which_several_trainings_crash_and_none_ends_well_is_at_fault():
    seeds = Seeds(9, has_results=True)
    executor = Scripted(dict.fromkeys(range(9), Fault.CRASH), workers=2)
    with pytest.raises(InfrastructureError, match="what happened"):
        drive(seeds, executor, max_failures=3)
    assert (seeds.ended, seeds.begun) == ({}, [0, 1, 2, 3])
    assert sorted(seeds.released) == [100, 101, 102, 103]


@pytest.mark.parametrize(("has_results", "error"), [(True, None), (False, InfrastructureError)])
def test_the_last_training_that_crashes_each_time_is_at_fault_if_others_ended_well_before(
    has_results, error
):
    seeds, executor = Seeds(1, has_results), Scripted({0: Fault.CRASH})
    if error is None:
        drive(seeds, executor, max_failures=3)
        assert seeds.ended == {100: Failure("what happened", Fault.CANDIDATE)}
    else:
        with pytest.raises(error):
            drive(seeds, executor, max_failures=3)
        assert (seeds.ended, seeds.released) == ({}, [100])


@pytest.mark.parametrize("urgency", [Stop.AFTER_RUNNING, Stop.NOW])
def test_a_stop_takes_back_what_crashed_and_blames_nobody(urgency):
    seeds, executor = Seeds(2, has_results=True), Scripted({0: Fault.CRASH, 1: Fault.STOPPED}, 2)

    def stop():
        return urgency if seeds.released else Stop.NO

    assert drive(seeds, executor, max_failures=3, stop=stop) == urgency
    assert (seeds.ended, seeds.released) == ({}, [101, 100])
