"""Trainings on nodes that are threads of this process: rules, files and messages together."""

import time
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor

import pytest
from support import node_tasks
from support.data_sets import make_recipe
from support.networks import make_backbone
from support.node_tasks import MadeUpTask

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import InfrastructureError, UnwritableError
from se_search.execution.child import warm_up
from se_search.execution.futures_engine import FuturesEngine, submit_each
from se_search.execution.node_pool import JobPool, NodePool, list_places
from se_search.execution.posts import Began, Kept, Paused, Printed, Ran
from se_search.execution.remote import NodePlace, RemoteAttempt, RemoteLauncher
from se_search.execution.retrying import RetryingExecutor
from se_search.execution.supervise import NodeSetup
from se_search.record import Assignment, EpochRow, Evaluation, Failure, Fault
from se_search.training.checkpointing import Checkpointing
from se_search.training.datasets import prepare_data

RECIPE = make_recipe(epochs=1, batch_size=32, split={"validation": 100})
PLACE = NodePlace("", "pool", Device("cpu", 0, 1, "32-true"))
DONE = Evaluation(0.5, 1.0, (), b"", 0.1)


@pytest.fixture(scope="module", autouse=True)
def _server():
    warm_up([], threads=1)


@pytest.fixture
def make_task(tmp_path):
    def make(function):
        return MadeUpTask(
            prepare_data("digits", None, tmp_path / "cache", RECIPE),
            RECIPE,
            checkpointing=Checkpointing(tmp_path / "states"),
            function=function,
        )

    return make


@pytest.fixture
def assignment():
    return Assignment(Candidate.plain(make_backbone([8])), 7, 1)


def make_executor(engine, task, tmp_path, places=(PLACE,), notes=None, **options):
    launcher = RemoteLauncher(
        engine, task, NodeSetup(carries=options.pop("carries", False)), tmp_path / "worker.log"
    )
    note = (lambda _: None) if notes is None else notes.append
    return RetryingExecutor(launcher, NodePool(places), note=note, pauses=(0, 0), **options)


