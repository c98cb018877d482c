"""The rules of the executor, with attempts that are made up: nothing is started."""

import time

from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.device_pool import DevicePool
from se_search.execution.retrying import RetryingExecutor
from se_search.record import Assignment, Evaluation, Failure, Fault

GONE = Failure("the node is gone", Fault.INFRASTRUCTURE)
DONE = Evaluation(0.5, 1.0, (), b"", 0.1)
ASSIGNMENT = Assignment(Candidate.plain(make_backbone([8])), 0, 1)


class Attempt:
    """An attempt that has ended before it is looked at, or never ends."""

    def __init__(self, outcome, place):
        self._outcome = outcome
        self.place = place
        self.started = self.went_on = time.monotonic()
        self.orders = []
        self.was_killed = False

    def has_message(self):
        return self._outcome is not None

    def receive(self):
        return self._outcome

    def ask_to_end(self, until):
        self.orders.append(until)


class Launcher:
    """Begins attempts that end as planned, in this order; the rest never ends."""

    def __init__(self, outcomes=()):
        self._outcomes = list(outcomes)
        self.attempts = []

    def launch(self, number, assignment, place):
        outcome = self._outcomes.pop(0) if self._outcomes else None
        self.attempts.append(Attempt(outcome, place.name))
        return self.attempts[-1]

    def wait(self, attempts, timeout):
        return

    def kill(self, attempts):
        for attempt in attempts:
            attempt.was_killed = True

    def forget(self, assignment):
        raise AssertionError("nobody has asked for it")


def gpus(*indices):
    return [Device("cuda", index, 1, "32-true") for index in indices]


def make(launcher, pool, **options):
    return RetryingExecutor(launcher, pool, **{"pauses": (0, 0), **options})


def test_an_attempt_that_fails_by_the_machine_is_made_again_elsewhere():
    launcher, notes = Launcher([GONE, DONE]), []
    executor = make(launcher, DevicePool(gpus(0, 1)), note=notes.append)
    executor.submit(3, ASSIGNMENT)
    assert executor.wait(0) == []
    ((number, outcome),) = executor.wait(0)
    assert (number, outcome.accuracy, outcome.effort.attempts) == (3, 0.5, 2)
    assert [attempt.place for attempt in launcher.attempts] == ["cuda:0", "cuda:1"]
    assert notes == ["no SE (replicate 0): the node is gone. It is tried again"]


def test_trainings_that_fail_side_by_side_are_one_failure_of_their_device():
    """As under NVIDIA's multi-process service, where a fault of one ends all."""
    pool = DevicePool(gpus(0, 0, 1))
    executor = make(Launcher([GONE, GONE, DONE]), pool)
    executor.submit(0, ASSIGNMENT)
    executor.submit(1, ASSIGNMENT)
    executor.wait(0)
    assert not pool.is_aside("cuda:0")
    later = make(Launcher([GONE]), pool)
    later.submit(0, ASSIGNMENT)
    later.wait(0)
    assert pool.is_aside("cuda:0")


def test_one_training_waits_for_a_place_where_there_is_none():
    launcher, pool = Launcher([DONE]), DevicePool([])
    executor = make(launcher, pool)
    assert executor.has_room()
    executor.submit(0, ASSIGNMENT)
    assert not executor.has_room()
    assert executor.wait(0) == []
    assert launcher.attempts == []
    pool.follow(gpus(1))
    ((number, outcome),) = executor.wait(0)
    assert (number, outcome.accuracy) == (0, 0.5)


def test_a_training_whose_machine_has_left_is_made_on_one_that_joins():
    launcher, pool = Launcher([GONE, DONE]), DevicePool(gpus(0))
    executor = make(launcher, pool)
    executor.submit(0, ASSIGNMENT)
    pool.follow([])
    assert executor.wait(0) == []
    pool.follow(gpus(1))
    executor.wait(0)
    assert [attempt.place for attempt in launcher.attempts] == ["cuda:0", "cuda:1"]


def test_what_waits_for_a_place_is_broken_off_by_a_stop():
    executor = make(Launcher(), DevicePool([]))
    executor.submit(5, ASSIGNMENT)
    executor.wind_down(30)
    ((number, failure),) = executor.wait(0)
    assert (number, failure.fault, failure.effort.attempts) == (5, Fault.STOPPED, 0)


def test_a_stop_reaches_each_attempt_and_ends_those_that_take_longer():
    launcher = Launcher()
    executor = make(launcher, DevicePool(gpus(0, 1)))
    executor.submit(0, ASSIGNMENT)
    executor.submit(1, ASSIGNMENT)
    executor.wind_down(0)
    time.sleep(0.01)
    ended = executor.wait(0)
    assert [outcome.fault for _, outcome in ended] == [Fault.STOPPED] * 2
    assert all(attempt.orders and attempt.was_killed for attempt in launcher.attempts)
