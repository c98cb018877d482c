"""The local executor: a child process a trial, whose death costs that trial and no other."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import pytest
from support import children
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import SESearchError
from se_search.execution.child import call_in_child, warm_up
from se_search.execution.local import local_executor
from se_search.execution.serial import SerialExecutor
from se_search.record import Assignment, Evaluation, Fault

DEVICE = Device("cpu", 0, 1, "32-true")
TESTS = str(Path(__file__).parents[1])


@pytest.fixture(scope="module", autouse=True)
def _server():
    warm_up([], threads=1)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "worker.log"


def assign(seed=0):
    return Assignment(Candidate.plain(make_backbone([8])), seed, 1)


def make_executor(evaluate, devices, log, **options):
    """Return an executor that tries again without a pause."""
    return local_executor(evaluate, devices, log, **{"pauses": (0, 0), **options})


def run_one(evaluate, log, **options):
    executor = make_executor(evaluate, [DEVICE], log, **options)
    executor.submit(4, assign())
    ((ended, outcome),) = wait_for(executor, 1)
    assert outcome.effort.wall_seconds > 0
    return ended, replace(outcome, effort=None)


def wait_for(executor, count, seconds=30):
    ended = []
    deadline = time.monotonic() + seconds
    while len(ended) < count:
        assert time.monotonic() < deadline, "no result in time"
        ended += executor.wait(0.2)
    return ended


def test_an_evaluation_comes_back_with_its_trials_number(log):
    number, outcome = run_one(children.succeed, log)
    assert number == 4
    assert isinstance(outcome, Evaluation)
    assert outcome.accuracy == 0.5


@pytest.mark.parametrize(
    ("evaluate", "reason", "fault"),
    [
        (children.diverge, "the loss is nan", Fault.CANDIDATE),
        (children.misbehave, "ValueError: bad value", Fault.CANDIDATE),
        (children.return_nonsense, "the training handed back str", Fault.CANDIDATE),
        (children.exhaust, "out of memory: an allocation failed", Fault.RESOURCE),
        (children.leave, "SystemExit: 3", Fault.INFRASTRUCTURE),
        (
            children.vanish,
            "the training process ended without a result (exit code 7)",
            Fault.INFRASTRUCTURE,
        ),
        (children.be_killed, "the training process was killed by SIGKILL", Fault.INFRASTRUCTURE),
        (children.crash, "the training process crashed by SIGSEGV", Fault.CRASH),
    ],
)
def test_whatever_befalls_a_child_each_time_is_one_failure_with_its_reason(
    log, evaluate, reason, fault
):
    number, failure = run_one(evaluate, log)
    assert number == 4
    assert reason in failure.reason
    assert failure.fault == fault


def test_the_traceback_of_a_failure_and_what_children_print_are_in_the_log(log):
    run_one(children.misbehave, log)
    run_one(children.succeed, log)
    text = log.read_text()
    assert "Traceback" in text
    assert 'raise ValueError("bad\\nvalue")' in text
    assert "hello from the child" in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
def test_no_training_fails_by_a_log_that_finds_no_room(log):
    log.symlink_to("/dev/full")
    assert run_one(children.succeed, log)[1].accuracy == 0.5
    assert "ValueError: bad value" in run_one(children.misbehave, log)[1].reason


def test_a_log_that_can_not_be_opened_is_named(log):
    log.mkdir()
    failure = run_one(children.succeed, log)[1]
    assert failure.fault == Fault.INFRASTRUCTURE
    assert "IsADirectoryError" in failure.reason
    assert str(log) in failure.reason


def test_the_epochs_of_a_training_come_in_their_order_before_its_end(log):
    executor = make_executor(children.TellsEpochs(), [DEVICE], log)
    executor.submit(4, replace(assign(), epochs=300))
    came = wait_for(executor, 301)
    assert {number for number, _ in came} == {4}
    assert [row.epoch for _, row in came[:-1]] == list(range(1, 301))
    assert isinstance(came[-1][1], Evaluation)


def test_a_training_that_tells_of_epochs_is_killed_like_any_other(log):
    executor = make_executor(children.TellsEpochs(), [DEVICE], log)
    executor.submit(0, replace(assign(), epochs=100_000_000))
    wait_for(executor, 1)
    executor.kill()
    assert executor.wait(0) == []
    assert executor.has_room()


def test_a_training_that_hangs_twice_is_its_candidates_fault(log):
    started = time.monotonic()
    _, failure = run_one(children.hang, log, timeout=2)
    assert failure.fault == Fault.CANDIDATE
    assert failure.reason == "killed as it hung: no step in 0.5 seconds (--timeout / 4), twice"
    assert time.monotonic() - started < 2 + 5  # the machine may be slow to start processes


def test_a_training_that_hung_once_is_made_again(log, tmp_path):
    _, outcome = run_one(children.Flaky(children.hang, tmp_path), log, timeout=8)
    assert isinstance(outcome, Evaluation)


@pytest.mark.parametrize(
    "failure", [children.be_killed, children.crash, children.vanish, children.leave]
)
def test_a_training_that_the_machine_breaks_off_is_made_again(log, tmp_path, failure):
    notes = []
    flaky = children.Flaky(failure, tmp_path)
    assert isinstance(run_one(flaky, log, note=notes.append)[1], Evaluation)
    assert [note.startswith("no SE (replicate 0): ") for note in notes] == [True]
    assert notes[0].endswith("It is tried again")


def test_a_training_is_made_again_as_often_as_there_are_pauses(log, tmp_path):
    _, outcome = run_one(children.Flaky(children.be_killed, tmp_path, 2), log)
    assert isinstance(outcome, Evaluation)
    _, outcome = run_one(children.Flaky(children.be_killed, tmp_path, 99), log)
    assert outcome.reason.endswith("was killed by SIGKILL (tried 3 times, on cpu)")
    assert len((tmp_path / "calls-0").read_text().splitlines()) == 3 + 3


def test_a_candidates_own_failure_is_not_tried_again(log, tmp_path):
    run_one(children.Flaky(children.diverge, tmp_path), log)
    assert len((tmp_path / "calls-0").read_text().splitlines()) == 1


def test_a_training_that_lacks_memory_is_made_again_once(log, tmp_path):
    flaky = children.Flaky(children.exhaust, tmp_path)
    assert isinstance(run_one(flaky, log)[1], Evaluation)
    failure = run_one(children.exhaust, log, images=64)[1]
    reason = "no SE (replicate 0): out of memory: an allocation failed (also alone on cpu)"
    assert (failure.reason, failure.fault) == (reason, Fault.RESOURCE)
    assert "micro_batch: 32" in failure.remedy


def test_a_training_that_lacks_memory_has_its_device_to_itself_the_second_time(log, tmp_path):
    """It fails while another one runs, and none starts beside it when it runs again."""
    notes = []
    executor = make_executor(children.TracesItsTime(tmp_path), [DEVICE] * 3, log, note=notes.append)
    next_seed, ended = 0, []
    while len(ended) < 6:
        while executor.has_room() and next_seed < 6:
            executor.submit(next_seed, assign(seed=next_seed))
            next_seed += 1
        ended += executor.wait(0.2)
    assert all(isinstance(outcome, Evaluation) for _, outcome in ended)
    assert "It is tried again alone on cpu" in notes[0]
    assert len(notes) == 1


def test_what_a_training_took_counts_all_attempts_and_its_share_of_the_device(log, tmp_path):
    """Two places on one GPU: a training has half of it, unless it runs alone."""
    devices = [Device("cuda", 0, 1, "32-true")] * 2
    executor = make_executor(children.Flaky(children.be_killed, tmp_path), devices, log)
    executor.submit(0, assign())
    ((_, outcome),) = wait_for(executor, 1)
    assert outcome.effort.attempts == 2
    assert outcome.effort.device_seconds == pytest.approx(outcome.effort.wall_seconds / 2)
    assert 0 < outcome.effort.wall_seconds < 60
    alone = make_executor(children.exhaust, devices, log)
    alone.submit(0, assign())
    ((_, failure),) = wait_for(alone, 1)
    assert failure.effort.attempts == 2
    wall = failure.effort.wall_seconds
    assert wall / 2 < failure.effort.device_seconds < wall


def test_what_a_training_had_taken_is_told_when_it_is_killed(log):
    executor = make_executor(children.hang, [DEVICE], log)
    executor.submit(7, assign())
    executor.wait(0.2)
    (effort,) = executor.kill().values()
    assert effort.attempts == 1
    assert effort.wall_seconds == effort.device_seconds > 0.19


def test_the_next_attempt_is_on_another_device(log, tmp_path):
    devices = [Device("cuda", index, 1, "32-true") for index in (0, 1)]
    executor = make_executor(children.Flaky(children.be_killed, tmp_path, 9, on=0), devices, log)
    executor.submit(0, assign())
    ((_, outcome),) = wait_for(executor, 1)
    assert isinstance(outcome, Evaluation)
    assert (tmp_path / "calls-0").read_text().split() == ["cuda:0", "cuda:1"]


def test_a_device_on_which_trainings_fail_repeatedly_gets_no_more(log, tmp_path):
    notes = []
    devices = [Device("cuda", index, 1, "32-true") for index in (0, 1)]
    flaky = children.Flaky(children.be_killed, tmp_path, 9, on=0)
    executor = make_executor(flaky, devices, log, note=notes.append)
    next_seed, ended = 0, []
    while len(ended) < 5:
        while executor.has_room() and next_seed < 5:
            executor.submit(next_seed, assign(seed=next_seed))
            next_seed += 1
        ended += executor.wait(0.2)
    assert all(isinstance(outcome, Evaluation) for _, outcome in ended)
    used = [path.read_text().split()[0] for path in sorted(tmp_path.glob("calls-*"))]
    assert used.count("cuda:0") == 2
    assert sum(note.startswith("cuda:0 is put aside") for note in notes) == 1


def test_as_many_children_run_at_once_as_there_are_devices(log):
    devices = [Device("cpu", 0, threads, "32-true") for threads in (1, 2, 3)]
    executor = local_executor(children.succeed, devices, log)
    for number in range(3):
        assert executor.has_room()
        executor.submit(number, assign(seed=number))
    assert not executor.has_room()
    outcomes = dict(wait_for(executor, 3))
    assert [outcomes[n].accuracy for n in range(3)] == [0.5, 0.51, 0.52]
    assert {outcomes[n].seconds for n in range(3)} == {1.0, 2.0, 3.0}  # each device served once
    assert executor.has_room()


def test_a_device_is_free_again_after_its_child_died(log):
    executor = make_executor(children.be_killed, [DEVICE], log)
    for number in range(2):
        executor.submit(number, assign())
        wait_for(executor, 1)
    assert executor.has_room()


def test_a_gpu_that_is_listed_several_times_trains_several_candidates_at_once(log):
    executor = local_executor(children.name_gpu, [Device("cuda", 1, 1, "32-true")] * 3, log)
    number = 0
    while executor.has_room():
        executor.submit(number, assign())
        number += 1
    assert number == 3
    assert [outcome.loss for _, outcome in wait_for(executor, 3)] == [1.0] * 3


def test_killing_ends_the_children_and_frees_the_devices(log, tmp_path):
    flaky = children.Flaky(children.hang, tmp_path, 9)
    executor = make_executor(flaky, [DEVICE], log)
    executor.submit(0, assign())
    wait_for_file(tmp_path / "calls-0")
    executor.kill()
    assert executor.has_room()
    assert executor.wait(0) == []
    executor.submit(1, assign(seed=1))
    wait_for_file(tmp_path / "calls-1")
    executor.kill()


def test_what_waits_to_be_tried_again_is_forgotten_when_all_is_killed(log):
    executor = make_executor(children.be_killed, [DEVICE], log, pauses=(60,))
    executor.submit(0, assign())
    while executor.has_room() or executor._running:
        assert executor.wait(0.2) == []
        if not executor._running:
            break
    assert not executor.has_room()  # the place is kept for the next attempt
    executor.kill()
    assert executor.has_room()


def test_a_server_that_is_killed_costs_no_training(log, tmp_path):
    """Not the one that runs, nor those that start at that moment and later."""
    executor = make_executor(children.succeed, [DEVICE] * 2, log)
    executor.submit(0, assign())
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    executor.submit(1, assign())
    outcomes = wait_for(executor, 2)
    assert all(isinstance(outcome, Evaluation) for _, outcome in outcomes)
    assert signal.SIGTERM in call_in_child(children.read_blocked_signals, log)


def test_a_child_whose_server_is_dead_is_killed_all_the_same(log, tmp_path):
    executor = make_executor(children.NotesItsProcess(tmp_path / "pid"), [DEVICE], log)
    executor.submit(0, assign())
    wait_for_file(tmp_path / "pid")
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    time.sleep(0.1)
    child = int((tmp_path / "pid").read_text())
    assert is_alive(child)
    executor.kill()
    wait_until_gone(child)


def wait_until_gone(pid):
    deadline = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_file(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_child_does_not_end_by_ctrl_c(log):
    _, outcome = run_one(children.survive_interrupt, log)
    assert isinstance(outcome, Evaluation)


def test_ctrl_c_is_kept_from_a_child_before_it_can_ignore_it(tmp_path):
    """A child is an ordinary Python process for some hundredths of a second.

    In a process of its own: other tests may have started this one's fork server already.
    """
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from support import children\n"
        "from pathlib import Path\n"
        "from se_search.execution.child import call_in_child, warm_up\n"
        "warm_up([], threads=1)\n"
        "print(call_in_child(children.read_blocked_signals, Path(sys.argv[2])))\n"
    )
    arguments = [TESTS, str(tmp_path / "log")]
    printed = subprocess.check_output([sys.executable, "-c", script, *arguments], text=True)
    assert all(name in printed for name in ("SIGINT", "SIGTERM", "SIGUSR1"))


def test_the_coordinator_itself_still_hears_ctrl_c():
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT, signal.SIGTERM}


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_children_have_the_threads_they_were_promised(log):
    assert call_in_child(children.count_cores, log) == 1


def test_the_coordinators_own_environment_is_as_it_was():
    before = os.environ.get("OMP_NUM_THREADS")
    warm_up([], threads=5)
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_a_call_that_fails_in_a_child_names_the_reason_and_the_log(log):
    with pytest.raises(SESearchError, match=r"RuntimeError: no cores here \(more in .*worker.log"):
        call_in_child(children.fail_to_count, log)


def test_the_serial_executor_evaluates_in_the_order_in_which_it_was_asked():
    executor = SerialExecutor(lambda a: children.succeed(a, DEVICE), num_workers=2)
    executor.submit(8, assign(seed=1))
    executor.submit(9, assign(seed=2))
    assert not executor.has_room()
    assert [executor.wait(0)[0][0] for _ in range(2)] == [8, 9]
    assert executor.wait(0) == []