def wait_for(executor, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended = [each for each in executor.wait(0.2) if not isinstance(each[1], EpochRow)]
        if ended:
            return ended
    raise AssertionError("no result in time")


def test_an_executor_of_python_trains_and_leaves_no_folder(tmp_path, make_task, assignment):
    with ThreadPoolExecutor(1) as pool:
        engine = FuturesEngine(submit_each(pool), tmp_path / "messages")
        executor = make_executor(engine, make_task(node_tasks.succeed), tmp_path)
        executor.submit(3, assignment)
        ((number, outcome),) = wait_for(executor)
    assert (number, outcome.accuracy, outcome.effort.attempts) == (3, 0.5 + 7 / 100, 1)
    assert 0 < outcome.effort.wall_seconds < 20
    assert (tmp_path / "worker.log").read_text() == "hello from the node\n"
    assert not (tmp_path / "messages").exists()


def test_states_on_a_shared_disk_are_found_by_the_next_attempt(tmp_path, make_task, assignment):
    notes = []
    with ThreadPoolExecutor(1) as pool:
        engine = FuturesEngine(submit_each(pool), tmp_path / "messages")
        task = make_task(node_tasks.save_and_die)
        executor = make_executor(engine, task, tmp_path, notes=notes)
        executor.submit(0, assignment)
        ((_, outcome),) = wait_for(executor)
    assert isinstance(outcome, Evaluation)
    assert outcome.effort.attempts == 2
    assert "SIGKILL. It is tried again" in notes[0]


def test_a_stop_and_a_kill_reach_a_training_over_the_folder(tmp_path, make_task, assignment):
    with ThreadPoolExecutor(1) as pool:
        engine = FuturesEngine(submit_each(pool), tmp_path / "messages")
        executor = make_executor(engine, make_task(node_tasks.train_until_asked), tmp_path)
        executor.submit(0, assignment)
        while not list(tmp_path.glob("messages/*/messages.jsonl")):
            executor.wait(0.1)
        executor.wind_down(30)  # it ends as soon as it is asked
        ((_, failure),) = wait_for(executor)
        assert (failure.reason, failure.fault) == ("saved after 1.5 of 3 epochs", Fault.STOPPED)
        executor = make_executor(engine, make_task(node_tasks.hang), tmp_path)
        executor.submit(0, assignment)
        while not list(tmp_path.glob("messages/*/messages.jsonl")):
            executor.wait(0.1)
        started = time.monotonic()
        (effort,) = executor.kill().values()
        assert effort.attempts == 1
    assert time.monotonic() - started < 20  # the thread of the pool has ended


def test_an_executor_that_takes_nothing_ends_the_command(tmp_path, make_task, assignment):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    engine = FuturesEngine(submit_each(pool), tmp_path / "messages")
    executor = make_executor(engine, make_task(node_tasks.succeed), tmp_path)
    executor.submit(0, assignment)
    with pytest.raises(InfrastructureError, match="the executor takes no trainings"):
        executor.wait(0)
    executor.kill()


@pytest.mark.parametrize(
    ("error", "fault", "text"),
    [
        (BrokenExecutor("gone"), Fault.INFRASTRUCTURE, "the executor is broken: gone"),
        (RuntimeError("state: OUT_OF_MEMORY"), Fault.RESOURCE, "out of memory"),
        (KeyError("x"), Fault.INFRASTRUCTURE, "KeyError: 'x'"),
        (MemoryError(), Fault.RESOURCE, "out of memory"),
    ],
)
def test_an_error_of_an_executor_is_never_the_candidates(
    tmp_path, make_task, assignment, error, fault, text
):
    def fail(calls):
        future = Future()
        future.set_exception(error)
        return [future]

    engine = FuturesEngine(fail, tmp_path / "messages")
    executor = make_executor(engine, make_task(node_tasks.succeed), tmp_path)
    executor.submit(0, assignment)
    ((_, failure),) = wait_for(executor)
    assert failure.fault == fault
    assert text in failure.reason


def test_what_is_submitted_in_one_moment_goes_out_together(tmp_path, make_task, assignment):
    calls = []

    def take(together):
        calls.append(len(together))
        return [Future() for _ in together]

    engine = FuturesEngine(take, tmp_path / "messages")
    executor = make_executor(engine, make_task(node_tasks.succeed), tmp_path, [PLACE] * 3)
    for number in range(3):
        executor.submit(number, assignment)
    executor.wait(0)
    assert calls == [3]


class Engine:
    """An engine whose messages a test makes up."""

    def __init__(self):
        self.messages, self.started = [], []

    def start(self, key, job, place, kept):
        self.started.append((key, place, kept))

    def collect(self, timeout):
        came, self.messages = self.messages, []
        return came

    def order(self, key, seconds): ...

    def kill(self, keys): ...


def test_a_state_that_came_before_a_node_was_lost_is_sent_to_the_next(
    tmp_path, make_task, assignment
):
    engine = Engine()
    places = [NodePlace(name, name, PLACE.device) for name in ("a", "b")]
    task = make_task(node_tasks.succeed)
    executor = make_executor(engine, task, tmp_path, places, carries=True)
    executor.submit(0, assignment)
    ((first, place, kept),) = engine.started
    assert (place.name, kept) == ("a", [])
    state = Kept("states", "5.state", b"state")
    gone = Failure("the node is gone", Fault.INFRASTRUCTURE)
    engine.messages = [(first, Began("a")), (first, state), (first, Printed("x\n")), (first, gone)]
    executor.wait(0)
    _, (second, place, kept) = engine.started
    assert (place.name, kept) == ("b", [state])
    engine.messages = [
        (first, Kept("states", "9.state", b"late")),  # of an attempt that is over
        (second, Kept("states", "5.state", None)),
        (second, DONE),
    ]
    ((_, outcome),) = executor.wait(0)
    assert outcome.effort.attempts == 2
    assert not (tmp_path / "states").exists()
    assert (tmp_path / "worker.log").read_text() == "x\n"


def test_a_training_that_waits_for_its_node_neither_hangs_nor_runs():
    attempt = RemoteAttempt(0, Engine(), {})
    now = time.monotonic()
    attempt.has_message()
    assert attempt.started >= now
    assert attempt.went_on >= now
    attempt.take(Began("a"))
    now = time.monotonic()
    attempt.has_message()
    assert attempt.started <= now
    assert attempt.went_on <= now


def test_what_a_training_took_is_told_by_its_nodes_clock_and_counts_no_pause():
    attempt = RemoteAttempt(0, Engine(), {})
    attempt.take(Began("a"))
    attempt.take(Paused(1_000.0))
    assert 999 < time.monotonic() - attempt.started < 1_100
    attempt.take(Began("b"))
    attempt.take(Ran(200.0))
    assert 1_199 < time.monotonic() - attempt.started < 1_300


def test_a_pool_of_nodes_takes_so_many_places_at_most():
    places = [NodePlace(name, name, PLACE.device, 0.5) for name in ("a", "a", "b")]
    pool = NodePool(places, limit=2)
    taken = [pool.take(), pool.take()]
    assert pool.count_free() == 0
    assert pool.take() is None
    assert pool.share(taken[0]) == 0.5
    pool.give_back(taken[0])
    assert pool.count_free() == 1


def test_places_of_nodes_take_turns():
    a, b = (NodePlace(name, name, PLACE.device) for name in "ab")
    assert list_places([[a, a, a], [b]]) == [a, b, a, a]


def test_jobs_of_a_batch_system_wait_for_no_other_and_are_never_put_aside():
    pool = JobPool([PLACE] * 2)
    assert not any(pool.note_failure("pool") for _ in range(5))
    running = pool.take()
    pool.reserve("pool")
    assert pool.take_alone("pool") == running
    pool.end_reservation("pool")


class JobLostError(Exception):
    """Stands for what another library raises of a job that did not start."""


LOG = "Job 7 (task: 0) with path /x/7.pkl\nhas not produced any output (state: FAILED)\n"
LOG += (
    "Error stream produced:\n-----\n" + "srun: a line\n" * 50 + "srun: error: no such partition\n"
)


class LostJob(Future):
    """A job whose state can't be told."""

    def done(self):
        raise JobLostError(LOG)

    def cancel(self):
        raise JobLostError("scancel is not there")


def test_a_job_that_another_library_lost_is_told_in_a_line(tmp_path, make_task, assignment):
    engine = FuturesEngine(lambda calls: [LostJob() for _ in calls], tmp_path / "messages")
    executor = make_executor(engine, make_task(node_tasks.succeed), tmp_path)
    executor.submit(0, assignment)
    ((_, failure),) = wait_for(executor)
    executor.kill()
    assert failure.fault == Fault.INFRASTRUCTURE
    assert (
        "the executor's job has no result: JobLostError: Job 7 (task: 0) with path /x/7.pkl has "
        "not produced any output (state: FAILED) ... srun: error: no such partition"
    ) in failure.reason


def test_a_job_that_can_not_be_cancelled_hides_no_other_error(tmp_path, make_task, assignment):
    class Waiting(LostJob):
        def done(self):
            return self.cancelled_once

        cancelled_once = False

        def cancel(self):
            self.cancelled_once = True
            super().cancel()

    engine = FuturesEngine(lambda calls: [Waiting() for _ in calls], tmp_path / "messages")
    executor = make_executor(engine, make_task(node_tasks.succeed), tmp_path)
    executor.submit(0, assignment)
    executor.wait(0)
    executor.kill()
    assert not (tmp_path / "messages").exists()


def test_a_folder_for_messages_that_can_not_be_made_is_named(tmp_path, make_task, assignment):
    (tmp_path / "file").touch()
    engine = FuturesEngine(lambda calls: [], tmp_path / "file" / "messages")
    executor = make_executor(engine, make_task(node_tasks.succeed), tmp_path)
    with pytest.raises(UnwritableError, match=r"messages can't be written: Not a directory"):
        executor.submit(0, assignment)
