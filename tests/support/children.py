"""What child processes are asked to do in the tests of the executor."""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from se_search.errors import BrokenOffError, DivergedError
from se_search.record import EpochRow, Evaluation


def succeed(assignment, device, until=None):
    print("hello from the child")
    return Evaluation(0.5 + assignment.seed / 100, 1.0, (), b"", float(device.threads))


@dataclass(frozen=True)
class TellsEpochs:
    """An evaluation that tells of as many epochs as an assignment has, and then succeeds."""

    tell: Callable | None = None

    def telling(self, tell):
        return TellsEpochs(tell)

    def __call__(self, assignment, device, until=None):
        for epoch in range(1, assignment.epochs + 1):
            self.tell(EpochRow(epoch, assignment.epochs, 0.5, None, None, float(epoch)))
        return succeed(assignment, device)


def name_gpu(assignment, device, until=None):
    return Evaluation(0.5, float(device.index), (), b"", 0.1)


def diverge(assignment, device, until=None):
    raise DivergedError("the loss is nan")


def misbehave(assignment, device, until=None):
    raise ValueError("bad\nvalue")


def exhaust(assignment, device, until=None):
    raise MemoryError


@dataclass(frozen=True)
class Flaky:
    """An evaluation whose first calls fail and whose later ones succeed.

    Attributes:
        failure: what the first calls do, a function of this module.
        folder: of the file that counts the calls, for each child is a process of its own.
        num_failures: how many calls fail.
        on: index of the device that the failures are limited to; None: they are on each.
    """

    failure: Callable
    folder: Path
    num_failures: int = 1
    on: int | None = None

    def __call__(self, assignment, device, until=None):
        path = self.folder / f"calls-{assignment.seed}"
        with path.open("a") as file:
            file.write(f"{device.name}\n")
        is_bad = self.on in (None, device.index)
        if is_bad and len(path.read_text().splitlines()) <= self.num_failures:
            return self.failure(assignment, device, until)
        return succeed(assignment, device, until)


@dataclass(frozen=True)
class MarksItsStart:
    """An evaluation that makes a file before it does what another one does."""

    evaluate: Callable
    path: Path

    def __call__(self, assignment, device, until):
        self.path.touch()
        while until() is None:
            time.sleep(0.01)
        return self.evaluate(assignment, device, until)


def take_a_moment(assignment, device, until):
    time.sleep(0.3)
    return succeed(assignment, device)


def save_when_asked(assignment, device, until):
    raise BrokenOffError("saved after 1.5 of 3 epochs")


def tell_time_left(assignment, device, until):
    return Evaluation(until() - time.monotonic(), 1.0, (), b"", 1.0)


@dataclass(frozen=True)
class NotesItsProcess:
    """An evaluation that writes the number of its process into a file and hangs."""

    path: Path

    def __call__(self, assignment, device, until=None):
        draft = self.path.with_suffix(".draft")
        draft.write_text(str(os.getpid()))
        draft.rename(self.path)
        time.sleep(60)


@dataclass(frozen=True)
class TracesItsTime:
    """An evaluation that writes when it began and ended, and lacks memory unless it is alone."""

    folder: Path

    def __call__(self, assignment, device, until=None):
        mark = self.folder / f"running-{os.getpid()}"
        mark.touch()
        try:
            for _ in range(20):
                time.sleep(0.02)
                if assignment.seed == 0 and len(list(self.folder.glob("running-*"))) > 1:
                    raise MemoryError
        finally:
            mark.unlink()
        return succeed(assignment, device, until)


def leave(assignment, device, until=None):
    raise SystemExit(3)


def vanish(assignment, device, until=None):
    os._exit(7)


def be_killed(assignment, device, until=None):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(10)


def crash(assignment, device, until=None):
    ctypes.string_at(0)


def hang(assignment, device, until=None):
    Path(os.environ.get("SE_TEST_PID_FILE", os.devnull)).write_text(str(os.getpid()))
    time.sleep(60)


def return_nonsense(assignment, device, until=None):
    return "nonsense"


def count_cores():
    return int(os.environ["OMP_NUM_THREADS"])


def read_blocked_signals():
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


def fail_to_count():
    raise RuntimeError("no cores here")


def survive_interrupt(assignment, device, until=None):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    return succeed(assignment, device, until)


def name_pipes(assignment, device, until=None):
    return Evaluation(0.5, 1.0, (), os.environ["CUDA_MPS_PIPE_DIRECTORY"].encode(), 0.1)
