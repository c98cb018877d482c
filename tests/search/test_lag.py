"""Which trials a search makes: the same ones, whichever training is faster and whatever happens."""

import random
from dataclasses import replace

import pytest
from support.records import make_record
from support.searching import evaluate, make_space, search

from benchmarks.simulated_workers import SimulatedWorkers, draw_duration, simulate_busy_share
from se_search.errors import DivergedError, TooManyFailuresError
from se_search.execution.serial import SerialExecutor
from se_search.record import Rung, Stop
from se_search.search.lag import View, choose_lag
from se_search.search.loop import Ending
from se_search.search.registry import SAMPLERS

LAG = 6
FOUR_WIDTHS = {"choices": {"reduction": [2, 4, 8, 16]}}  # 125 candidates
RUNGS = (Rung(1, 1), Rung(4, 1), Rung(4, 2))


class InAnyOrder(SerialExecutor):
    """Ends running trainings in an order that a seed draws."""

    def __init__(self, evaluate, workers, seed):
        super().__init__(evaluate, workers)
        self._draw = random.Random(seed)

    def wait(self, timeout):
        if self._queue:
            self._queue.rotate(self._draw.randrange(len(self._queue)))
        return super().wait(timeout)


def evaluate_or_fail(assignment):
    """Let one candidate in five fail."""
    if int(assignment.candidate.key, 16) % 5 == 0:
        raise DivergedError("one in five")
    return evaluate(assignment)


def search_out_of_order(path, num_trials, order, *, workers=3, evaluate=evaluate, **options):
    executor = InAnyOrder(evaluate, workers, order)
    space = make_space(FOUR_WIDTHS)
    options = {"space": space, "lag": LAG, "executor": executor, **options}
    return search(path, num_trials, **options)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_trials_are_equal_whichever_worker_is_faster(sampler):
    runs = [search_out_of_order(None, 34, order, sampler=sampler) for order in range(3)]
    assert runs[1] == runs[0]
    assert runs[2] == runs[0]


@pytest.mark.parametrize("sampler", ["pareto", "random"])
def test_trials_are_equal_with_failures_and_rungs_too(sampler):
    options = {"sampler": sampler, "rungs": RUNGS, "evaluate": evaluate_or_fail}
    runs = [search_out_of_order(None, 40, order, **options) for order in range(3)]
    assert {"promotion", "control"} < {record.role for record in runs[0][0]}
    assert {"FAIL", "PRUNED", "COMPLETE"} == {record.state for record in runs[0][0]}
    assert runs[1] == runs[0]
    assert runs[2] == runs[0]


@pytest.mark.parametrize("workers", [1, 2, 6, 64])
def test_trials_are_equal_with_any_number_of_workers_at_one_lag(workers):
    found = search_out_of_order(None, 30, 5, workers=workers, sampler="nsga2")
    assert found == search_out_of_order(None, 30, 6, workers=3, sampler="nsga2")


def test_another_lag_searches_otherwise():
    runs = [search_out_of_order(None, 30, 0, lag=lag, sampler="pareto")[0] for lag in (1, LAG)]
    assert [r.candidate for r in runs[0]] != [r.candidate for r in runs[1]]


class StopAfter:
    """Ask for a stop once it has been asked for so many times whether there is one."""

    def __init__(self, times, urgency):
        self.times, self.urgency = times, urgency

    def __call__(self):
        self.times -= 1
        return Stop.NO if self.times >= 0 else self.urgency


def test_a_search_that_is_broken_off_again_and_again_makes_the_trials_of_an_undisturbed_one(
    tmp_path,
):
    undisturbed = search_out_of_order(None, 30, 0, sampler="nsga2")
    ending, num_commands = Ending.STOPPED, 0
    while ending == Ending.STOPPED:
        draw = random.Random(num_commands)
        records, ending = search_out_of_order(
            *(tmp_path / "trials.db", 30, num_commands),
            workers=draw.choice([1, 2, 4]),
            sampler="nsga2",
            stop=StopAfter(draw.randrange(8, 25), draw.choice([Stop.NOW, Stop.AFTER_RUNNING])),
        )
        num_commands += 1
    assert num_commands > 3
    assert (records, ending) == undisturbed


