"""The devices of a machine as they are dealt out: their places, their failures, and one alone."""

from collections import Counter

import pytest

from se_search.device import Device
from se_search.execution.device_pool import DevicePool


def gpus(*indices):
    return [Device("cuda", index, 1, "32-true") for index in indices]


def take_all(pool, avoided=()):
    taken = []
    while (device := pool.take(avoided)) is not None:
        taken.append(device.name)
    return taken


def test_every_place_is_dealt_out_once():
    assert Counter(take_all(DevicePool(gpus(0, 1, 0)))) == {"cuda:0": 2, "cuda:1": 1}


def test_a_device_is_avoided_while_there_is_another_even_if_that_has_no_free_place():
    pool = DevicePool(gpus(0, 1))
    assert pool.take(["cuda:0"]).name == "cuda:1"
    assert pool.take(["cuda:0"]) is None
    assert pool.take().name == "cuda:0"


def test_the_last_device_is_taken_though_it_is_to_be_avoided():
    assert take_all(DevicePool(gpus(0, 0)), ["cuda:0"]) == ["cuda:0"] * 2


def test_a_reserved_device_empties_and_then_has_one_training():
    pool = DevicePool(gpus(0, 0, 1))
    running = pool.take()
    pool.reserve("cuda:0")
    assert take_all(pool) == ["cuda:1"]
    assert pool.take_alone("cuda:0") is None
    pool.give_back(running)
    alone = pool.take_alone("cuda:0")
    assert alone.name == "cuda:0"
    assert pool.count_free() == 0
    pool.give_back(alone)
    pool.end_reservation("cuda:0")
    assert take_all(pool) == ["cuda:0"] * 2


def test_a_device_stays_reserved_until_all_who_want_it_alone_have_had_it():
    pool = DevicePool(gpus(0, 0))
    for _ in range(2):
        pool.reserve("cuda:0")
    pool.end_reservation("cuda:0")
    assert pool.count_free() == 0
    pool.end_reservation("cuda:0")
    assert pool.count_free() == 2


def test_two_failures_in_a_row_put_a_device_aside():
    pool = DevicePool(gpus(0, 0, 1))
    assert [pool.note_failure("cuda:0") for _ in range(3)] == [False, True, False]
    assert pool.is_aside("cuda:0")
    assert take_all(pool) == ["cuda:1"]


def test_a_success_between_two_failures_keeps_a_device():
    pool = DevicePool(gpus(0, 1))
    assert not pool.note_failure("cuda:0")
    pool.note_success("cuda:0")
    assert not pool.note_failure("cuda:0")


@pytest.mark.parametrize("indices", [(0,), (0, 0)])
def test_the_last_device_is_never_put_aside(indices):
    pool = DevicePool(gpus(*indices))
    assert not any(pool.note_failure("cuda:0") for _ in range(5))
    assert pool.count_free() == len(indices)


def test_the_cpu_is_one_device_whatever_the_number_of_workers():
    pool = DevicePool([Device("cpu", 0, 1, "32-true")] * 3)
    pool.reserve("cpu")
    assert pool.count_free() == 0


def test_a_pool_follows_machines_that_join_and_leave():
    pool = DevicePool(gpus(0, 0))
    running = pool.take()
    pool.follow(gpus(1))
    assert take_all(pool) == ["cuda:1"]
    pool.give_back(running)
    assert pool.count_free() == 0
    assert pool.is_aside("cuda:0")
    pool.follow(gpus(0, 0, 1))
    assert take_all(pool) == ["cuda:0"] * 2


def test_a_machine_that_comes_back_is_not_aside_any_more():
    pool = DevicePool(gpus(0, 1))
    pool.note_failure("cuda:0")
    assert pool.note_failure("cuda:0")
    pool.follow(gpus(1))
    pool.follow(gpus(0, 1))
    assert not pool.is_aside("cuda:0")
