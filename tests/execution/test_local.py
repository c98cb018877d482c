"""The local executor: a child process a trial, whose death costs that trial and no other."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support import children
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import SESearchError
from se_search.execution.local import LocalExecutor, call_in_child, warm_up
from se_search.execution.serial import SerialExecutor
from se_search.execution.signals import StopSignals
from se_search.record import Assignment, Evaluation, Failure, Stop

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


def run_one(evaluate, log, **options):
    executor = LocalExecutor(evaluate, [DEVICE], log, **options)
    executor.submit(4, assign())
    return wait_for(executor, 1)[0]


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
    ("evaluate", "reason"),
    [
        (children.diverge, "the loss is nan"),
        (children.misbehave, "ValueError: bad value"),
        (children.exhaust, "out of memory: an allocation failed"),
        (children.leave, "SystemExit: 3"),
        (children.vanish, "the training process ended without a result (exit code 7)"),
        (
            children.be_killed,
            "the training process was killed by SIGKILL; the system does that when memory runs out",
        ),
        (children.crash, "the training process was killed by SIGSEGV"),
        (children.return_nonsense, "the training handed back str"),
    ],
)
def test_whatever_befalls_a_child_is_one_failure_with_its_reason(log, evaluate, reason):
    assert run_one(evaluate, log) == (4, Failure(reason))


def test_the_traceback_of_a_failure_and_what_children_print_are_in_the_log(log):
    run_one(children.misbehave, log)
    run_one(children.succeed, log)
    text = log.read_text()
    assert "Traceback" in text
    assert 'raise ValueError("bad\\nvalue")' in text
    assert "hello from the child" in text


def test_a_training_that_takes_too_long_is_killed(log):
    started = time.monotonic()
    assert run_one(children.hang, log, timeout=0.5) == (
        4,
        Failure("killed after 0.5 seconds (--timeout)"),
    )
    assert time.monotonic() - started < 20


def test_as_many_children_run_at_once_as_there_are_devices(log):
    devices = [Device("cpu", 0, threads, "32-true") for threads in (1, 2, 3)]
    executor = LocalExecutor(children.succeed, devices, log)
    for number in range(3):
        assert executor.has_room()
        executor.submit(number, assign(seed=number))
    assert not executor.has_room()
    outcomes = dict(wait_for(executor, 3))
    assert [outcomes[n].accuracy for n in range(3)] == [0.5, 0.51, 0.52]
    assert {outcomes[n].seconds for n in range(3)} == {1.0, 2.0, 3.0}  # each device served once
    assert executor.has_room()


def test_a_device_is_free_again_after_its_child_died(log):
    executor = LocalExecutor(children.be_killed, [DEVICE], log)
    for number in range(2):
        executor.submit(number, assign())
        wait_for(executor, 1)
    assert executor.has_room()


def test_a_gpu_that_is_listed_several_times_trains_several_candidates_at_once(log):
    executor = LocalExecutor(children.name_gpu, [Device("cuda", 1, 1, "32-true")] * 3, log)
    number = 0
    while executor.has_room():
        executor.submit(number, assign())
        number += 1
    assert number == 3
    assert [outcome.loss for _, outcome in wait_for(executor, 3)] == [1.0] * 3


def test_killing_ends_the_children_and_frees_the_devices(log, tmp_path, monkeypatch):
    executor = LocalExecutor(children.hang, [DEVICE], log)
    executor.submit(0, assign())
    (child,) = executor._children.values()
    executor.kill()
    assert child.process.exitcode == -signal.SIGKILL
    assert executor.has_room()
    assert executor.wait(0) == []


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
        "from se_search.execution.local import call_in_child, warm_up\n"
        "warm_up([], threads=1)\n"
        "print(call_in_child(children.read_blocked_signals, Path(sys.argv[2])))\n"
    )
    arguments = [TESTS, str(tmp_path / "log")]
    printed = subprocess.check_output([sys.executable, "-c", script, *arguments], text=True)
    assert "SIGINT" in printed
    assert "SIGTERM" in printed


def test_the_coordinator_itself_still_hears_ctrl_c():
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT, signal.SIGTERM}


def test_children_die_with_their_coordinator(tmp_path):
    """A coordinator is killed while its child sleeps; the child must be gone soon after."""
    pid_file = tmp_path / "pid"
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from support import children\n"
        "import time\n"
        "from pathlib import Path\n"
        "from support.networks import make_backbone\n"
        "from se_search.candidate import Candidate\n"
        "from se_search.device import Device\n"
        "from se_search.record import Assignment\n"
        "from se_search.execution.local import LocalExecutor\n"
        "device = Device('cpu', 0, 1, '32-true')\n"
        "executor = LocalExecutor(children.hang, [device], Path(sys.argv[2]))\n"
        "executor.submit(0, Assignment(Candidate.plain(make_backbone([8])), 0, 1))\n"
        "time.sleep(60)\n"
    )
    coordinator = subprocess.Popen(
        [sys.executable, "-c", script, TESTS, str(tmp_path / "log")],
        env=os.environ | {"SE_TEST_PID_FILE": str(pid_file)},
    )
    deadline = time.monotonic() + 30
    while not (pid_file.is_file() and pid_file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    coordinator.kill()
    coordinator.wait()
    child = int(pid_file.read_text())
    while is_alive(child):
        assert time.monotonic() < deadline, "the child outlived its coordinator"
        time.sleep(0.05)


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


def test_one_ctrl_c_stops_gently_and_two_stop_now():
    notes = []
    with StopSignals(notes.append) as stop:
        assert stop() == Stop.NO
        os.kill(os.getpid(), signal.SIGINT)
        assert stop() == Stop.AFTER_RUNNING
        os.kill(os.getpid(), signal.SIGINT)
        assert stop() == Stop.NOW
    assert "when the running trainings have ended" in notes[0]
    assert "Stopping now" in notes[1]
    assert stop.number == signal.SIGINT


def test_a_signal_in_the_midst_of_a_print_does_not_break_it():
    threads = []
    with StopSignals(lambda _: threads.append(threading.get_ident())):
        os.kill(os.getpid(), signal.SIGINT)
    assert threads
    assert threads != [threading.get_ident()]


def test_sigterm_stops_now():
    with StopSignals(lambda _: None) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop() == Stop.NOW


def test_signals_mean_what_they_meant_once_the_search_is_over():
    before = signal.getsignal(signal.SIGINT)
    with StopSignals(lambda _: None):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_the_serial_executor_evaluates_in_the_order_in_which_it_was_asked():
    executor = SerialExecutor(lambda a: children.succeed(a, DEVICE), num_workers=2)
    executor.submit(8, assign(seed=1))
    executor.submit(9, assign(seed=2))
    assert not executor.has_room()
    assert [executor.wait(0)[0][0] for _ in range(2)] == [8, 9]
    assert executor.wait(0) == []
