"""Trainings on a machine of eight GPUs that are made up, whatever befalls the trainings."""

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.device_pool import DevicePool
from se_search.execution.retrying import RetryingExecutor
from se_search.record import Assignment, EpochRow, Evaluation, Failure, Fault

ASSIGNMENT = Assignment(Candidate.plain(make_backbone([8])), 0, 1)
DONE = Evaluation(0.5, 1.0, (), b"", 0.1)
GONE = Failure("the GPU is gone", Fault.INFRASTRUCTURE)
CRASHED = Failure("the training process crashed by SIGSEGV", Fault.CRASH)
NO_MEMORY = Failure("out of memory", Fault.RESOURCE)
NUM_TRIALS = 24


class Running:
    """An attempt that goes on until it is told how it ends."""

    def __init__(self, number, place):
        self.number = number
        self.place = place
        self.outcome = None
        self.started = self.went_on = time.monotonic()

    def has_message(self):
        return self.outcome is not None

    def receive(self):
        return self.outcome


class Machine:
    """Begins attempts; what runs there is what has not been told to end."""

    def __init__(self, pool):
        self._pool = pool
        self.running = []
        self.begun = Counter()

    def launch(self, number, assignment, place):
        assert not self._pool.is_aside(place.name)
        self.begun[number] += 1
        self.running.append(Running(number, place))
        return self.running[-1]

    def wait(self, attempts, timeout):
        self.running = [attempt for attempt in self.running if attempt.outcome is None]

    def forget(self, assignment):
        return


def places(per_gpu=1, per_trial=1):
    return [
        Device("cuda", index, 1, "32-true", 0, per_trial)
        for _ in range(per_gpu)
        for index in range(0, 8 - per_trial + 1, per_trial)
    ]


@pytest.mark.parametrize("devices", [places(), places(per_gpu=3), places(per_trial=2)])
@settings(max_examples=20)
@given(data=st.data())
def test_no_gpu_has_too_many_trainings_none_is_idle_and_no_training_starves(devices, data):
    pool = DevicePool(devices)
    machine = Machine(pool)
    executor = RetryingExecutor(machine, pool, pauses=(0, 0))
    num_places = Counter(device.name for device in devices)
    kinds = data.draw(st.lists(st.sampled_from([DONE, GONE, CRASHED, NO_MEMORY]), min_size=1))
    lacked, num_begun, ended = {}, 0, []
    while len(ended) < NUM_TRIALS:
        while num_begun < NUM_TRIALS and executor.has_room():
            executor.submit(num_begun, ASSIGNMENT)
            num_begun += 1
        taken = Counter(attempt.place.name for attempt in machine.running)
        alone = {
            attempt.place.name
            for attempt in machine.running
            if lacked.get(attempt.number) == attempt.place.name
        }
        assert all(taken[name] == 1 for name in alone)
        assert all(taken[name] <= number for name, number in num_places.items())
        waited_for = set(lacked.values())
        usable = [n for n in num_places if not pool.is_aside(n) and n not in waited_for]
        if num_begun < NUM_TRIALS:  # there is always another one
            assert all(taken[name] == num_places[name] for name in usable)
        attempt = data.draw(st.sampled_from(machine.running))
        attempt.outcome = kinds[sum(machine.begun.values()) % len(kinds)]
        lacked.pop(attempt.number, None)
        if attempt.outcome is NO_MEMORY:
            lacked[attempt.number] = attempt.place.name
        for number, outcome in executor.wait(0):
            assert not isinstance(outcome, EpochRow)
            lacked.pop(number, None)
            ended.append(number)
        executor.wait(0)  # what is tried again starts, for there is no pause
    assert sorted(ended) == list(range(NUM_TRIALS))
    assert (
        max(machine.begun.values()) <= 3 + 3
    )  # faults of the machine, each after a lack of memory
    assert pool.count_free() == sum(num_places[n] for n in num_places if not pool.is_aside(n))


def test_a_training_that_waits_for_another_gpu_leaves_the_one_it_failed_on_to_others():
    pool = DevicePool(places()[:2])
    machine = Machine(pool)
    executor = RetryingExecutor(machine, pool, pauses=(0, 0))
    for number in (0, 1):
        executor.submit(number, ASSIGNMENT)
    machine.running[0].outcome = GONE
    assert executor.wait(0) == []
    assert executor.has_room()
    executor.submit(2, ASSIGNMENT)
    assert [(a.number, a.place.name) for a in machine.running] == [(1, "cuda:1"), (2, "cuda:0")]
    assert not executor.has_room()
    machine.running[0].outcome = DONE
    executor.wait(0)
    assert [(a.number, a.place.name) for a in machine.running] == [(2, "cuda:0"), (0, "cuda:1")]
