"""What child processes are asked to do in the tests of the executor."""

import ctypes
import os
import signal
import time
from pathlib import Path

from se_search.errors import DivergedError
from se_search.record import Evaluation


def succeed(assignment, device):
    print("hello from the child")
    return Evaluation(0.5 + assignment.seed / 100, 1.0, (), b"", float(device.threads))


def name_gpu(assignment, device):
    return Evaluation(0.5, float(device.index), (), b"", 0.1)


def diverge(assignment, device):
    raise DivergedError("the loss is nan")


def misbehave(assignment, device):
    raise ValueError("bad\nvalue")


def exhaust(assignment, device):
    raise MemoryError


def leave(assignment, device):
    raise SystemExit(3)


def vanish(assignment, device):
    os._exit(7)


def be_killed(assignment, device):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(10)


def crash(assignment, device):
    ctypes.string_at(0)


def hang(assignment, device):
    Path(os.environ.get("SE_TEST_PID_FILE", os.devnull)).write_text(str(os.getpid()))
    time.sleep(60)


def return_nonsense(assignment, device):
    return "nonsense"


def count_cores():
    return int(os.environ["OMP_NUM_THREADS"])


def read_blocked_signals():
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


def fail_to_count():
    raise RuntimeError("no cores here")


def survive_interrupt(assignment, device):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    return succeed(assignment, device)
