"""Trainings that are made up, for nodes: they leave files and end as their functions say."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from se_search.errors import BrokenOffError
from se_search.record import EpochRow, Evaluation
from se_search.training.checkpointing import never
from se_search.training.task import TrainingTask


def succeed(task, assignment, device, until):
    print("hello from the node")
    task.tell(EpochRow(1, 1, 0.5, None, None, 0.1))
    return Evaluation(0.5 + assignment.seed / 100, 1.0, (), b"", 0.1)


def leave_files(task, assignment, device, until):
    """Go on from what is there, leave weights and curves, and remove the states at the end."""
    folders = task.outputs(assignment)
    earlier = sorted(path.name for path in folders["states"].glob("*.state"))
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    (folders["states"] / "2.state").write_bytes(b"2")
    time.sleep(0.8)  # in which it is carried
    for path in folders["states"].glob("*.state"):
        path.unlink()
    (folders["curves"] / "events").write_bytes(b"curve")
    assignment.weights_file.write_bytes(b"weights")
    return Evaluation(0.5, float(len(earlier)), (), b"", 0.1)


def save_and_die(task, assignment, device, until):
    """Leave a state and be killed; the attempt that finds the state succeeds."""
    states = task.outputs(assignment)["states"]
    if states.exists():
        return succeed(task, assignment, device, until)
    states.mkdir(parents=True)
    (states / "1.state").write_bytes(b"1")
    time.sleep(0.8)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def be_killed(task, assignment, device, until):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(10)


def train_until_asked(task, assignment, device, until):
    while until() is None or time.monotonic() < until():
        time.sleep(0.02)
    raise BrokenOffError("saved after 1.5 of 3 epochs")


def hang(task, assignment, device, until):
    time.sleep(60)


@dataclass(frozen=True, slots=True)
class MadeUpTask(TrainingTask):
    """A task that calls a function of this module in the place of a training."""

    function: Callable = succeed

    def telling(self, tell):
        return replace(self, tell=tell)

    def __call__(self, assignment, device, until=never):
        return self.function(self, assignment, device, until)