@pytest.mark.parametrize("sampler", ["pareto", "grid", "random"])
def test_a_search_ends_with_all_promotions_that_the_last_results_call_for(sampler):
    """The space is exhausted before the results are known by which its candidates climb."""
    space = make_space({"granularity": "network", "choices": {"reduction": [4, 8, 16]}})
    options = {"space": space, "rungs": (Rung(1, 1), Rung(4, 1)), "repeat_candidates": False}
    runs = [
        search_out_of_order(
            None, 40, lag, lag=lag, sampler=sampler, is_allowed=lambda _: True, **options
        )
        for lag in (1, 30)
    ]
    assert {ending for _, ending in runs} == {Ending.EXHAUSTED}
    for records, _ in runs:
        climbed = [r for r in records if r.role == "promotion"]
        assert len(climbed) >= 1


def test_failures_in_a_row_end_a_search_when_results_up_to_the_lag_say_so():
    trained = []

    def fail(assignment):
        trained[-1] += 1
        raise DivergedError("no")

    for order in range(3):
        trained.append(0)
        with pytest.raises(TooManyFailuresError, match=r"in a row failed; the last one: no"):
            search_out_of_order(None, 40, order, evaluate=fail, sampler="random", max_failures=4)
    # Trial 3 + LAG is the first for which the first four results are known.
    assert trained == [3 + LAG] * 3


def test_a_row_of_failures_that_a_later_trial_breaks_ends_nothing():
    def fail_some(assignment):
        fail_some.number += 1
        if fail_some.number in (2, 3, 4):
            raise DivergedError("no")
        return evaluate(assignment)

    fail_some.number = -1
    records, ending = search(None, 14, evaluate=fail_some, lag=3, max_failures=3, sampler="random")
    assert ending == Ending.FINISHED
    assert [r.number for r in records if r.state == "FAIL"] == [2, 3, 4]


def test_a_repeated_command_counts_the_failures_of_the_ones_before(tmp_path):
    def fail(assignment):
        raise DivergedError("no")

    options = {"evaluate": fail, "sampler": "random"}
    with pytest.raises(TooManyFailuresError, match="3 trainings"):
        search(tmp_path / "a.db", 20, max_failures=3, **options)
    with pytest.raises(TooManyFailuresError, match="3 trainings"):
        search(tmp_path / "a.db", 20, max_failures=3, **options)
    with pytest.raises(TooManyFailuresError, match="5 trainings"):
        search(tmp_path / "a.db", 20, max_failures=5, **options)


def test_a_training_that_does_not_end_blocks_its_lag_alone():
    """Trial 4 outlasts all others: trials up to 4 + LAG - 1 begin beside it, no later one."""
    begun = []

    def note(progress):
        if progress.changed is not None and progress.changed.state == "RUNNING":
            begun.append((workers.now, progress.changed.number))

    workers = SimulatedWorkers(evaluate, lambda number: 100.0 if number == 4 else 1.0, 2)
    search(None, 20, executor=workers, lag=LAG, observe=note)
    during = [number for time, number in begun if time < 100]
    assert during == list(range(4 + LAG))


def test_a_view_hides_results_and_nothing_else():
    records = [
        replace(make_record(f"net/{n}", 0.5 + n / 10, seed=n), number=n, role="start")
        for n in range(3)
    ]
    view = View.of(records, 1)
    assert view.records[0] == records[0]
    for seen, record in zip(view.records[1:], records[1:], strict=True):
        assert (seen.state, seen.accuracy, seen.loss, seen.seconds) == ("RUNNING", *[None] * 3)
        back = {name: getattr(record, name) for name in ("state", "accuracy", "loss", "seconds")}
        assert replace(seen, **back) == record


def test_there_is_no_view_while_a_known_trial_runs():
    records = [replace(make_record("net", 0.5), number=0, state="RUNNING")]
    assert View.of(records, 1) is None
    assert View.of(records, 0) is not None


@pytest.mark.parametrize("num_workers", [1, 2, 8, 9, 16, 64])
def test_workers_are_busy_though_one_training_in_ten_takes_three_times_as_long(num_workers):
    lag = choose_lag(num_workers)
    assert simulate_busy_share(num_workers, lag, 200 + 40 * num_workers, seed=1) >= 0.95


def test_a_search_keeps_workers_as_busy_as_its_lag_allows():
    """With a lag of one trial for each worker, all wait for the slowest one."""
    shares = []
    for lag in (8, choose_lag(8)):
        workers = SimulatedWorkers(evaluate, lambda number: draw_duration(1, number), 8)
        search(None, 100, executor=workers, lag=lag)
        assert workers.busy_share == pytest.approx(simulate_busy_share(8, lag, 100, seed=1))
        shares.append(workers.busy_share)
    assert shares[0] < 0.85
    assert shares[1] >= 0.95
